"""Put on a process's path, this sets its wall clock off by ``SKEW_S`` seconds."""

import os
import time

_skew_s = int(os.environ["SKEW_S"])
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _skew_s
time.time_ns = lambda: _time_ns() + _skew_s * 10**9

"""Waiting for a condition, instead of sleeping and hoping."""

from __future__ import annotations

import time


def wait_until(condition, timeout_s=60):
    """Wait for a condition and return what it gave."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)

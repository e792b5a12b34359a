"""Measures the time from a worker's event to a client, by a WebSocket ping that follows the event.

A client answers a ping automatically and in order (RFC 6455, section 5.5.2), so clients need no code for it.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict

from api import metric_definitions
from api.relay.websocket_frame_encoder import PING, control_frame

MAX_PENDING = 64  # maximum number of unanswered pings kept; answers to older ones are unlikely
_pending: OrderedDict[bytes, tuple[float, float]] = OrderedDict()  # token → (created, lag of the event)


def new_ping(lag_s: float) -> bytes:
    """Return a ping to send after an event that is ``lag_s`` seconds old."""
    token = os.urandom(8)  # random, so that a client cannot answer another client's ping
    _pending[token] = time.monotonic(), lag_s
    if len(_pending) > MAX_PENDING:
        _pending.popitem(last=False)
    return control_frame(PING, token)


def record_pong(token: bytes) -> None:
    """Record the latency that a pong shows. Ignores answers to pings that :func:`new_ping` did not return."""
    sent_s, lag_s = _pending.pop(token, (None, 0.0))
    if sent_s is not None:
        metric_definitions.CLIENT_LATENCY.observe(time.monotonic() - sent_s + lag_s)

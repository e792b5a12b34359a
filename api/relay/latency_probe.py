"""How long events take to clients: now and then a ping goes right behind one, and the pong tells.

A WebSocket answers a ping by itself, in order (RFC 6455, section 5.5.2), so no client need know of this.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict

from api import metrics
from api.relay.encoded_event import ping_frame

MOST_ASKED = 64  # whose answers are waited for; older ones will hardly come
_asked: OrderedDict[bytes, tuple[float, float]] = OrderedDict()


def ask(lag_s: float) -> bytes:
    """Return the ping to send behind an event that has been on its way for so long already."""
    token = os.urandom(8)  # so that nobody can answer for another
    _asked[token] = time.monotonic(), lag_s
    if len(_asked) > MOST_ASKED:
        _asked.popitem(last=False)
    return ping_frame(token)


def heard(token: bytes) -> None:
    """Take a pong; not every one is an answer to such a ping."""
    sent_s, lag_s = _asked.pop(token, (None, 0.0))
    if sent_s is not None:
        metrics.CLIENT_LATENCY.observe(time.monotonic() - sent_s + lag_s)

"""Cuts off who says too much, or what nobody needs to say here: everybody else's messages wait behind it."""

from __future__ import annotations

import logging
import time
from typing import Any

log = logging.getLogger(__name__)

# Who follows 500 jobs joins as many rooms and resumes as often when it comes back: all at once, and rarely.
BURST = 1_200
PER_SECOND = 20.0
_BINARY = ("5", "6")  # Socket.IO's packets with attachments


class Allowance:
    """How much one client may still say: a token bucket."""

    __slots__ = ("_at_s", "_left")

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at_s = time.monotonic()

    def spend(self) -> bool:
        """Take one message off; return whether there was one left."""
        now_s = time.monotonic()
        self._left = min(BURST, self._left + (now_s - self._at_s) * PER_SECOND)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


def guard(server: Any) -> None:
    """Have a Socket.IO server close the session of who sends binary messages, or too many of any kind."""
    eio = server.eio
    handle, disconnect = eio.handlers["message"], eio.handlers["disconnect"]
    allowances: dict[str, Allowance] = {}

    def check_and_handle(eio_sid: str, message: Any) -> Any:
        allowance = allowances.setdefault(eio_sid, Allowance())
        wrong = "sends binary messages" if _is_binary(message) else None
        if not allowance.spend():
            wrong = "says too much"
        if wrong is None:
            return handle(eio_sid, message)
        log.warning("cut off a client that %s", wrong)
        session = eio.sockets.get(eio_sid)
        if session:
            session.close(wait=False, abort=True)
            session.queue.drop()
        return None

    def forget_and_disconnect(eio_sid: str, *reason: Any) -> Any:
        allowances.pop(eio_sid, None)
        return disconnect(eio_sid, *reason)

    eio.on("message", check_and_handle)
    eio.on("disconnect", forget_and_disconnect)


def _is_binary(message: Any) -> bool:
    return not isinstance(message, str) or message.startswith(_BINARY)

"""Cuts off who says too much, or what nobody needs to say here: everybody else's messages wait behind it."""

from __future__ import annotations

import logging
import time
from typing import Any

from api.addresses import network_of

log = logging.getLogger(__name__)

# Who follows 500 jobs joins as many rooms and resumes as often when it comes back: all at once, and rarely.
BURST = 1_200
PER_SECOND = 20.0
READS = 8  # that one message takes at most, unless it comes in pieces
MAX_ADDRESSES = 10_000  # that are remembered
_BINARY = ("5", "6")  # Socket.IO's packets with attachments


class Allowance:
    """How much one client may still say: a token bucket."""

    __slots__ = ("_at_s", "_burst", "_left", "_per_second")

    def __init__(self, burst: float = BURST, per_second: float = PER_SECOND) -> None:
        self._burst, self._per_second = burst, per_second
        self._left = burst
        self._at_s = time.monotonic()

    def spend(self) -> bool:
        """Take one message off; return whether there was one left."""
        now_s = time.monotonic()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_second)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Patient:
    """A connection that is read no more often than its client may speak, and while others wait not at all.

    It stands before a reader that answers pings and puts fragments together by itself: it would read a flood
    of them for ever, and nobody else would run.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._allowance = Allowance(BURST * READS, PER_SECOND * READS)

    def recv(self, *arguments: Any) -> bytes:
        """Read as the connection does. Raises ``ConnectionAbortedError`` when the client says too much."""
        if not self._allowance.spend():
            raise ConnectionAbortedError("the client says too much")
        time.sleep(0)  # green threads run only when the running one lets them
        data: bytes = self._connection.recv(*arguments)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class Knocks:
    """How often each address may open connections for events: none may take up a gateway's whole room.

    A stranger's connection lasts 5 s, so that one address has less than half of it. All who are behind one
    proxy still come back within a minute.
    """

    def __init__(self, room: int) -> None:
        self._burst = max(room / 4, 1)
        self._addresses: dict[str, Allowance] = {}

    def spend(self, address: str) -> bool:
        """Take one off; return whether there was one left."""
        place = network_of(address)
        allowance = self._addresses.pop(place, None) or Allowance(self._burst, self._burst / 10)
        self._addresses[place] = allowance  # the last to be forgotten
        if len(self._addresses) > MAX_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]
        return allowance.spend()


def guard(server: Any) -> None:
    """Have a Socket.IO server close the session of who sends binary messages, too many, or no packet."""
    eio = server.eio
    handle, disconnect = eio.handlers["message"], eio.handlers["disconnect"]
    allowances: dict[str, Allowance] = {}

    def check_and_handle(eio_sid: str, message: Any) -> Any:
        session = eio.sockets.get(eio_sid)
        if session is None or session.closed:
            return None  # what came with its end; nothing would ever forget it
        allowance = allowances.get(eio_sid)
        if allowance is None:
            allowance = allowances[eio_sid] = Allowance()
        wrong = "sends binary messages" if _is_binary(message) else None
        if not allowance.spend():
            wrong = "says too much"
        if wrong is None:
            try:
                return handle(eio_sid, message)
            except (LookupError, RecursionError, TypeError, ValueError):
                wrong = "sends what is no packet of Socket.IO"
        log.warning("cut off a client that %s", wrong)
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

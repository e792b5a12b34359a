"""Cuts off who says too much, or what nobody needs to say here: everybody else's messages wait behind it."""

from __future__ import annotations

import time

from api.addresses import network_of

# Who follows 500 jobs joins as many rooms and resumes as often when it comes back: all at once, and rarely.
BURST = 1_200
PER_SECOND = 20.0
UNJOINED_PACKETS = 16  # that a session may send in all before it has joined the namespace
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

"""REST requests in flight: how many each caller may have, and how many of them are worked on at a time.

A request that is worked on holds one connection of the store's pool at most. There are more of these than
requests that may be worked on, so nobody waits for one, and a busy pool is never taken for a lost store.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from api.errors import RateLimitedError
from api.limits.fair_semaphore import FairSemaphore

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE = 40  # requests that are worked on, of all callers together
EACH_AT_ONCE = 8  # of them, of each user or address
EACH_IN_FLIGHT = 100  # requests of each user or address, those that wait for their turn included
SERVICE_AT_ONCE = 24  # of those that are worked on, the bot backend's
RETRY_AFTER_S = 1


@dataclass(slots=True)
class _Caller:
    turns: FairSemaphore
    in_flight: int = 0


class InFlight:
    """All REST requests in flight in this gateway, by caller."""

    def __init__(self) -> None:
        self._callers: dict[str, _Caller] = {}
        self._all = FairSemaphore(AT_ONCE)
        self._lock = Lock()

    @contextmanager
    def admitted(self, name: str, *, service: bool = False) -> Iterator[None]:
        """Count a request for the length of the block. Raises :class:`RateLimitedError` at once.

        The service's requests are not limited in number, only in how many are worked on.
        """
        with self._lock:
            caller = self._callers.get(name)
            if caller is None:
                caller = self._callers[name] = _Caller(
                    FairSemaphore(SERVICE_AT_ONCE if service else EACH_AT_ONCE)
                )
            if caller.in_flight >= EACH_IN_FLIGHT and not service:
                raise RateLimitedError(
                    f"you have {EACH_IN_FLIGHT} requests in flight: wait for their answers", RETRY_AFTER_S
                )
            caller.in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                caller.in_flight -= 1
                if not caller.in_flight:
                    del self._callers[name]

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Wait for an admitted request's turn, in the order of arrival, and keep it for the block.

        Raises :class:`~api.errors.RoomError` ``busy``.
        """
        with ExitStack() as turns:
            turns.enter_context(self._callers[name].turns.slot())
            turns.enter_context(self._all.slot())
            yield

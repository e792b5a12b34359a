"""Limits on REST requests in flight: of each caller, and on those that run at the same time.

A running request uses at most one connection of the store's pool. The pool has more connections than requests
may run, so a request never waits for one, and an exhausted pool is never mistaken for an unreachable store.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from api.errors import RateLimitedError
from api.limits.fair_semaphore import SLOT_TIMEOUT_S, FairSemaphore

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE = 40  # running requests of all callers
EACH_AT_ONCE = 8  # running requests of each user or address
EACH_IN_FLIGHT = 100  # running and waiting requests of each user or address
SERVICE_AT_ONCE = 24  # running requests of the service (the bot backend)
RETRY_AFTER_S = 1


@dataclass(slots=True)
class _Caller:
    slots: FairSemaphore
    in_flight: int = 0


class InFlight:
    """The REST requests in flight in this gateway, by caller."""

    def __init__(self) -> None:
        self._callers: dict[str, _Caller] = {}
        self._all = FairSemaphore(AT_ONCE)
        self._lock = Lock()

    @contextmanager
    def admitted(self, name: str, *, service: bool = False) -> Iterator[None]:
        """Count a request of this caller for the block. Raises :class:`RateLimitedError` above the limit.

        The service may have any number of requests in flight; only its running requests are limited.
        """
        with self._lock:
            caller = self._callers.get(name)
            if caller is None:
                caller = self._callers[name] = _Caller(
                    FairSemaphore(SERVICE_AT_ONCE if service else EACH_AT_ONCE)
                )
            if caller.in_flight >= EACH_IN_FLIGHT and not service:
                raise RateLimitedError(
                    f"you have {EACH_IN_FLIGHT} requests in flight: wait for their responses", RETRY_AFTER_S
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
    def slot(self, name: str) -> Iterator[None]:
        """Wait, in the order of arrival, until an admitted request may run; occupy a slot for the block.

        Raises :class:`RateLimitedError` if the caller's other requests occupy its slots for too long, and
        :class:`~api.errors.RoomError` ``busy`` if those of all callers do.
        """
        with ExitStack() as slots:
            slots.enter_context(self._callers[name].slots.slot(SLOT_TIMEOUT_S, _too_many))
            slots.enter_context(self._all.slot())
            yield


def _too_many() -> RateLimitedError:
    return RateLimitedError(
        f"your other requests took {SLOT_TIMEOUT_S:g} s: send fewer at the same time", RETRY_AFTER_S
    )

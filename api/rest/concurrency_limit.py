"""Limits on the REST requests that run at the same time: of each caller, and of all. Others wait.

A running request uses at most one connection of the store's pool. The pool has more connections than requests
may run, so a request never waits for one, and an exhausted pool is never mistaken for an unreachable store.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from api.errors import RateLimitedError
from api.limits.fifo_semaphore import FifoSemaphore

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_RUNNING = 40  # running requests of all callers
MAX_RUNNING_PER_CALLER = 8  # running requests of each user or address
MAX_RUNNING_OF_SERVICE = 24  # running requests of the service (the bot backend)
WAIT_S = 30.0  # the longest that a request waits for earlier ones of its caller
RETRY_AFTER_S = 1


@dataclass(slots=True)
class _Caller:
    slots: FifoSemaphore
    requests: int = 0  # running and waiting


class ConcurrencyLimit:
    """Limits the REST requests that run at the same time in this gateway."""

    def __init__(
        self,
        at_once: int = MAX_RUNNING,
        each: int = MAX_RUNNING_PER_CALLER,
        service: int = MAX_RUNNING_OF_SERVICE,
    ) -> None:
        """Limit the requests of all callers, of each user or address, and of the service."""
        self._callers: dict[str, _Caller] = {}
        self._each, self._service = each, service
        self._all = FifoSemaphore(at_once)
        self._lock = Lock()

    def acquire(self, name: str, *, service: bool = False) -> Callable[[], None]:
        """Wait, in the order of arrival, until a request of this caller may run.

        Returns the function that releases the slot.

        Raises :class:`RateLimitedError` if the caller's earlier requests take longer than :data:`WAIT_S`, and
        :class:`~api.errors.RoomError` ``busy`` if those of all callers take longer than
        :data:`~api.limits.fifo_semaphore.SLOT_TIMEOUT_S`.
        """
        with self._lock:
            caller = self._callers.get(name)
            if caller is None:
                at_once = self._service if service else self._each
                caller = self._callers[name] = _Caller(FifoSemaphore(at_once, WAIT_S, _too_slow))
            caller.requests += 1
        with ExitStack() as acquired:
            acquired.callback(self._leave, name, caller)
            for slots in (caller.slots, self._all):
                slots.acquire()
                acquired.callback(slots.release)
            return acquired.pop_all().close

    def _leave(self, name: str, caller: _Caller) -> None:
        with self._lock:
            caller.requests -= 1
            if not caller.requests:
                del self._callers[name]


def _too_slow() -> Exception:
    return RateLimitedError(
        f"your earlier requests take longer than {WAIT_S:.0f} s: send fewer at the same time", RETRY_AFTER_S
    )

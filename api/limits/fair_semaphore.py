"""A semaphore that serves waiting threads in their order."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api import metrics
from api.errors import RoomError

if TYPE_CHECKING:
    from collections.abc import Iterator


LOOKUPS_AT_ONCE = 32  # of what clients ask for; the store's other connections stay free for REST


SLOT_TIMEOUT_S = 9.0


class FairSemaphore:
    """Lets so many in at once; the others wait in the order in which they came."""

    def __init__(self, at_once: int = LOOKUPS_AT_ONCE) -> None:
        self._free = at_once
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def slot(self, timeout_s: float = SLOT_TIMEOUT_S) -> Iterator[None]:
        """Hold a slot for the length of the block. Raises :class:`~api.errors.RoomError` ``busy``."""
        self._take(timeout_s)
        try:
            yield
        finally:
            with self._lock:
                self._pass_on()

    def _take(self, timeout_s: float) -> None:
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
                return
            called = threading.Event()
            self._waiting.append(called)
        if called.wait(timeout_s):
            return
        with self._lock:
            if called.is_set():  # just as it gave up
                self._pass_on()
            else:
                self._waiting.remove(called)
        metrics.REFUSED.labels("busy").inc()
        raise RoomError("busy", "too many clients join at once: try again")

    def _pass_on(self) -> None:
        if self._waiting:
            self._waiting.popleft().set()  # the slot passes directly to the next thread
        else:
            self._free += 1

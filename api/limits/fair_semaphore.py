"""A semaphore that serves waiting threads in the order of their arrival."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api import metrics
from api.errors import RoomError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


LOOKUPS_AT_ONCE = 32  # joins and resumes that read the store; its other connections stay free for REST
SLOT_TIMEOUT_S = 9.0


def busy() -> Exception:
    """Return the error of a gateway without a free slot, and count the refusal."""
    metrics.REFUSED.labels("busy").inc()
    return RoomError("busy")


class FairSemaphore:
    """Limits the threads in a block to ``slots``; waiting threads enter in the order of their arrival."""

    def __init__(self, slots: int = LOOKUPS_AT_ONCE) -> None:
        self._free = slots
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def slot(
        self, timeout_s: float = SLOT_TIMEOUT_S, refusal: Callable[[], Exception] = busy
    ) -> Iterator[None]:
        """Occupy a slot for the block. Raises ``refusal()`` if no slot is free in ``timeout_s``.

        By default that is :class:`~api.errors.RoomError` ``busy``.
        """
        if not self._acquire(timeout_s):
            raise refusal()
        try:
            yield
        finally:
            with self._lock:
                self._release()

    def _acquire(self, timeout_s: float) -> bool:
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
                return True
            granted = threading.Event()
            self._waiting.append(granted)
        if granted.wait(timeout_s):
            return True
        with self._lock:
            if granted.is_set():  # between the timeout and the lock
                self._release()
            else:
                self._waiting.remove(granted)
        return False

    def _release(self) -> None:
        if self._waiting:
            self._waiting.popleft().set()  # the slot stays occupied, so that no later thread can overtake
        else:
            self._free += 1

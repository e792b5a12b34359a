"""A semaphore that serves waiting threads in the order of their arrival."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api import metric_definitions
from api.errors import RoomError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


LOOKUPS_AT_ONCE = 32  # joins and resumes that read the store; its other connections stay free for REST
SLOT_TIMEOUT_S = 9.0


def _busy() -> Exception:
    """Return the error ``busy``, and count it: operators are alerted."""
    metric_definitions.REFUSED.labels("busy").inc()
    return RoomError("busy")


class FifoSemaphore:
    """Limits the threads in a block to ``slots``; waiting threads enter in the order of their arrival.

    A thread that waits longer than ``timeout_s`` gets the error that ``refuse`` returns.
    """

    def __init__(
        self,
        slots: int = LOOKUPS_AT_ONCE,
        timeout_s: float = SLOT_TIMEOUT_S,
        refuse: Callable[[], Exception] = _busy,
    ) -> None:
        self._free, self._timeout_s, self._refuse = slots, timeout_s, refuse
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Occupy a slot for the block. Raises the error of ``refuse``."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def acquire(self) -> None:
        """Occupy a slot until :meth:`release`. Raises the error of ``refuse``."""
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
                return
            granted = threading.Event()
            self._waiting.append(granted)
        if granted.wait(self._timeout_s):
            return
        with self._lock:
            if granted.is_set():  # between the timeout and the lock
                self._pass_on()
            else:
                self._waiting.remove(granted)
        raise self._refuse()

    def release(self) -> None:
        """Free a slot."""
        with self._lock:
            self._pass_on()

    def _pass_on(self) -> None:
        if self._waiting:
            self._waiting.popleft().set()  # the slot stays occupied, so that no later thread can overtake
        else:
            self._free += 1

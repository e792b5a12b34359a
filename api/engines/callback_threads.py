"""Green threads for the callbacks of :class:`~api.server.connection_poller.ConnectionPoller`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_IDLE_THREADS = 64  # idle threads that are kept for the next callbacks


class CallbackThreads:
    """A pool of green threads that run callbacks.

    Idle threads are reused: the kernel maps memory for each new thread, which costs more than a short
    callback.
    """

    def __init__(self, hub: Any, new_thread: Callable[..., Any], current_thread: Callable[[], Any]) -> None:
        """``hub`` is the engine's. ``new_thread`` makes a thread of a function with one argument."""
        self._hub, self._new_thread, self._current_thread = hub, new_thread, current_thread
        self._idle: list[Any] = []

    def run(self, callback: Callable[[], object]) -> None:
        """Start a callback in a thread. Returns when it blocks or ends. Only the hub may call this."""
        thread = self._idle.pop() if self._idle else self._new_thread(self._serve)
        thread.switch(callback)

    def _serve(self, callback: Callable[[], object]) -> None:
        callback()
        while len(self._idle) < MAX_IDLE_THREADS:
            self._idle.append(self._current_thread())
            following = self._hub.switch()
            following()

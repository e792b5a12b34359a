"""A poller: calls functions when connections can be read, so that connections need no waiting threads."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

MAX_IDLE_THREADS = 64  # idle threads that are kept for the next callbacks
_READABLE = 1  # EPOLLIN; an end and an error are reported in any case


class ConnectionPoller:
    """A set of connections, each with a callback for incoming bytes or the end."""

    def __init__(self, epoll: Any, run: Callable[[Callable[[], object]], object]) -> None:
        """``epoll`` is a :class:`select.epoll`. ``run`` calls a function until it blocks or ends."""
        self._epoll, self._run = epoll, run
        self._callbacks: dict[int, Callable[[], object]] = {}

    def watch(self, fileno: int, callback: Callable[[], object]) -> None:
        """Call ``callback`` at every poll while there are unread bytes, also while an earlier call runs."""
        if fileno not in self._callbacks:
            self._epoll.register(fileno, _READABLE)
        self._callbacks[fileno] = callback

    def unwatch(self, fileno: int) -> None:
        """Stop the callbacks of a connection. Required before the connection is closed."""
        if self._callbacks.pop(fileno, None):
            with suppress(OSError):
                self._epoll.unregister(fileno)

    def poll(self) -> None:
        """Call the callbacks of all connections that can be read now."""
        for fileno, _ in self._epoll.poll(0):
            callback = self._callbacks.get(fileno)
            if callback:
                self._run(partial(self._call, fileno, callback))

    def _call(self, fileno: int, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:
            log.exception("unexpected error in a connection's callback")  # the other connections' must run
            self.unwatch(fileno)


class CallbackThreads:
    """Green threads that each run one callback after another.

    The kernel maps memory for each new thread, which costs more than a short callback.
    """

    def __init__(self, hub: Any, new_thread: Callable[..., Any], current_thread: Callable[[], Any]) -> None:
        """``hub`` is the engine's. ``new_thread`` makes a thread of a function with one argument."""
        self._hub, self._new_thread, self._current_thread = hub, new_thread, current_thread
        self._idle: list[Any] = []

    def run(self, callback: Callable[[], object]) -> None:
        """Run a callback until it blocks or ends. Only the hub may call this."""
        thread = self._idle.pop() if self._idle else self._new_thread(self._serve)
        thread.switch(callback)

    def _serve(self, callback: Callable[[], object]) -> None:
        callback()
        while len(self._idle) < MAX_IDLE_THREADS:
            self._idle.append(self._current_thread())
            following = self._hub.switch()
            following()

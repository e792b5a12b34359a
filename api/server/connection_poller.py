"""A poller: runs a callback when a connection has bytes to read, so that no thread waits for it."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_READABLE = 1  # EPOLLIN; an end and an error are reported in any case


class ConnectionPoller:
    """A set of connections, each with a callback for incoming bytes or the end."""

    def __init__(self, epoll: Any, run: Callable[[Callable[[], object]], object]) -> None:
        """``epoll`` is a :class:`select.epoll`.

        ``run`` calls a function, and returns when the function blocks or ends.
        """
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
        except Exception:  # the callbacks of other connections must still run
            log.exception("unexpected error in a connection's callback")
            self.unwatch(fileno)

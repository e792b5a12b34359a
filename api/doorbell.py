"""Tells when there is something to read, on any number of connections: one thread waits for all of them."""

from __future__ import annotations

import logging
import select
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_READABLE = 1  # EPOLLIN; an end, and an error, are told anyway


class Doorbell:
    """A set of connections, and what to call when bytes of one are there, or its end."""

    def __init__(self, epoll: Any) -> None:
        """``epoll`` is a :class:`select.epoll`, which eventlet takes out of :mod:`select`."""
        self._epoll = epoll
        self._answers: dict[int, Callable[[], object]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def watch(self, fileno: int, answer: Callable[[], object]) -> None:
        """Call ``answer`` as long as there is something to read. It must not wait: the others wait for it."""
        if fileno not in self._answers:
            self._epoll.register(fileno, _READABLE)
        self._answers[fileno] = answer

    def unwatch(self, fileno: int) -> None:
        """Call nothing any more, as must be said before the connection is closed."""
        if self._answers.pop(fileno, None):
            with suppress(OSError):
                self._epoll.unregister(fileno)

    def run(self) -> None:
        """Wait and call, until the process ends."""
        while True:
            select.select([self._epoll], [], [])
            self.answer()

    def answer(self) -> None:
        """Call those of which something is there now."""
        for fileno, _ in self._epoll.poll(0):
            answer = self._answers.get(fileno)
            if answer is None:
                continue
            try:
                answer()
            except Exception:
                log.exception("a connection broke")  # one client's, and nobody else's
                self.unwatch(fileno)

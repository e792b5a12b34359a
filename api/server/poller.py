"""Tells when there is something to read, on many connections, though no green thread waits for any."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_READABLE = 1  # EPOLLIN; an end, and an error, are told anyway


class Poller:
    """A set of connections, and what to call when bytes of one are there, or its end."""

    def __init__(self, epoll: Any, run: Callable[[Callable[[], object]], object]) -> None:
        """``epoll`` is a :class:`select.epoll`; ``run`` runs what may wait, and returns when it does."""
        self._epoll, self._run = epoll, run
        self._answers: dict[int, Callable[[], object]] = {}

    def watch(self, fileno: int, answer: Callable[[], object]) -> None:
        """Run ``answer`` again and again while there is something to read, even while it runs already."""
        if fileno not in self._answers:
            self._epoll.register(fileno, _READABLE)
        self._answers[fileno] = answer

    def unwatch(self, fileno: int) -> None:
        """Run nothing any more, as must be said before the connection is closed."""
        if self._answers.pop(fileno, None):
            with suppress(OSError):
                self._epoll.unregister(fileno)

    def ring(self) -> None:
        """Run the answers of those of which something is there now."""
        for fileno, _ in self._epoll.poll(0):
            answer = self._answers.get(fileno)
            if answer:
                self._run(partial(self._answer, fileno, answer))

    def _answer(self, fileno: int, answer: Callable[[], object]) -> None:
        try:
            answer()
        except Exception:
            log.exception("a connection broke")  # one client's, and nobody else's
            self.unwatch(fileno)

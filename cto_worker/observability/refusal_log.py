"""The log of refused requests, which strangers can cause but must not be able to fill."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

EVERY_S = 60.0  # what is refused again and again is logged so often
LINES = 10  # a second, however different the refused requests are
MAX_KEY = 200  # characters of what a client sent


class RefusalLog:
    """Logs each kind of refusal once a minute, and at most ten lines a second."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._logged: dict[
            str, float
        ] = {}  # kind → when it was logged, oldest first; LINES × EVERY_S at most
        self._second = 0
        self._lines = 0  # in that second

    def note(self, key: str, message: str, *arguments: object) -> None:
        """Log a warning, unless one with the same ``key`` was logged within the last minute."""
        now_s = time.monotonic()
        while self._logged and next(iter(self._logged.values())) < now_s - EVERY_S:
            del self._logged[next(iter(self._logged))]
        if key[:MAX_KEY] in self._logged or not self._may_write(int(now_s)):
            return
        self._logged[key[:MAX_KEY]] = now_s
        self._log.warning(message, *arguments)

    def _may_write(self, second: int) -> bool:
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        return self._lines <= LINES

"""A rate limit for warnings that clients can cause, so that they cannot flood the log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

REPEAT_INTERVAL_S = 60.0  # minimum time between two warnings with the same key
MAX_LINES_PER_S = 10  # with all keys together
MAX_KEY = 200  # characters; a longer key is truncated


class WarningLimiter:
    """Logs each kind of warning once a minute, and at most ten lines a second."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        # Key → time of its last line, oldest first. Its size is at most MAX_LINES_PER_S × REPEAT_INTERVAL_S.
        self._logged: dict[str, float] = {}
        self._second = 0
        self._lines = 0  # written in that second

    def warn(self, key: str, message: str, *arguments: object) -> None:
        """Log a warning, unless one with the same ``key`` was logged within the last minute."""
        now_s = time.monotonic()
        while self._logged and next(iter(self._logged.values())) < now_s - REPEAT_INTERVAL_S:
            del self._logged[next(iter(self._logged))]
        if key[:MAX_KEY] in self._logged or not self._may_write(int(now_s)):
            return
        self._logged[key[:MAX_KEY]] = now_s
        self._log.warning(message, *arguments)

    def _may_write(self, second: int) -> bool:
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        return self._lines <= MAX_LINES_PER_S

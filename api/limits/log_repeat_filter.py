"""A log filter that limits repeated lines, so that a flood of requests does not flood the log.

It limits lines at WARNING or above, of this project or of a library, for each place in the code that writes
them. :mod:`api.limits.refusal_log` counts the gateway's refusals instead.
"""

from __future__ import annotations

import logging
from typing import Any

from api.limits.token_bucket import TokenBucket

LINES_AT_ONCE, LINES_PER_S = 5, 0.5  # for each place in the code
TRACEBACKS_AT_ONCE, TRACEBACKS_PER_S = 2, 0.05  # the same, for lines with a traceback


class RepeatFilter(logging.Filter):
    """Limits how often each place in the code may write a line at WARNING or above.

    The next written line states the number of omitted lines.
    """

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[tuple[str, int], _Place] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line may be written."""
        if record.levelno < logging.WARNING:
            return True
        key = (record.pathname, record.lineno)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = _Place(record)
        return place.may_write(record)


class _Place:
    """The limit of one place in the code."""

    __slots__ = ("_bucket", "_omitted")

    def __init__(self, record: logging.LogRecord) -> None:
        is_long = bool(record.exc_info) or "\n" in str(record.msg)
        limits = (TRACEBACKS_AT_ONCE, TRACEBACKS_PER_S) if is_long else (LINES_AT_ONCE, LINES_PER_S)
        self._bucket = TokenBucket(*limits)
        self._omitted = 0

    def may_write(self, record: logging.LogRecord) -> bool:
        if not self._bucket.spend():
            self._omitted += 1
            return False
        if self._omitted:
            text: Any = record.getMessage()
            record.msg, record.args = f"{text} ({self._omitted:,} similar lines were omitted)", ()
            self._omitted = 0
        return True

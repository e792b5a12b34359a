"""Limits on log lines that any client can cause, so that a flood of requests is not a flood of lines.

Refusals of the gateway are counted by address and reason, and logged once a second. Every other line at
WARNING or above, of this project or of a library, is limited for each place in the code that writes it.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from typing import Any

from api.limits.token_bucket import TokenBucket

log = logging.getLogger(__name__)

LOG_INTERVAL_S = 1.0
MAX_LINES = 5  # per interval, the most frequent first; the others share one line
MAX_KEYS = 1_000  # pairs of address and reason that are counted separately
LINES_AT_ONCE, LINES_PER_S = 5, 0.5  # for each place in the code
TRACEBACKS_AT_ONCE, TRACEBACKS_PER_S = 2, 0.05  # the same, for lines with a traceback
_ADDRESS = re.compile(r"[0-9A-Za-z.:%\[\]_-]{1,64}\Z")
# eventlet writes tracebacks of the application at INFO, to the logger that it is given.
_LIMITED_BELOW_WARNING = frozenset({"api.server.eventlet_server"})


class RefusalLog:
    """Counts refusals, and logs one line per address, reason and interval."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._others = 0  # refusals beyond MAX_KEYS

    def note(self, action: str, address: str | None, reason: str) -> None:
        """Count a refusal, such as ``("refused a request", "192.0.2.7", "unauthorized")``."""
        known = address if address and _ADDRESS.match(address) else "an unknown address"
        key = (action, known, reason)
        if key in self._counts or len(self._counts) < MAX_KEYS:
            self._counts[key] += 1
        else:
            self._others += 1

    def flush(self) -> None:
        """Log the refusals since the last call."""
        counts, self._counts = self._counts, Counter()
        others, self._others = self._others, 0
        for (action, address, reason), count in counts.most_common(MAX_LINES):
            log.info("%s from %s: %s%s", action, address, reason, f" ({count:,} times)" if count > 1 else "")
        rest = counts.most_common()[MAX_LINES:]
        if rest or others:
            addresses = len({address for (_, address, _), _ in rest})
            count = others + sum(count for _, count in rest)
            log.info("refused %s more, from at least %s addresses", f"{count:,}", f"{addresses:,}")

    def run(self) -> None:
        """Log once per interval, until the process ends."""
        while True:
            time.sleep(LOG_INTERVAL_S)
            self.flush()


refusals = RefusalLog()  # one per process, as a logger


class RepeatFilter(logging.Filter):
    """Limits how often each place in the code may write a line at WARNING or above.

    The next line that is written has the number of omitted lines.
    """

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[tuple[str, int], _Place] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line may be written."""
        if record.levelno < logging.WARNING and record.name not in _LIMITED_BELOW_WARNING:
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

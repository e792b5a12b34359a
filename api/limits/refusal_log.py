"""Logs the gateway's refusals as counts, so that a flood of requests does not flood the log.

Refusals are counted by address and reason, and logged once a second. :mod:`api.limits.log_repeat_filter`
limits the other lines.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter

log = logging.getLogger(__name__)

LOG_INTERVAL_S = 1.0
MAX_LINES = 5  # per interval, the most frequent first; the others share one line
MAX_KEYS = 1_000  # pairs of address and reason that are counted separately
_ADDRESS = re.compile(r"[0-9A-Za-z.:%\[\]_-]{1,64}\Z")


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

"""A token bucket."""

from __future__ import annotations

import time

# A client that follows 500 jobs joins and resumes 500 times at once when it reconnects.
BURST = 1_200
PER_SECOND = 20.0


class TokenBucket:
    """Limits the messages of one client: ``burst`` at once, then ``per_second``."""

    __slots__ = ("_burst", "_per_second", "_refilled_s", "_tokens")

    def __init__(self, burst: float = BURST, per_second: float = PER_SECOND) -> None:
        self._burst, self._per_second = burst, per_second
        self._tokens = burst
        self._refilled_s = time.monotonic()

    def spend(self) -> bool:
        """Remove one token; return whether there was one."""
        now_s = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now_s - self._refilled_s) * self._per_second)
        self._refilled_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

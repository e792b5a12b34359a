"""A token bucket."""

from __future__ import annotations

import time

# Who follows 500 jobs joins as many rooms and resumes as often when it comes back: all at once, and rarely.
BURST = 1_200


PER_SECOND = 20.0


class TokenBucket:
    """How much one client may still say: a token bucket."""

    __slots__ = ("_at_s", "_burst", "_left", "_per_second")

    def __init__(self, burst: float = BURST, per_second: float = PER_SECOND) -> None:
        self._burst, self._per_second = burst, per_second
        self._left = burst
        self._at_s = time.monotonic()

    def spend(self) -> bool:
        """Take one message off; return whether there was one left."""
        now_s = time.monotonic()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_second)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True

"""The counter of REST requests for the rate limit.

The store counts for all gateways. While it is unreachable, requests that need it cannot be counted; those
that need none, for pages and documents, are counted by each gateway in its memory.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from api.errors import RateLimitedError
from api.limits.request_window_storage import RequestWindowStorage
from cto_worker.store import keys
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from limits import WindowStats

    from cto_worker.config import Settings

STORE_TIMEOUT_S = 1.0  # less than a view may take, so that counting does not use up its time
REFUSED_S = 1.0  # how long a caller above its limit is refused without asking the store again
MAX_REFUSED = 10_000  # callers that are remembered as refused


class RequestCounter:
    """Counts requests in a sliding window. A fixed window would allow twice the limit around its end."""

    def __init__(self, settings: Settings, connections: int) -> None:
        """``connections`` is the largest number of connections to the store."""
        store = connect(
            settings, connections, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False, url=settings.limits_url
        )
        self._limit: RateLimitItem = parse(settings.rate_limit)
        self._in_store = SlidingWindowCounterRateLimiter(
            # The URL is unused: the pool has the store's address.
            RequestWindowStorage(
                "redis://", connection_pool=store.connection_pool, key_prefix=keys.LIMITS_PREFIX
            )
        )
        self._in_memory = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._refused: OrderedDict[str, tuple[float, WindowStats]] = OrderedDict()

    def refusal_of(self, name: str) -> WindowStats | None:
        """Return the window of a caller that was refused just now, or ``None``. Does not use the store."""
        until_s, window = self._refused.get(name, (0.0, None))
        if window is None or time.monotonic() < until_s:
            return window
        self._refused.pop(name, None)
        return None

    def count(self, name: str, *, needs_store: bool) -> tuple[bool, WindowStats]:
        """Count one request of a caller. Return whether it is within the limit, and the caller's window.

        Raises ``RedisError`` if ``needs_store`` and the store cannot count the request.
        """
        if window := self.refusal_of(name):  # refused while this request waited
            return False, window
        try:
            return self._count(self._in_store, name)
        except RedisError:
            if needs_store:
                raise
            return self._count(self._in_memory, name)

    def headers(self, window: WindowStats) -> dict[str, str]:
        """Return the response headers with the caller's limit, and the remaining requests."""
        return {
            "X-RateLimit-Limit": str(self._limit.amount),
            "X-RateLimit-Remaining": str(window.remaining),
            "X-RateLimit-Reset": str(math.ceil(window.reset_time)),
        }

    def error(self, window: WindowStats) -> RateLimitedError:
        """Return the error for a caller without a request left in its window."""
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        limit = f"{self._limit.amount:,} requests in {self._limit.get_expiry():,} s"
        return RateLimitedError(f"the limit of {limit} is reached: try again in {seconds} s", seconds)

    def _count(self, limiter: SlidingWindowCounterRateLimiter, name: str) -> tuple[bool, WindowStats]:
        allowed = limiter.hit(self._limit, name)
        window = limiter.get_window_stats(self._limit, name)
        if not allowed:
            self._remember(name, window)
        return allowed, window

    def _remember(self, name: str, window: WindowStats) -> None:
        refused_s = min(window.reset_time - time.time(), REFUSED_S)
        self._refused[name] = (time.monotonic() + refused_s, window)
        if len(self._refused) > MAX_REFUSED:
            self._refused.popitem(last=False)

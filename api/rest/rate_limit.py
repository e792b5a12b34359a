"""Rate limits of REST: requests per user, or per address without a valid token.

The store counts for all gateways. If it is unreachable, requests are refused, except for pages and documents,
which need no store: the gateway then counts these itself. Static files are not counted.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import g, request
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from api import metric_definitions
from api.auth.authentication import PUBLIC, TOKEN_IN_QUERY
from api.auth.caller import Role
from api.errors import RateLimitedError, error_body
from api.limits.client_address_prefix import network_of
from api.rest.concurrency_limit import AT_ONCE, ConcurrencyLimit
from api.server.fair_queueing import CALLER
from cto_worker.store import keys
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Flask, Response
    from limits import WindowStats

    from cto_worker.config import Settings

STORE_TIMEOUT_S = 1.0  # less than a view may take, so that counting does not use up its time
UNCOUNTED = frozenset({"healthz", "readyz"})  # health checks must never be refused
STATIC = frozenset(
    {"static", "client.static", "guide.static"}
)  # a page loads dozens of these files, and each is cheap
REFUSED_S = 1.0  # how long a caller above its limit is refused without asking the store again
MAX_REFUSED = 10_000  # callers that are remembered as refused
REFUSE_EARLY = "refuse_early"  # the key of the middleware in the app's extensions


def limit_requests(app: Flask, settings: Settings) -> None:
    """Limit the requests that run at once, and answer 429 to a caller above ``CTO_RATE_LIMIT``.

    With ``CTO_AUTH=off`` requests are not counted, because all clients are on this machine. Requests of the
    service are not counted either, because it acts for all users. Stores the WSGI middleware of
    :meth:`_Limits.refuse_early` in ``app.extensions``.
    """
    limits = _Limits(settings)
    app.extensions[REFUSE_EARLY] = limits.refuse_early
    app.before_request(limits.admit)
    app.after_request(limits.add_headers)
    app.teardown_request(limits.release)


class _Limits:
    """The hooks before and after each request."""

    def __init__(self, settings: Settings) -> None:
        self._in_flight = ConcurrencyLimit()
        self._counter = Counter(settings) if settings.auth == "required" else None

    def refuse_early(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """Return the WSGI application with a cheap 429 for callers that were refused just now.

        Flask would need most of the time of a refusal. A flood of requests would use it up for all callers.
        """
        counter = self._counter
        if counter is None:
            return app

        def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            path, query = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
            # A token in the query may be of another caller.
            window = counter.refusal_of(environ.get(CALLER, "")) if path.startswith("/api/") else None
            if window is None or "token=" in query:
                return app(environ, start_response)
            return _refuse(start_response, counter.error(window), counter.headers(window))

        return serve

    def admit(self) -> None:
        """Count the request, and wait for a slot. Raises :class:`RateLimitedError`, and as :class:`Counter`.

        The slot is released after the view. Streams and WebSockets, which last longer, release it before; the
        connection limits apply to them.
        """
        if request.endpoint in UNCOUNTED:
            return
        caller = g.get("caller")
        service = caller is not None and caller.role is Role.SERVICE
        counter = None if service or request.endpoint in STATIC else self._counter
        name = caller.name if caller else f"address:{network_of(request.remote_addr or '')}"
        if counter:
            counter.check(name)
        if caller:
            _read_body()
        g.release = self._in_flight.acquire(name, service=service)
        if counter:
            g.window = counter.count(name, needs_store=request.endpoint not in PUBLIC)
        if request.endpoint in TOKEN_IN_QUERY:
            self.release(None)

    def add_headers(self, response: Response) -> Response:
        """Add the caller's limit, and what is left of it, to the response."""
        if self._counter and "window" in g:
            response.headers.update(self._counter.headers(g.window))
        return response

    def release(self, _: BaseException | None) -> None:
        """Release the request's slot."""
        release: Callable[[], None] | None = g.pop("release", None)
        if release:
            release()


def _read_body() -> None:
    """Read the body before the request gets a slot, so that a slow client does not occupy one."""
    if request.method == "POST":
        with suppress(HTTPException):  # raised again in the view
            request.get_data()


class Counter:
    """Counts requests in a sliding window. A fixed window would allow twice the limit around its end."""

    def __init__(self, settings: Settings) -> None:
        store = connect(
            settings, AT_ONCE, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False, url=settings.limits_url
        )
        self._limit: RateLimitItem = parse(settings.rate_limit)
        self._in_store = SlidingWindowCounterRateLimiter(
            # The URL is unused: the pool has the store's address.
            RedisStorage("redis://", connection_pool=store.connection_pool, key_prefix=keys.LIMITS_PREFIX)
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

    def check(self, name: str) -> None:
        """Raise :class:`RateLimitedError` for a caller that was refused just now."""
        if window := self.refusal_of(name):
            self._refuse(window)

    def count(self, name: str, *, needs_store: bool) -> WindowStats:
        """Count one request; return what is left. Raises :class:`RateLimitedError`.

        Raises ``RedisError`` if ``needs_store`` and the store cannot count the request.
        """
        self.check(name)  # again: the caller may have been refused while this request waited
        try:
            return self._count(self._in_store, name)
        except RedisError:
            if needs_store:
                raise
            return self._count(self._in_memory, name)

    def headers(self, window: WindowStats) -> dict[str, str]:
        """Return the response headers with the caller's limit, and what is left of it."""
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

    def _count(self, limiter: SlidingWindowCounterRateLimiter, name: str) -> WindowStats:
        allowed = limiter.hit(self._limit, name)
        window = limiter.get_window_stats(self._limit, name)
        if not allowed:
            self._remember(name, window)
            self._refuse(window)
        return window

    def _remember(self, name: str, window: WindowStats) -> None:
        refused_s = min(window.reset_time - time.time(), REFUSED_S)
        self._refused[name] = (time.monotonic() + refused_s, window)
        if len(self._refused) > MAX_REFUSED:
            self._refused.popitem(last=False)

    def _refuse(self, window: WindowStats) -> None:
        g.window = window
        raise self.error(window)


def _refuse(
    start_response: Callable[..., Any], error: RateLimitedError, headers: dict[str, str]
) -> Iterable[bytes]:
    """Answer as :mod:`api.rest.responses` does, without Flask."""
    body = error_body(error.code, str(error))
    metric_definitions.REQUEST.labels("any", "refused", HTTPStatus.TOO_MANY_REQUESTS.value).observe(0)
    headers |= {"Retry-After": str(error.retry_after_s), "Content-Type": "application/json"}
    start_response("429 TOO MANY REQUESTS", [*headers.items(), ("Content-Length", str(len(body)))])
    return [body]

"""Rate limits: how many REST requests each user, or each address without a good token, may send.

The store counts, for all gateways together. A request that cannot be counted is refused, unless its answer
needs no store (pages and documents): those are counted here then. Static files are not counted.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from flask import g, request
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from api.auth.authentication import PUBLIC, TOKEN_IN_QUERY
from api.auth.policy import Role
from api.errors import RateLimitedError
from api.limits.addresses import network_of
from api.rest.in_flight import AT_ONCE, InFlight
from cto_worker.store import keys
from cto_worker.store.connection import connect

if TYPE_CHECKING:
    from flask import Flask, Response
    from limits import WindowStats

    from cto_worker.config import Settings

STORE_TIMEOUT_S = 1.0  # to be counted must not take what the answer itself may take
UNCOUNTED = frozenset({"healthz", "readyz"})  # what watches the gateway must not be turned away by it
STATIC = frozenset({"static", "client.static"})  # one page loads dozens of these files, and each costs little
# A caller over its limit is refused for so long without asking the store again.
REMEMBER_S = 1.0
MAX_REMEMBERED = 10_000
TOO_MANY = "too many requests: try again when Retry-After has passed"


def limit_requests(app: Flask, settings: Settings) -> None:
    """Bound the requests in flight, and answer 429 to a caller above ``CTO_RATE_LIMIT``.

    Without authorization nothing is counted, for then all is one machine; nor is the service, which asks for
    all of its users.
    """
    limits = _Limits(settings)
    app.before_request(limits.admit)
    app.after_request(limits.show)
    app.teardown_request(limits.leave)


class _Limits:
    """What is done with each request, before it is looked at and after it is answered."""

    def __init__(self, settings: Settings) -> None:
        self._in_flight = InFlight()
        self._counter = Counter(settings) if settings.auth == "required" else None

    def admit(self) -> None:
        """Wait for the request's turn and count it. Raises :class:`RateLimitedError`, or as :class:`Counter`.

        The turn ends with the view. Streams and WebSockets last longer, and are bounded by others.
        """
        if request.endpoint in UNCOUNTED:
            return
        caller = g.get("caller")
        service = caller is not None and caller.role is Role.SERVICE
        counter = None if service or request.endpoint in STATIC else self._counter
        name = caller.name if caller else f"address:{network_of(request.remote_addr or '')}"
        if counter:
            counter.check(name)
        g.turn = turn = ExitStack()
        turn.enter_context(self._in_flight.admitted(name, service=service))
        if caller:
            _read_body()
        turn.enter_context(self._in_flight.turn(name))
        if counter:
            g.window = counter.count(name, needs_store=request.endpoint not in PUBLIC)
        if request.endpoint in TOKEN_IN_QUERY:
            turn.close()

    def show(self, response: Response) -> Response:
        """Tell the client its limit and what is left of it."""
        if self._counter and "window" in g:
            response.headers.update(self._counter.headers(g.window))
        return response

    def leave(self, _: BaseException | None) -> None:
        """End the request's turn."""
        turn: ExitStack | None = g.pop("turn", None)
        if turn:
            turn.close()


def _read_body() -> None:
    """Read the body before the turn: a client that sends slowly must not keep one."""
    if request.method == "POST":
        with suppress(HTTPException):  # the view meets it again
            request.get_data()


class Counter:
    """Counts requests in a sliding window: a fixed one would let twice as many through around its end."""

    def __init__(self, settings: Settings) -> None:
        store = connect(settings.of_limits, AT_ONCE, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False)
        self._limit: RateLimitItem = parse(settings.rate_limit)
        self._in_store = SlidingWindowCounterRateLimiter(
            # The pool knows where the store is.
            RedisStorage("redis://", connection_pool=store.connection_pool, key_prefix=keys.LIMITS_PREFIX)
        )
        self._here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._refused: OrderedDict[str, tuple[float, WindowStats]] = OrderedDict()

    def check(self, name: str) -> None:
        """Raise :class:`RateLimitedError` for a caller that has just been over its limit. Asks no store."""
        until_s, window = self._refused.get(name, (0.0, None))
        if window is None:
            return
        if time.monotonic() < until_s:
            self._refuse(window)
        self._refused.pop(name, None)

    def count(self, name: str, *, needs_store: bool) -> WindowStats:
        """Count one request; return what is left. Raises :class:`RateLimitedError`.

        Raises ``RedisError`` when the store cannot count a request that ``needs_store``.
        """
        self.check(name)  # again, for it may have waited for its turn
        try:
            return self._count(self._in_store, name)
        except RedisError:
            if needs_store:
                raise
            return self._count(self._here, name)

    def headers(self, window: WindowStats) -> dict[str, str]:
        """Return the headers that tell a client its limit."""
        return {
            "X-RateLimit-Limit": str(self._limit.amount),
            "X-RateLimit-Remaining": str(window.remaining),
            "X-RateLimit-Reset": str(math.ceil(window.reset_time)),
        }

    def _count(self, limiter: SlidingWindowCounterRateLimiter, name: str) -> WindowStats:
        counted = limiter.hit(self._limit, name)
        window = limiter.get_window_stats(self._limit, name)
        if not counted:
            self._remember(name, window)
            self._refuse(window)
        return window

    def _remember(self, name: str, window: WindowStats) -> None:
        for_s = min(window.reset_time - time.time(), REMEMBER_S)
        self._refused[name] = (time.monotonic() + for_s, window)
        if len(self._refused) > MAX_REMEMBERED:
            self._refused.popitem(last=False)

    def _refuse(self, window: WindowStats) -> None:
        g.window = window
        raise RateLimitedError(TOO_MANY, max(1, math.ceil(window.reset_time - time.time())))

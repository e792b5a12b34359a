"""Limits on connections for events, so that many clients harm neither the store nor each other."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from werkzeug.wsgi import ClosingIterator

from api import metric_definitions
from api.errors import error_body
from api.limits.client_address_prefix import network_of
from api.limits.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

RETRY_AFTER_S = 5
MAX_ADDRESSES = 10_000  # maximum number of addresses whose token buckets are kept
_SESSION = re.compile(r"(?:^|&)sid=[^&]")  # matches the parameter as Engine.IO's parse_qs does


class ConnectionLimitMiddleware:
    """WSGI middleware that limits the connections for events, on all transports together, but not REST.

    ``detached`` has functions that count the connections without a request: Engine.IO sessions and the open
    WebSockets of ``/ws``. SSE streams, and requests for ``/ws`` until they are answered, are counted here.
    ``may_open`` returns whether an address may open one more connection.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        detached: Mapping[str, Callable[[], int]],
        limit: int,
        may_open: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._app, self._detached, self._limit, self._may_open = app, detached, limit, may_open
        self._requests: Counter[str] = Counter()  # by transport

    @property
    def detached(self) -> int:
        """The number of connections without a request, which the server does not count."""
        return sum(count() for count in self._detached.values())

    def counts(self) -> dict[str, int]:
        """Return the number of connections on each transport."""
        return {
            transport: self._requests[transport] + self._detached.get(transport, int)()
            for transport in ("socketio", "stream", "websocket")
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request, or refuse it."""
        path: str = environ.get("PATH_INFO", "")
        transport = "websocket" if path == "/ws" else "stream" if path.endswith("/stream") else None
        if transport or _opens_session(path, environ):
            if self.detached + self._requests.total() >= self._limit:
                metric_definitions.REFUSED.labels("full").inc()
                message = "this gateway has reached its connection limit: try again later"
                return _refuse(start_response, HTTPStatus.SERVICE_UNAVAILABLE, message)
            if not self._may_open(environ.get("REMOTE_ADDR", "")):
                metric_definitions.REFUSED.labels("address").inc()
                message = "too many new connections from your address: try again later"
                return _refuse(start_response, HTTPStatus.TOO_MANY_REQUESTS, message)
        if transport is None:
            return self._app(environ, start_response)
        self._requests[transport] += 1
        body: Iterable[bytes] = ()
        try:
            body = self._app(environ, start_response)
        finally:
            if not body:
                self._end(transport)
        return ClosingIterator(body, [partial(self._end, transport)]) if body else body

    def _end(self, transport: str) -> None:
        self._requests[transport] -= 1


class AddressRateLimiter:
    """Limits how often each address may open connections, so that one address cannot use up the limit of all.

    A connection that does not join lasts 5 s, so one address has less than half of ``max_connections``.
    Clients behind one proxy can still all reconnect within a minute.
    """

    def __init__(self, max_connections: int) -> None:
        self._burst = max(max_connections / 4, 1)
        self._buckets: dict[str, TokenBucket] = {}  # by network; the least recently used first

    def spend(self, address: str) -> bool:
        """Remove a token from the address's bucket. Return whether there was one."""
        network = network_of(address)
        bucket = self._buckets.pop(network, None) or TokenBucket(self._burst, self._burst / 10)
        self._buckets[network] = bucket
        if len(self._buckets) > MAX_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        return bucket.spend()


def _opens_session(path: str, environ: dict[str, Any]) -> bool:
    return path.startswith("/socket.io/") and not _SESSION.search(environ.get("QUERY_STRING", ""))


def _refuse(start_response: Callable[..., Any], status: HTTPStatus, message: str) -> Iterable[bytes]:
    headers = [("Content-Type", "application/json"), ("Retry-After", str(RETRY_AFTER_S))]
    start_response(f"{status} {status.phrase}", headers)
    return [error_body("too_many_connections", message)]

"""The limits of REST: requests that run at once, and requests of each user in a window.

A request without a valid token counts for its address. Static files are not counted. If the store is
unreachable, requests are refused, except for pages and documents, which need no store.
"""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import g, request
from werkzeug.exceptions import HTTPException

from api import metric_definitions
from api.auth.authentication import PUBLIC, TOKEN_IN_QUERY
from api.auth.caller import Role
from api.errors import error_body
from api.limits.client_address_prefix import caller_of
from api.limits.request_counter import RequestCounter
from api.rest.concurrency_limit import MAX_RUNNING, ConcurrencyLimit
from api.server.fair_queueing import CALLER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Flask, Response

    from api.errors import RateLimitedError
    from cto_worker.config import Settings

UNCOUNTED = frozenset({"healthz", "readyz"})  # health checks must never be refused
STATIC = frozenset(
    {"static", "client.static", "guide.static"}
)  # a page loads dozens of these files, and each is cheap
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
        self._counter = RequestCounter(settings, MAX_RUNNING) if settings.auth == "required" else None

    def refuse_early(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """Return the WSGI application with a cheap 429 for callers that were refused just now.

        Flask takes most of the time of a refusal, so a flood of refused requests would slow down all callers.
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
            return _respond_429(start_response, counter.error(window), counter.headers(window))

        return serve

    def admit(self) -> None:
        """Count the request, and wait for a slot.

        Raises :class:`~api.errors.RateLimitedError`, and the errors of :meth:`RequestCounter.count` and
        :meth:`ConcurrencyLimit.acquire`.

        The slot is released after the view. Streams and WebSockets, which last longer, release it before; the
        connection limits apply to them.
        """
        if request.endpoint in UNCOUNTED:
            return
        caller = g.get("caller")
        service = caller is not None and caller.role is Role.SERVICE
        counter = None if service or request.endpoint in STATIC else self._counter
        name = caller.name if caller else caller_of(request.remote_addr or "")
        if counter and (window := counter.refusal_of(name)):
            g.window = window
            raise counter.error(window)
        if caller:
            _read_body()
        g.release = self._in_flight.acquire(name, service=service)
        if counter:
            allowed, g.window = counter.count(name, needs_store=request.endpoint not in PUBLIC)
            if not allowed:
                raise counter.error(g.window)
        if request.endpoint in TOKEN_IN_QUERY:
            self.release(None)

    def add_headers(self, response: Response) -> Response:
        """Add the caller's limit and remaining requests to the response."""
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


def _respond_429(
    start_response: Callable[..., Any], error: RateLimitedError, headers: dict[str, str]
) -> Iterable[bytes]:
    """Answer as :mod:`api.rest.responses` does, without Flask."""
    body = error_body(error.code, str(error))
    metric_definitions.REQUEST.labels("any", "refused", HTTPStatus.TOO_MANY_REQUESTS.value).observe(0)
    headers |= {"Retry-After": str(error.retry_after_s), "Content-Type": "application/json"}
    start_response("429 TOO MANY REQUESTS", [*headers.items(), ("Content-Length", str(len(body)))])
    return [body]

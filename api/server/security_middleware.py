"""WSGI middleware around every transport: security headers, hosts, origins and CORS.

It is outside of Flask and Engine.IO, so neither can answer without it. A request that the HTTP parser refuses
does not get here; :func:`api.server.http_head_parser.error_response` adds the same headers.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from api import metric_definitions
from api.auth.origins_and_hosts import MAX_SHOWN, OriginAndHostPolicy
from api.errors import ERRORS, ForbiddenError, error_body
from api.server import cors_headers
from api.server.security_headers import SECURITY_HEADERS
from cto_worker.observability.warning_limiter import WarningLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cto_worker.config import Settings

log = logging.getLogger(__name__)

SOCKETIO = "/socket.io/"
# Pages of other origins may not even read these paths: a response can be an open connection. They may read
# all other paths.
GUARDED = ("/api/", SOCKETIO, "/ws")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_JSONP = re.compile(r"(?:^|&)(?:j|%6[aA])=")
_HINTS = {
    "origin_not_allowed": "add it to CTO_CORS_ORIGINS if its pages may use this gateway",
    "host_not_allowed": "with CTO_AUTH=off only loopback names are answered",
}


class SecurityMiddleware:
    """The middleware. ``app`` is the application that it protects."""

    def __init__(self, app: Callable[..., Iterable[bytes]], settings: Settings) -> None:
        self._app, self._policy, self._warnings = app, OriginAndHostPolicy(settings), WarningLimiter(log)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request, or refuse it."""
        cors: list[tuple[str, str]] = []  # filled when the origin is known to be allowed or refused

        def start(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            return start_response(status, _complete(headers, cors), *failure)

        try:
            origin = self._checked_origin(environ)
        except ForbiddenError as refusal:
            self._log(environ, refusal)
            cors += cors_headers.REFUSED
            return _refuse(start, HTTPStatus.FORBIDDEN, refusal.code, str(refusal))
        path: str = environ.get("PATH_INFO", "")
        if origin and path.startswith(GUARDED):
            cors += cors_headers.headers(origin, credentials=path.startswith(SOCKETIO))
            if cors_headers.is_preflight(environ):
                start("204 No Content", cors_headers.preflight_headers(environ))
                return []
        if path.startswith(SOCKETIO) and _JSONP.search(environ.get("QUERY_STRING", "")):
            return _refuse(
                start,
                HTTPStatus.BAD_REQUEST,
                "jsonp_not_supported",
                "JSONP is not supported: use the transports websocket and polling, without the parameter j",
            )
        return self._serve(environ, start)

    def _serve(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        try:
            return self._app(environ, start)
        except OSError:  # the client is gone or sends too much; the server ends the connection
            raise
        except Exception:
            log.exception("unexpected error while a request was handled")
            metric_definitions.BROKEN.inc()
            message = ERRORS["internal_error"].message
            return _refuse(start, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message)

    def _checked_origin(self, environ: dict[str, Any]) -> str | None:
        """Return the request's origin. Raises :class:`ForbiddenError` when host or origin is not allowed."""
        host, origin = environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN")
        self._policy.check_host(host)
        writes = environ["REQUEST_METHOD"] not in _SAFE
        if writes or environ.get("PATH_INFO", "").startswith(GUARDED):
            self._policy.check_origin(host, origin)
        return origin

    def _log(self, environ: dict[str, Any], refusal: ForbiddenError) -> None:
        kind = "origin" if refusal.code == "origin_not_allowed" else "host"
        metric_definitions.REFUSED.labels(kind).inc()
        value = environ.get(f"HTTP_{kind.upper()}", "")
        self._warnings.warn(
            f"{kind} {value}",
            "refused a request from %s: the %s %s is not allowed: %s",
            environ.get("REMOTE_ADDR"),
            kind,
            value[:MAX_SHOWN],
            _HINTS[refusal.code],
        )


def _complete(headers: list[tuple[str, str]], cors: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return a response's headers together with those of every response."""
    names = {name.lower() for name, _ in headers}
    complete = [*headers, *SECURITY_HEADERS]
    if "cache-control" not in names:
        # A cache must not serve one caller's response to another caller.
        complete.append(("Cache-Control", "no-store"))
    if cors:
        complete += [*cors, ("Vary", "Origin")]
    return complete


def _refuse(start: Callable[..., Any], status: HTTPStatus, code: str, message: str) -> Iterable[bytes]:
    body = error_body(code, message)
    # A browser hides the body of a refused preflight request or handshake, but shows the status.
    start(
        f"{status} {code.replace('_', ' ').capitalize()}",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )
    return [body]

"""The Flask app: REST, health and the pages, put together from their parts."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, g, jsonify, request, send_from_directory
from flask_cors import CORS
from redis.exceptions import ConnectionError as StoreConnectionError

from api import asyncapi, errors, jobs, measures, openapi
from api.auth import check_origin, note_caller, require_caller
from api.body import MAX_BODY_BYTES
from api.errors import unavailable
from api.limits import limit_requests
from cto_worker.history import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis import Redis

    from api.auth import Gate
    from cto_worker.config import Settings
    from cto_worker.journal import Journal
    from cto_worker.producer import Producer

LATE_S = 10.0  # the relay hears its own heartbeat every 2 s, and connects anew after 6 s without
STATIC = Path(__file__).parent / "static"
SECURITY_HEADERS = [
    (
        "Content-Security-Policy",
        (
            "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'"
        ),
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
]


def create_app(  # noqa: PLR0913 - the parts that it is put together from
    settings: Settings,
    gate: Gate,
    store: Redis,
    journal: Journal,
    producer: Producer,
    *,
    late_s: Callable[[], float] = lambda: 0.0,
    stopping: Callable[[], bool] = lambda: False,
) -> Flask:
    """Return the app. It serves whomever the gate admits.

    It is ready while events are not ``late_s`` and the gateway is not ``stopping``.
    """
    app = Flask("api", static_folder=str(STATIC), static_url_path="/static")
    # One more than is allowed: Werkzeug reads a body of unknown length so far and cuts the rest off silently.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider
    errors.register(app)
    if settings.cors_origins:
        CORS(
            app,
            resources="/api/*",
            origins=list(settings.cors_origins),
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-None-Match",
                "Last-Event-ID",
            ],
            expose_headers=[
                "ETag",
                "Location",
                "Retry-After",
                "WWW-Authenticate",
                "X-RateLimit-Limit",
                "X-RateLimit-Remaining",
                "X-RateLimit-Reset",
            ],
        )

    @app.before_request
    def _refuse_foreign_pages() -> None:
        g.asked_s = perf_counter()
        origin = None if request.method in {"GET", "HEAD", "OPTIONS"} else request.headers.get("Origin")
        check_origin(settings, request.environ.get("HTTP_HOST") or request.host, origin)

    @app.after_request
    def _secure(response: Response) -> Response:
        # What a token was asked for must not be shown to the next one who asks.
        response.headers.setdefault("Cache-Control", "no-store")
        if response.status_code not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            response.headers.pop("Retry-After", None)  # Flask-Limiter puts it everywhere
        _measure(response)
        return response

    app.wsgi_app = _secured(app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents it

    # In this order: whoever guesses tokens is counted, too.
    note_caller(app, gate)
    limit_requests(app, settings)
    require_caller(app)

    @app.get("/healthz")
    def healthz() -> Response:
        """Answer as long as the process can. Never asks the store."""
        return jsonify(success=True, data={"status": "alive"})

    @app.get("/readyz")
    def readyz() -> Response:
        """Answer when the store does, and brings events; else, and while the gateway stops, 503."""
        if stopping():
            return unavailable("going_away", "this gateway stops: ask another one")
        store.ping()
        if late_s() > LATE_S:
            raise StoreConnectionError(f"no event has come through the store for {late_s():.0f} s")
        return jsonify(success=True, data={"status": "ready"})

    _add_pages(app, secured=settings.auth == "required")
    app.register_blueprint(jobs.blueprint(History(store), journal, producer))
    return app


def _measure(response: Response) -> None:
    """Count the time until an answer begins. Addresses that do not exist are one."""
    rule = request.url_rule
    method, route = (request.method, rule.rule) if rule else ("any", "unknown")
    if not (rule and rule.websocket):
        measures.REQUEST.labels(method, route, response.status_code).observe(perf_counter() - g.asked_s)
    if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        measures.BROKEN.inc()


def _secured(serve: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Put the headers onto every answer; Flask's own way of doing that looks each of them over every time."""

    def serve_securely(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            return start_response(status, [*headers, *SECURITY_HEADERS], *failure)

        return serve(environ, start)

    return serve_securely


def _client_folder() -> Path:
    """Where the browser client's modules lie: in a checkout beside this package, in a wheel inside it."""
    package = Path(__file__).parent
    inside = package / "client"
    return inside if inside.exists() else package.parent / "clients" / "js" / "src"


def _add_pages(app: Flask, *, secured: bool) -> None:
    """Add the pages, what they are built on, and the documents that one of them shows."""
    # As they are written: a browser reads modules, and so needs no build.
    app.register_blueprint(
        Blueprint("client", __name__, static_folder=str(_client_folder()), static_url_path="/client")
    )

    @app.get("/")
    def page() -> Response:
        return send_from_directory(STATIC, "index.html")

    @app.get("/docs")
    def docs() -> Response:
        return send_from_directory(STATIC, "docs.html")

    @app.get("/openapi.json")
    def openapi_document() -> Response:
        return jsonify(openapi.document(secured=secured))

    @app.get("/asyncapi.json")
    def asyncapi_document() -> Response:
        return jsonify(asyncapi.document())

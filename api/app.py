"""The Flask app: REST, health and the pages, put together from their parts."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, g, jsonify, request, send_from_directory
from redis.exceptions import ConnectionError as StoreConnectionError

from api import metrics
from api.auth.authentication import authenticate_request, require_authentication
from api.rest import error_handlers, jobs
from api.rest.error_handlers import unavailable
from api.rest.rate_limit import limit_requests
from api.rest.request_parsing import MAX_BODY_BYTES
from api.spec import asyncapi, openapi
from cto_worker.store.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from api.auth.authentication import Authenticator
    from cto_worker.config import Settings
    from cto_worker.domain.journal import Journal
    from cto_worker.jobs.producer import Producer

LATE_S = 10.0  # the relay hears its own heartbeat every 2 s, and connects anew after 6 s without
STATIC = Path(__file__).parent / "static"


def create_app(  # noqa: PLR0913 - the parts that it is put together from
    settings: Settings,
    authenticator: Authenticator,
    store: Redis,
    journal: Journal,
    producer: Producer,
    *,
    seconds_since_heartbeat: Callable[[], float] = lambda: 0.0,
    stopping: Callable[[], bool] = lambda: False,
) -> Flask:
    """Return the app. It serves whomever the gate admits.

    It is ready while events are not ``late_s`` and the gateway is not ``stopping``.
    """
    app = Flask("api", static_folder=str(STATIC), static_url_path="/static")
    # One more than is allowed: Werkzeug reads a body of unknown length so far and cuts the rest off silently.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    # A redirect would repeat the request's Host and query, and a token may stand in the latter.
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider
    error_handlers.register(app)

    @app.before_request
    def _begin() -> None:
        g.asked_s = perf_counter()

    @app.after_request
    def _finish(response: Response) -> Response:
        _measure(response)
        return response

    # In this order: whoever guesses tokens is counted, too.
    authenticate_request(app, authenticator)
    limit_requests(app, settings)
    require_authentication(app)

    @app.get("/healthz")
    def healthz() -> Response:
        """Answer as long as the process can. Never asks the store."""
        return jsonify(success=True, data={"status": "alive"})

    @app.get("/readyz")
    def readyz() -> Response:
        """Answer when the store does, and brings events; else, and while the gateway stops, 503."""
        if stopping():
            return unavailable("going_away")
        store.ping()
        if seconds_since_heartbeat() > LATE_S:
            raise StoreConnectionError(
                f"no event has come through the store for {seconds_since_heartbeat():.0f} s"
            )
        return jsonify(success=True, data={"status": "ready"})

    _add_pages(app, secured=settings.auth == "required")
    app.register_blueprint(jobs.blueprint(History(store), journal, producer))
    return app


def _measure(response: Response) -> None:
    """Count the time until an answer begins. Addresses that do not exist are one."""
    rule = request.url_rule
    method, route = (request.method, rule.rule) if rule else ("any", "unknown")
    if not (rule and rule.websocket):
        metrics.REQUEST.labels(method, route, response.status_code).observe(perf_counter() - g.asked_s)
    if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        metrics.BROKEN.inc()


def _client_folder() -> Path:
    """Where the browser client's modules lie: in a checkout beside this package, in a wheel inside it."""
    package = Path(__file__).parent
    inside = package / "client"
    return inside if inside.exists() else package.parent / "clients" / "js" / "src"


def _add_pages(app: Flask, *, secured: bool) -> None:
    """Add the pages, what they are built on, and the documents that one of them shows."""
    # As they are written: a browser reads modules, and so needs no build.
    client = Blueprint("client", __name__, static_folder=str(_client_folder()), static_url_path="/client")

    @client.after_request
    def _for_every_page(response: Response) -> Response:
        # Public code. A page imports modules of another origin only with these.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    app.register_blueprint(client)

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

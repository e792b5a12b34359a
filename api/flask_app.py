"""The Flask app: REST, health checks, documents and pages."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, g, jsonify, request, send_from_directory
from redis.exceptions import ConnectionError as StoreConnectionError

from api import metric_definitions
from api.auth.authentication import authenticate_request, require_authentication
from api.rest import error_handlers, guide_pages, job_views
from api.rest.error_handlers import unavailable
from api.rest.rate_limit import limit_requests
from api.rest.readiness_check import ReadinessCheck
from api.rest.request_parsing import MAX_BODY_BYTES
from api.spec import asyncapi, openapi
from cto_worker.store.journal_queries import JournalQueries

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from api.auth.authentication import Authenticator
    from cto_worker.config import Settings
    from cto_worker.domain.journal_ports import Journal
    from cto_worker.jobs.job_producer import JobProducer

LATE_S = 10.0  # the relay receives its own heartbeat every 2 s, and reconnects after 6 s without one
STATIC = Path(__file__).parent / "static"


def create_app(  # noqa: PLR0913 - the parts that the app is built from
    settings: Settings,
    authenticator: Authenticator,
    store: Redis,
    journal: Journal,
    producer: JobProducer,
    *,
    seconds_since_heartbeat: Callable[[], float] = lambda: 0.0,
    stopping: Callable[[], bool] = lambda: False,
) -> Flask:
    """Return the app, which serves the callers that ``authenticator`` accepts.

    ``/readyz`` answers 200 until ``stopping``, and while the last heartbeat of the relay is at most
    :data:`LATE_S` old.
    """
    app = Flask("api", static_folder=str(STATIC), static_url_path="/static")
    # One byte above the limit: Werkzeug silently truncates a body of unknown length at this size.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    # A redirect would repeat the request's Host and query, and the query may contain a token.
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # an attribute of Flask's default provider
    error_handlers.register(app)

    @app.before_request
    def _start_timer() -> None:
        g.started_s = perf_counter()

    @app.after_request
    def _measure_response(response: Response) -> Response:
        _measure(response)
        return response

    # In this order, so that requests with a wrong token count towards the rate limit.
    authenticate_request(app, authenticator)
    limit_requests(app, settings)
    require_authentication(app)

    @app.get("/healthz")
    def healthz() -> Response:
        """Answer without using the store."""
        return jsonify(success=True, data={"status": "alive"})

    store_check = ReadinessCheck(store)

    @app.get("/readyz")
    def readyz() -> Response:
        """Answer 200 while the store responds and delivers events, and 503 while the gateway stops."""
        if stopping():
            return unavailable("going_away")
        store_check.check()
        if seconds_since_heartbeat() > LATE_S:
            raise StoreConnectionError(
                f"no heartbeat has arrived through the store for {seconds_since_heartbeat():.0f} s"
            )
        return jsonify(success=True, data={"status": "ready"})

    _add_pages(app, settings)
    app.register_blueprint(job_views.blueprint(JournalQueries(store), journal, producer))
    return app


def _measure(response: Response) -> None:
    """Record the time to the response. All paths that do not exist share one label."""
    rule = request.url_rule
    method, route = (request.method, rule.rule) if rule else ("any", "unknown")
    if not (rule and rule.websocket):
        metric_definitions.REQUEST.labels(method, route, response.status_code).observe(
            perf_counter() - g.started_s
        )
    if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        metric_definitions.BROKEN.inc()


def _client_folder() -> Path:
    """Return the folder of the browser client: in a wheel inside this package, in a checkout beside it."""
    package = Path(__file__).parent
    packaged = package / "client"
    return packaged if packaged.exists() else package.parent / "clients" / "js" / "src"


def _add_pages(app: Flask, settings: Settings) -> None:
    """Add the pages, the browser client, and the OpenAPI and AsyncAPI documents."""
    # The client's source files: browsers load modules, so no build is needed.
    client = Blueprint("client", __name__, static_folder=str(_client_folder()), static_url_path="/client")

    @client.after_request
    def _allow_all_origins(response: Response) -> Response:
        # The code is public. Browsers import modules of another origin only with these headers.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    app.register_blueprint(client)
    app.register_blueprint(guide_pages.blueprint())

    @app.get("/")
    def page() -> Response:
        return send_from_directory(STATIC, "index.html")

    @app.get("/docs")
    def docs() -> Response:
        return send_from_directory(STATIC, "docs.html")

    @app.get("/openapi.json")
    def openapi_document() -> Response:
        return jsonify(openapi.document(secured=settings.auth == "required", market=settings.market))

    @app.get("/asyncapi.json")
    def asyncapi_document() -> Response:
        return jsonify(asyncapi.document(settings.market))

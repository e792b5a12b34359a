"""The Flask app: REST, health checks, documents and pages."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from flask import Flask, Response, g, jsonify, render_template, request, send_from_directory
from redis.exceptions import ConnectionError as StoreConnectionError
from werkzeug.exceptions import NotFound

from api import metric_definitions
from api.auth.authentication import authenticate_request, require_authentication
from api.browser_client import routes as browser_client
from api.history.job_history import JobHistory
from api.history.job_search import JobSearch
from api.rest import (
    audit_view,
    guide_pages,
    job_list_views,
    job_views,
    responses,
    review_views,
    system_view,
)
from api.rest.request_limits import limit_requests
from api.rest.request_parsing import MAX_BODY_BYTES
from api.rest.responses import unavailable
from api.rest.store_ping import StorePing
from api.spec import asyncapi, openapi
from cto_worker.domain.audit_entry import Action
from cto_worker.market_registry import account_reader, order_reader, platforms
from cto_worker.store.unarchived_jobs import UnarchivedJobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from api.auth.authentication import Authenticator
    from api.history.archive_reader import ArchiveReader
    from cto_worker.config import Settings
    from cto_worker.domain.journal_ports import Journal
    from cto_worker.jobs.job_producer import JobProducer

LATE_S = 10.0  # the relay receives its own heartbeat every 2 s, and reconnects after 6 s without one
STATIC = Path(__file__).parent / "static"
CONSOLE_ADDRESSES = ("/", "/operations/<job_id>", "/review", "/audit", "/system")


def create_app(  # noqa: PLR0913, PLR0917 - the parts that the app is built from
    settings: Settings,
    authenticator: Authenticator,
    store: Redis,
    journal: Journal,
    producer: JobProducer,
    archive: ArchiveReader,
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
    responses.register(app)

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

    store_ping = StorePing(store)

    @app.get("/readyz")
    def readyz() -> Response:
        """Answer 200 while the store responds and delivers events, and 503 while the gateway stops."""
        if stopping():
            return unavailable("going_away")
        store_ping.check()
        if seconds_since_heartbeat() > LATE_S:
            raise StoreConnectionError(
                f"no heartbeat has arrived through the store for {seconds_since_heartbeat():.0f} s"
            )
        return jsonify(success=True, data={"status": "ready"})

    history = JobHistory(store, archive)
    app.register_blueprint(job_views.blueprint(history, journal, producer))
    if read_account := account_reader(settings, store):
        app.register_blueprint(job_views.wallets_blueprint(read_account))
    app.register_blueprint(job_list_views.blueprint(history, JobSearch(UnarchivedJobs(store), archive)))
    app.register_blueprint(review_views.blueprint(store, history, settings, order_reader(settings, store)))
    app.register_blueprint(system_view.blueprint(store))
    app.register_blueprint(audit_view.blueprint(store, archive))
    _add_pages(app, settings)
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


def _console_view(settings: Settings, *, has_balances: bool) -> Callable[..., str]:
    """Return a view of the console's page. It is the same at every address."""
    known = platforms(settings.market)

    def console(**_: str) -> str:
        return render_template(
            "console.html",
            settings=settings,
            platforms=known,
            has_balances=has_balances,
            audit_actions=list(Action),
        )

    return console


def _add_pages(app: Flask, settings: Settings) -> None:
    """Add the pages, the browser client, and the OpenAPI and AsyncAPI documents."""
    app.register_blueprint(browser_client.blueprint())
    app.register_blueprint(guide_pages.blueprint())

    console = _console_view(settings, has_balances="wallets.wallets" in app.view_functions)
    for address in CONSOLE_ADDRESSES:
        app.add_url_rule(address, "page", console)

    @app.errorhandler(NotFound)
    def _unknown_address(error: NotFound) -> Response | tuple[str, int]:
        """Answer a browser's navigation with the console, which says that there is no such page."""
        if request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", ""):
            return responses.http_error(error)
        return console(), HTTPStatus.NOT_FOUND

    @app.get("/docs")
    def docs() -> Response:
        return send_from_directory(STATIC, "docs.html")

    @app.get("/openapi.json")
    def openapi_document() -> Response:
        return jsonify(openapi.document(secured=settings.auth == "required", market=settings.market))

    @app.get("/asyncapi.json")
    def asyncapi_document() -> Response:
        return jsonify(asyncapi.document(settings.market))

"""Traces of REST requests. Event streams and sockets are not traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import request

from api import library_patches

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask, Response

    from cto_worker.observability.traces_port import Traces

REST_PREFIX = "/api/cto/"
STREAMS = "streams"  # the blueprint of event streams, which last as long as their connections


def trace_requests(app: Flask, traces: Traces) -> None:
    """Trace each request to a route of the REST API, including refused requests."""

    def dispatch_traced(dispatch: Callable[..., Response], *context: Any) -> Response:
        if not _is_rest():
            return dispatch(*context)
        route, cause = str(request.url_rule), request.headers.get("traceparent", "")
        with traces.request(request.method, route, request.path, cause) as set_status:
            response = dispatch(*context)
            set_status(response.status_code)
            return response

    library_patches.wrap_dispatch(app, dispatch_traced)


def _is_rest() -> bool:
    """Return whether the request is to a route of the REST API. Pages and health checks are not."""
    rule = request.url_rule
    return rule is not None and rule.rule.startswith(REST_PREFIX) and request.blueprint != STREAMS

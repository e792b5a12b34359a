"""Traces of REST requests. Event streams and sockets are not traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import request

if TYPE_CHECKING:
    from flask import Flask, Response

    from cto_worker.observability.traces import Traces

BLUEPRINT = "jobs"  # not the streams: their spans would last as long as the connection


def trace_requests(app: Flask, traces: Traces) -> None:
    """Trace each request to a route of REST, including refused requests."""
    dispatch = app.full_dispatch_request

    def dispatch_traced(*context: Any) -> Response:
        if request.blueprint != BLUEPRINT:
            return dispatch(*context)
        route, cause = str(request.url_rule), request.headers.get("traceparent", "")
        with traces.request(request.method, route, request.path, cause) as set_status:
            response = dispatch(*context)
            set_status(response.status_code)
            return response

    app.full_dispatch_request = dispatch_traced  # type: ignore[method-assign]  # Flask's hooks do not run for requests that an earlier hook refuses

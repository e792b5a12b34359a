"""Traces of REST requests; events go their own way, and no trace with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import request

if TYPE_CHECKING:
    from flask import Flask, Response

    from cto_worker.observability.tracing import Traces

BLUEPRINT = "jobs"  # of REST; a stream's span would last as long as the stream


def trace_requests(app: Flask, traces: Traces) -> None:
    """Have each request for a route of REST traced, refused ones too."""
    dispatch = app.full_dispatch_request

    def dispatch_traced(*context: Any) -> Response:
        if request.blueprint != BLUEPRINT:
            return dispatch(*context)
        route, cause = str(request.url_rule), request.headers.get("traceparent", "")
        with traces.request(request.method, route, request.path, cause) as tell:
            response = dispatch(*context)
            tell(response.status_code)
            return response

    app.full_dispatch_request = dispatch_traced  # type: ignore[method-assign]  # its hooks miss what they refuse

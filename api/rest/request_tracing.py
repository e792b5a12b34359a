"""Traces of REST requests. Event streams and sockets are not traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import request

from api import library_patches

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask, Response

    from cto_worker.observability.traces_port import Traces

BLUEPRINT = "jobs"  # not the streams: their spans would last as long as the connection


def trace_requests(app: Flask, traces: Traces) -> None:
    """Trace each request to a route of REST, including refused requests."""

    def dispatch_traced(dispatch: Callable[..., Response], *context: Any) -> Response:
        if request.blueprint != BLUEPRINT:
            return dispatch(*context)
        route, cause = str(request.url_rule), request.headers.get("traceparent", "")
        with traces.request(request.method, route, request.path, cause) as set_status:
            response = dispatch(*context)
            set_status(response.status_code)
            return response

    library_patches.wrap_dispatch(app, dispatch_traced)

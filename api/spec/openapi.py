"""The OpenAPI document, which describes everything that is available over HTTP (docs/decisions/0009)."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from api.errors import CODE_OF_STATUS, ERRORS
from api.rest import response_types
from api.spec.json_schemas import OPENAPI, json_schemas
from api.spec.openapi_components import (
    AUTHENTICATED,
    BEARER_OR_QUERY,
    EVERY_ROUTE,
    HEADERS,
    JSON,
    PAGE,
    RATE_LIMITED,
    TEXT,
    data,
    failure,
    operation,
    parameter,
    response,
)
from api.spec.openapi_job_paths import TOKEN, job_paths

_MAYBE_USER_ID = {"type": "string", "pattern": "^([A-Za-z0-9_.:@+-]{1,64})?$"}
_METRICS = 'cto_gateway_sockets{door="socketio",gateway="1"} 12.0\n'
# The codes of requests that match no path, or that are refused before a path is looked up.
_OTHER_CODES = {*CODE_OF_STATUS.values(), "jsonp_not_supported"} - {"not_found", "body_too_large"}
_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Ignored with CTO_AUTH=off",
    },
    "token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The same token, for clients that cannot send a header",
    },
}


def _handshake() -> list[dict[str, Any]]:
    """Return the headers of a WebSocket handshake."""
    required: dict[str, tuple[dict[str, Any], str]] = {
        "Upgrade": ({"enum": ["websocket"]}, "websocket"),
        "Connection": ({"enum": ["Upgrade"]}, "Upgrade"),
        "Sec-WebSocket-Key": ({"pattern": "^[A-Za-z0-9+/]{21}[AQgw]==$"}, "dGhlIHNhbXBsZSBub25jZQ=="),
        "Sec-WebSocket-Version": ({"enum": ["13"]}, "13"),
    }
    description = "A header of the WebSocket handshake (RFC 6455, section 4.1)"
    return [
        parameter("header", name, {"type": "string"} | schema, description, example) | {"required": True}
        for name, (schema, example) in required.items()
    ]


def _websocket() -> dict[str, Any]:
    return operation(
        "Gateway",
        "webSocket",
        "Open a plain WebSocket (RFC 6455); /asyncapi.json describes its messages",
        {101: response("The WebSocket is open")},
        (
            *AUTHENTICATED,
            "invalid_query",
            "user_mismatch",
            "invalid_handshake",
            "upgrade_required",
            "origin_not_allowed",
            "too_many_connections",
        ),
        security=BEARER_OR_QUERY,
        parameters=[
            TOKEN,
            parameter("query", "userId", _MAYBE_USER_ID, "The user of the token; optional", "7"),
            *_handshake(),
        ],
    )


def _metrics() -> dict[str, Any]:
    return operation(
        "Gateway",
        "metrics",
        "Get the metrics of all gateways and workers, for Prometheus; for operators only",
        {200: response("Metrics in the Prometheus text format", TEXT, example=_METRICS)},
        (*AUTHENTICATED, "forbidden"),
    )


def _public(
    name: str, summary: str, success: dict[str, Any], codes: tuple[str, ...] = RATE_LIMITED
) -> dict[str, Any]:
    """Return a path without authentication."""
    return {"get": operation("Gateway", name, summary, {200: success}, codes, security=[])}


def _gateway_paths() -> dict[str, Any]:
    return {
        "/ws": {"get": _websocket()},
        "/healthz": _public(
            "alive",
            "Check whether the gateway is alive",
            data(response_types.Health, "The gateway is alive", {"status": "alive"}, ()),
            EVERY_ROUTE,
        ),
        "/readyz": _public(
            "ready",
            "Check whether the gateway can serve requests",
            data(response_types.Health, "The gateway can serve requests", {"status": "ready"}, ()),
            (*EVERY_ROUTE, "store_unavailable", "going_away"),
        ),
        "/metrics": {"get": _metrics()},
        "/openapi.json": _public(
            "openapi",
            "Get the description of everything that is available over HTTP",
            response("The OpenAPI 3.1 document", JSON, {"type": "object"}),
        ),
        "/asyncapi.json": _public(
            "asyncapi",
            "Get the description of Socket.IO and the plain WebSocket",
            response("The AsyncAPI 3.0 document", JSON, {"type": "object"}),
        ),
        "/docs": _public(
            "docs", "Read the API reference", response("The API reference, built from both documents", PAGE)
        ),
        "/": _public(
            "page", "Open the dashboard", response("The dashboard, which shows operations live", PAGE)
        ),
    }


def _without_security(paths: dict[str, Any]) -> dict[str, Any]:
    return {
        path: {method: described | {"security": []} for method, described in methods.items()}
        for path, methods in paths.items()
    }


@cache
def document(*, secured: bool = True, market: str = "paper") -> dict[str, Any]:
    """Return the document for a market, which callers must not modify.

    Unless ``secured`` (``CTO_AUTH=off``), no operation requires a token.
    """
    paths = job_paths(secured=secured) | _gateway_paths()
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "CTO operations",
            "version": version("cto"),
            "description": "Start operations and follow their progress. Every JSON response is "
            '`{"success": true, "data": …}` or '
            '`{"success": false, "error": {"code", "message", "details"?}}`. '
            "A method that is not described here is answered with 405, and a request that is not valid "
            "HTTP/1.1 with 400, 414, 431, 501 or 505. Later versions may add fields and paths.",
        },
        "servers": [{"url": "/", "description": "This gateway"}],
        "tags": [
            {"name": "Jobs", "description": "Start, read, follow and cancel jobs. One operation is one job."},
            {
                "name": "Gateway",
                "description": "The plain WebSocket, health checks, metrics, documents and pages.",
            },
        ],
        "paths": paths if secured else _without_security(paths),
        "components": {
            "schemas": json_schemas(market),
            "headers": HEADERS,
            "responses": {
                code.title().replace("_", ""): failure(ERRORS[code].http[0], code)
                for code in ERRORS
                if code in _OTHER_CODES
            },
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }

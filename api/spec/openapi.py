"""The OpenAPI document: what can be asked over HTTP, and what is answered (docs/decisions/0009)."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from api.errors import CODE_OF_STATUS, ERRORS
from api.realtime.stream_cursor import PATTERN
from api.rest.jobs import DEFAULT_LIMIT, FILTERS, MAX_INTEGER, MAX_LIMIT, MAX_STATS
from api.spec import examples
from api.spec.components import (
    AUTHENTICATED,
    BEARER_OR_QUERY,
    EVERY_ROUTE,
    HEADERS,
    JSON,
    LIMITS,
    PAGE,
    RATE_LIMITED,
    STREAM,
    TEXT,
    data,
    failure,
    operation,
    parameter,
    response,
)
from api.spec.schemas import JOB_ID, OPENAPI, json_schemas
from cto_worker.domain.events import dumps

_INTEGER = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
_USER_ID = {"type": "string", "pattern": "^[A-Za-z0-9_.:@+-]{1,64}$"}
_MAYBE_USER_ID = {"type": "string", "pattern": "^([A-Za-z0-9_.:@+-]{1,64})?$"}
_JOB = parameter("path", "jobId", JOB_ID, "The job", examples.JOB_ID)
_IDEMPOTENCY_KEY = parameter(
    "header",
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,128}$"},
    "The same key and body give the same job again, for a day",
    "launch-1",
)
_IF_NONE_MATCH = parameter(
    "header", "If-None-Match", {"type": "string"}, "The `ETag` of the event that one has", '"7"'
)
_TOKEN = parameter(
    "query", "token", {"type": "string"}, "The token, for who cannot send a header", "eyJhbGciOi…"
)
_POSITION = {"type": "string", "pattern": f"^({PATTERN})$"}
_AFTER = parameter("query", "after", _INTEGER, "Only events with a higher `seq`", 1)
_WHOSE = parameter("query", "userId", _USER_ID, "Whose jobs; else the caller's, or for operators all", "7")


def _last_event_id(pattern: str, example: str) -> dict[str, Any]:
    about = "As `after`, before which it goes; an EventSource sends it, empty while it has none"
    return parameter("header", "Last-Event-ID", {"type": "string", "pattern": pattern}, about, example)


def _handshake() -> list[dict[str, Any]]:
    """The headers that make a request a WebSocket's handshake."""
    required: dict[str, tuple[dict[str, Any], str]] = {
        "Upgrade": ({"enum": ["websocket"]}, "websocket"),
        "Connection": ({"enum": ["Upgrade"]}, "Upgrade"),
        "Sec-WebSocket-Key": ({"pattern": "^[A-Za-z0-9+/]{21}[AQgw]==$"}, "dGhlIHNhbXBsZSBub25jZQ=="),
        "Sec-WebSocket-Version": ({"enum": ["13"]}, "13"),
    }
    return [
        parameter("header", name, {"type": "string"} | schema, "As RFC 6455, section 4.1, has it", example)
        | {"required": True}
        for name, (schema, example) in required.items()
    ]


def _public(
    name: str, summary: str, answer: dict[str, Any], codes: tuple[str, ...] = RATE_LIMITED
) -> dict[str, Any]:
    return {"get": operation("Gateway", name, summary, {200: answer}, codes, security=[])}


def _stream(about: str) -> dict[str, Any]:
    """An event stream. OpenAPI 3.1 has no word for its items: by custom, the schema is that of each event."""
    schema = {
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "id": {"type": "string", "description": "What to resume after"},
            "event": {"enum": ["worker_progress", "gap", "auth_expired"]},
            "data": {"type": "string", "contentMediaType": JSON},
        },
    }
    example = {"id": "1", "event": "worker_progress", "data": dumps(examples.LAST_EVENT).decode()}
    return response(about, STREAM, schema, example)


def _of_job(
    name: str, summary: str, answers: dict[int, Any], *parameters: Any, codes: Any = ()
) -> dict[str, Any]:
    failures = (*AUTHENTICATED, "invalid_job_id", "invalid_query", "job_not_found", "not_found", *codes)
    return operation("Jobs", name, summary, answers, failures, parameters=[_JOB, *parameters])


def _links() -> dict[str, Any]:
    """What can be asked about the job that an answer names."""
    found = {"parameters": {"jobId": "$response.body#/data/jobId"}}
    names = ("jobStatus", "latestEvent", "jobEvents", "cancelJob", "jobStream")
    return {name: {"operationId": name, **found} for name in names}


_SUBMITTING = (
    "invalid_json",
    "invalid_request",
    "invalid_query",
    "invalid_idempotency_key",
    "forbidden",
    "origin_not_allowed",
    "idempotency_conflict",
    "body_too_large",
    "unsupported_media_type",
)
# Responses to requests for no route, or that are not HTTP as it should be.
_OF_NO_ROUTE = (
    *(code for code in CODE_OF_STATUS.values() if code not in {"not_found", "body_too_large"}),
    "jsonp_not_supported",
)
_STREAMING = ("origin_not_allowed", "too_many_connections", "busy")
_METRICS = 'cto_gateway_sockets{door="socketio",gateway="1"} 12.0\n'
_CREATED = {
    "links": _links(),
    **data("Created", "The job", examples.CREATED, (*LIMITS, "Location")),
}


def _jobs() -> dict[str, Any]:
    return {
        "post": operation(
            "Jobs",
            "submitJob",
            "Start an operation",
            {202: _CREATED, 200: _CREATED | {"description": "The job that this key made before"}},
            (*AUTHENTICATED, *_SUBMITTING),
            parameters=[_IDEMPOTENCY_KEY],
            requestBody={
                "required": True,
                "content": {
                    JSON: {
                        "schema": {"$ref": "#/components/schemas/OperationRequest"},
                        "example": examples.REQUEST,
                    }
                },
            },
        ),
        "get": operation(
            "Jobs",
            "listJobs",
            "List jobs, newest first",
            {200: data("Page", "One page", examples.PAGE)},
            (*AUTHENTICATED, "invalid_query", "user_mismatch"),
            parameters=[
                parameter(
                    "query",
                    "status",
                    {"type": "string", "enum": [str(status) for status in FILTERS]},
                    "Only jobs that stand so; `needs_review`: ended jobs that wait for an operator",
                    "failed",
                ),
                parameter(
                    "query",
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
                    "How many at most",
                    50,
                ),
                parameter("query", "cursor", _INTEGER | {"minimum": 1}, "`nextCursor` of the page before", 7),
                _WHOSE,
            ],
        ),
    }


def _paths(*, secured: bool) -> dict[str, Any]:
    event = data("ProgressEvent", "The event", examples.LAST_EVENT, (*LIMITS, "ETag"))
    return {
        "/api/cto/jobs": _jobs(),
        "/api/cto/job/{jobId}/status": {
            "get": _of_job(
                "jobStatus", "Everything about a job", {200: data("JobStatus", "The job", examples.STATUS)}
            )
        },
        "/api/cto/job/{jobId}/latest": {
            "get": _of_job(
                "latestEvent",
                "The latest event of a job",
                {200: event, 304: response("The client has it", headers=(*LIMITS, "ETag"))},
                _IF_NONE_MATCH,
            )
        },
        "/api/cto/job/{jobId}/events": {
            "get": _of_job(
                "jobEvents", "The events of a job", {200: data("Events", "Them", examples.EVENTS)}, _AFTER
            )
        },
        "/api/cto/job/{jobId}/cancel": {
            "post": _of_job(
                "cancelJob",
                "Stop a job before its next transfer or buy",
                {202: data("Cancelling", "It will stop, or has", examples.CANCELLING)},
                codes=("job_ended", "origin_not_allowed"),
            )
        },
        "/api/cto/job/{jobId}/stream": {
            "get": _of_job(
                "jobStream",
                "Follow a job by Server-Sent Events",
                {
                    200: _stream("Its latest event, then every one that follows"),
                    204: response("There is nothing more to come: an EventSource stops"),
                },
                _AFTER,
                _TOKEN,
                _last_event_id("^[0-9]{0,15}$", "7"),
                codes=_STREAMING,
            )
            | {"security": BEARER_OR_QUERY}
        },
        "/api/cto/stream": {
            "get": operation(
                "Jobs",
                "userStream",
                "Follow all jobs of the caller by Server-Sent Events",
                {200: _stream("The latest event of each open job, then all")},
                (*AUTHENTICATED, "invalid_query", "user_mismatch", *_STREAMING),
                security=BEARER_OR_QUERY,
                parameters=[
                    parameter("query", "after", _POSITION, "Go on right behind this `id:`", "-"),
                    _WHOSE | {"required": not secured},
                    _TOKEN,
                    _last_event_id(f"^({PATTERN})?$", f"{examples.JOB_ID}:7"),
                ],
            )
        },
        "/api/cto/jobs/stats": {
            "get": operation(
                "Jobs",
                "jobStats",
                "Count jobs by status",
                {200: data("Stats", "The counts", examples.STATS)},
                (*AUTHENTICATED, "invalid_query"),
                parameters=[
                    parameter(
                        "query",
                        "jobIds",
                        {"type": "array", "items": JOB_ID, "minItems": 1},
                        f"The jobs, separated by commas; {MAX_STATS} different ones at most",
                        [examples.JOB_ID],
                    )
                    | {"required": True, "style": "form", "explode": False}
                ],
            )
        },
        "/ws": {
            "get": operation(
                "Gateway",
                "webSocket",
                "Open a plain WebSocket (RFC 6455); /asyncapi.json tells what is said on it",
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
                    _TOKEN,
                    parameter(
                        "query", "userId", _MAYBE_USER_ID, "Who the caller says it is; not needed", "7"
                    ),
                    *_handshake(),
                ],
            )
        },
        "/healthz": _public(
            "alive",
            "Whether the gateway lives",
            data("Health", "It does", {"status": "alive"}, ()),
            EVERY_ROUTE,
        ),
        "/readyz": _public(
            "ready",
            "Whether the gateway can serve",
            data("Health", "It can", {"status": "ready"}, ()),
            (*EVERY_ROUTE, "store_unavailable", "going_away"),
        ),
        "/metrics": {
            "get": operation(
                "Gateway",
                "metrics",
                "What this gateway has counted, for Prometheus; for operators only",
                {200: response("Counters and gauges, in Prometheus' text format", TEXT, example=_METRICS)},
                (*AUTHENTICATED, "forbidden"),
            )
        },
        "/openapi.json": _public("openapi", "This document", response("It", JSON, {"type": "object"})),
        "/asyncapi.json": _public(
            "asyncapi", "What is said on sockets", response("AsyncAPI 3.0", JSON, {"type": "object"})
        ),
        "/docs": _public("docs", "Both documents, to be read", response("A page", PAGE)),
        "/": _public("page", "Watch operations live", response("A page", PAGE)),
    }


def _without_security(paths: dict[str, Any]) -> dict[str, Any]:
    return {
        path: {method: described | {"security": []} for method, described in methods.items()}
        for path, methods in paths.items()
    }


@cache
def document(*, secured: bool = True) -> dict[str, Any]:
    """Return the document, which nobody must change. Unless ``secured`` (CTO_AUTH=off) no token is asked for.

    Every caller is the service then, so a stream must say whose jobs it shows.
    """
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "CTO operations",
            "version": version("cto"),
            "description": "Start operations, and follow them. Every answer in JSON is "
            '`{"success": true, "data": …}` or '
            '`{"success": false, "error": {"code", "message", "details"?}}`. '
            "Another method than those described is answered 405. Fields and addresses may be added.",
        },
        "servers": [{"url": "/", "description": "This gateway"}],
        "tags": [
            {"name": "Jobs", "description": "One operation is one job."},
            {"name": "Gateway", "description": "What is not about jobs."},
        ],
        "paths": _paths(secured=True) if secured else _without_security(_paths(secured=False)),
        "components": {
            "schemas": json_schemas(),
            "headers": HEADERS,
            "responses": {
                code.title().replace("_", ""): failure(ERRORS[code].http[0], code) for code in _OF_NO_ROUTE
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Not looked at while CTO_AUTH=off",
                },
                "token": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "token",
                    "description": "The same token, for who cannot send a header",
                },
            },
        },
    }

"""The paths under ``/api/cto`` in the OpenAPI document: job_views, and their event streams."""

from __future__ import annotations

from typing import Any

from api.realtime.user_stream_cursor import PATTERN
from api.rest import job_views, response_types
from api.rest.job_views import DEFAULT_LIMIT, FILTERS, MAX_INTEGER, MAX_LIMIT, MAX_STATS
from api.spec import document_examples as examples
from api.spec.json_schemas import JOB_ID
from api.spec.openapi_components import (
    AUTHENTICATED,
    BEARER_OR_QUERY,
    JSON,
    LIMITS,
    STREAM,
    data,
    operation,
    parameter,
    response,
)
from cto_worker.domain.progress_event import ProgressEvent, dumps

_INTEGER = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
_USER_ID = {"type": "string", "pattern": "^[A-Za-z0-9_.:@+-]{1,64}$"}
_JOB = parameter("path", "jobId", JOB_ID, "The job", examples.JOB_ID)
_IDEMPOTENCY_KEY = parameter(
    "header",
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,128}$"},
    "A unique key. For a day, the same key with the same body returns the same job",
    "launch-1",
)
_IF_NONE_MATCH = parameter(
    "header", "If-None-Match", {"type": "string"}, "The `ETag` of the event that the client has", '"7"'
)
TOKEN = parameter(
    "query", "token", {"type": "string"}, "The token, if the client cannot send a header", "eyJhbGciOi…"
)
_AFTER = parameter("query", "after", _INTEGER, "Only events with a higher `seq`", 1)
_CURSOR = {"type": "string", "pattern": f"^({PATTERN})$"}
_USER = parameter(
    "query", "userId", _USER_ID, "The owner of the jobs. Default: the caller; for operators, all users", "7"
)
_SUBMISSION_CODES = (
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
_STREAM_CODES = ("origin_not_allowed", "too_many_connections", "busy")


def _last_event_id(pattern: str, example: str) -> dict[str, Any]:
    description = (
        "As `after`, and takes precedence over it. An EventSource sends it, empty before the first id"
    )
    return parameter("header", "Last-Event-ID", {"type": "string", "pattern": pattern}, description, example)


def _stream(description: str) -> dict[str, Any]:
    """Return an event stream. OpenAPI 3.1 has no keyword for its items: the schema is that of each event."""
    schema = {
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "id": {"type": "string", "description": "The id to resume after"},
            "event": {"enum": ["worker_progress", "gap", "auth_expired"]},
            "data": {"type": "string", "contentMediaType": JSON},
        },
    }
    example = {"id": "1", "event": "worker_progress", "data": dumps(examples.LAST_EVENT).decode()}
    return response(description, STREAM, schema, example)


def _of_job(
    name: str,
    summary: str,
    successes: dict[int, Any],
    *parameters: Any,
    codes: tuple[str, ...] = (),
    **members: Any,
) -> dict[str, Any]:
    codes = (*AUTHENTICATED, "invalid_job_id", "invalid_query", "job_not_found", "not_found", *codes)
    return operation("Jobs", name, summary, successes, codes, parameters=[_JOB, *parameters], **members)


def _links() -> dict[str, Any]:
    """Return the operations on the job of a response."""
    job = {"parameters": {"jobId": "$response.body#/data/jobId"}}
    names = ("jobStatus", "latestEvent", "jobEvents", "cancelJob", "jobStream")
    return {name: {"operationId": name, **job} for name in names}


def _submit() -> dict[str, Any]:
    created = {
        "links": _links(),
        **data(
            job_views.Created,
            "The new job",
            {
                "jobId": examples.JOB_ID,
                "status": "waiting",
                "statusUrl": f"/api/cto/job/{examples.JOB_ID}/status",
            },
            (*LIMITS, "Location"),
        ),
    }
    schema = {"$ref": "#/components/schemas/OperationRequest"}
    return operation(
        "Jobs",
        "submitJob",
        "Start an operation",
        {202: created, 200: created | {"description": "The job that was created with the same key"}},
        (*AUTHENTICATED, *_SUBMISSION_CODES),
        parameters=[_IDEMPOTENCY_KEY],
        requestBody={
            "required": True,
            "content": {JSON: {"schema": schema, "example": examples.REQUEST}},
        },
    )


def _list() -> dict[str, Any]:
    statuses = {"type": "string", "enum": [str(status) for status in FILTERS]}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    return operation(
        "Jobs",
        "listJobs",
        "List job_views, newest first",
        {200: data(response_types.Page, "One page of jobs", examples.PAGE)},
        (*AUTHENTICATED, "invalid_query", "user_mismatch"),
        description="A page without `nextCursor` is the last; other pages may have fewer than `limit` jobs",
        parameters=[
            parameter(
                "query",
                "status",
                statuses,
                "Only jobs with this status. `needs_review`: ended jobs that an operator must review",
                "failed",
            ),
            parameter("query", "limit", limit, "The maximum number of jobs", 50),
            parameter(
                "query", "cursor", _INTEGER | {"minimum": 1}, "The `nextCursor` of the previous page", 7
            ),
            _USER,
        ],
    )


def _stats() -> dict[str, Any]:
    job_ids = parameter(
        "query",
        "jobIds",
        {"type": "array", "items": JOB_ID, "minItems": 1},
        f"Job ids, separated by commas; at most {MAX_STATS} distinct ids",
        [examples.JOB_ID],
    )
    return operation(
        "Jobs",
        "jobStats",
        "Count jobs by status",
        {
            200: data(
                job_views.Stats,
                "The number of jobs by status",
                {
                    "total": 3,
                    "queued": 1,
                    "active": 0,
                    "completed": 1,
                    "failed": 0,
                    "notFound": 1,
                    "averageProgress": 55.0,
                },
            )
        },
        (*AUTHENTICATED, "invalid_query"),
        description=f"At most {MAX_STATS} ids",
        parameters=[job_ids | {"required": True, "style": "form", "explode": False}],
    )


def _job_paths() -> dict[str, Any]:
    """Return the paths of one job, by their last segment."""
    event = data(ProgressEvent, "The latest event of the job", examples.LAST_EVENT, (*LIMITS, "ETag"))
    unchanged = response("The client has the latest event", headers=(*LIMITS, "ETag"))
    return {
        "status": {
            "get": _of_job(
                "jobStatus",
                "Get a job with its events and result",
                {200: data(response_types.JobView, "The job", examples.STATUS)},
            )
        },
        "latest": {
            "get": _of_job(
                "latestEvent",
                "Get the latest event of a job",
                {200: event, 304: unchanged},
                _IF_NONE_MATCH,
                description="The `ETag` is the `seq`. A matching `If-None-Match` gets 304",
            )
        },
        "events": {
            "get": _of_job(
                "jobEvents",
                "Get the events of a job",
                {
                    200: data(
                        response_types.Events,
                        "The job's events",
                        {"jobId": examples.JOB_ID, "events": [examples.LAST_EVENT]},
                    )
                },
                _AFTER,
            )
        },
        "cancel": {
            "post": _of_job(
                "cancelJob",
                "Cancel a job before its next transfer or buy",
                {
                    202: data(
                        job_views.Cancelling,
                        "The cancellation is recorded",
                        {"jobId": examples.JOB_ID, "status": "active", "cancelRequested": True},
                    )
                },
                codes=("job_ended", "origin_not_allowed"),
            )
        },
        "stream": {"get": _job_stream()},
    }


def _job_stream() -> dict[str, Any]:
    described = _of_job(
        "jobStream",
        "Follow a job by Server-Sent Events",
        {
            200: _stream("The job's latest event, then every later event"),
            204: response("The client has the job's last event; an EventSource then stops"),
        },
        _AFTER,
        TOKEN,
        _last_event_id("^[0-9]{0,15}$", "7"),
        codes=_STREAM_CODES,
    )
    return described | {"security": BEARER_OR_QUERY}


def _user_stream(*, secured: bool) -> dict[str, Any]:
    """Return the caller's stream. Without tokens, every caller is the service, so ``userId`` is required."""
    return operation(
        "Jobs",
        "userStream",
        "Follow all jobs of the caller by Server-Sent Events",
        {200: _stream("The latest event of each job that has not ended, then every later event")},
        (*AUTHENTICATED, "invalid_query", "user_mismatch", *_STREAM_CODES),
        security=BEARER_OR_QUERY,
        parameters=[
            parameter("query", "after", _CURSOR, "Resume after this `id:`", "-"),
            _USER | {"required": not secured},
            TOKEN,
            _last_event_id(f"^({PATTERN})?$", f"{examples.JOB_ID}:7"),
        ],
    )


def job_paths(*, secured: bool) -> dict[str, Any]:
    """Return all paths. Unless ``secured``, the stream of a user's jobs requires ``userId``."""
    return {
        "/api/cto/jobs": {"post": _submit(), "get": _list()},
        **{f"/api/cto/job/{{jobId}}/{name}": methods for name, methods in _job_paths().items()},
        "/api/cto/stream": {"get": _user_stream(secured=secured)},
        "/api/cto/jobs/stats": {"get": _stats()},
    }

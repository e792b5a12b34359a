"""The building blocks of the OpenAPI document: parameters, headers, responses and operations."""

from __future__ import annotations

from typing import Any

from api.errors import ERRORS
from api.spec.json_schemas import reference

JSON, STREAM, PAGE, TEXT = "application/json", "text/event-stream", "text/html", "text/plain"
BEARER: list[dict[str, list[str]]] = [{"bearer": []}]
BEARER_OR_QUERY = [*BEARER, {"token": []}]
# The error codes of every route, of routes with a rate limit, and of routes that need a token.
EVERY_ROUTE = ("host_not_allowed", "internal_error")
RATE_LIMITED = (*EVERY_ROUTE, "rate_limited")
AUTHENTICATED = (
    *RATE_LIMITED,
    "unauthorized",
    "invalid_token",
    "token_expired",
    "token_revoked",
    "keys_unavailable",
    "store_unavailable",
)
LIMITS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_HEADERS_OF_STATUS = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}


def _header(description: str, pattern: str = "") -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern} if pattern else {"type": "string"}
    return {"description": description, "schema": schema}


HEADERS = {
    "Allow": _header("The methods that the path supports"),
    "ETag": _header('The `seq` in quotes, such as `"7"`', '^"[0-9]+"$'),
    "Location": _header("The URL of the job's status"),
    "Retry-After": _header("Seconds to wait before the next attempt", "^[0-9]+$"),
    "Upgrade": _header("The protocol that the path supports"),
    "WWW-Authenticate": _header("The authentication scheme: `Bearer`"),
    "X-RateLimit-Limit": _header(
        "Requests that the caller may send per window, see CTO_RATE_LIMIT", "^[0-9]+$"
    ),
    "X-RateLimit-Remaining": _header("Requests that are left in the current window", "^[0-9]+$"),
    "X-RateLimit-Reset": _header(
        "The time at which all requests are available again, in seconds since 1970-01-01 UTC", "^[0-9]+$"
    ),
}


def parameter(
    where: str, name: str, schema: dict[str, Any], description: str, example: Any
) -> dict[str, Any]:
    """Return a parameter in the path, the query or a header. Only those in the path are required."""
    named = {"name": name, "in": where, "required": where == "path", "description": description}
    return named | {"schema": schema, "example": example}


def response(
    description: str,
    media_type: str = "",
    schema: dict[str, Any] | None = None,
    example: Any = None,
    headers: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return a response; without a ``media_type`` it has no body."""
    content: dict[str, Any] = {"schema": schema or {"type": "string"}}
    if example is not None:
        content["example"] = example
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        **({"content": {media_type: content}} if media_type else {}),
    }


def data(kind: type, description: str, example: Any, headers: tuple[str, ...] = LIMITS) -> dict[str, Any]:
    """Return the response of a success, whose ``data`` is of this class."""
    schema = {
        "type": "object",
        "required": ["success", "data"],
        "properties": {"success": {"const": True}, "data": reference(kind)},
    }
    return response(description, JSON, schema, {"success": True, "data": example}, headers)


def failures(codes: tuple[str, ...]) -> dict[str, Any]:
    """Return the responses with any of these codes, by status."""
    statuses = sorted({status for code in codes for status in ERRORS[code].http})
    # In the order of the table, so that the order of a route's codes does not matter.
    found = {
        status: [code for code in ERRORS if code in codes and status in ERRORS[code].http]
        for status in statuses
    }
    return {str(status): failure(status, *codes) for status, codes in found.items()}


def failure(status: int, *codes: str) -> dict[str, Any]:
    """Return the response of this status with one of these codes."""
    error = {
        "allOf": [{"$ref": "#/components/schemas/Error"}, {"properties": {"code": {"enum": list(codes)}}}]
    }
    schema = {
        "type": "object",
        "required": ["success", "error"],
        "properties": {"success": {"const": False}, "error": error},
    }
    example = {"success": False, "error": {"code": codes[0], "message": ERRORS[codes[0]].message}}
    description = " ".join(f"`{code}`: {ERRORS[code].meaning}; {ERRORS[code].action}." for code in codes)
    return response(description, JSON, schema, example, _HEADERS_OF_STATUS.get(status, ()))


def operation(
    tag: str,
    name: str,
    summary: str,
    successes: dict[int, Any],
    codes: tuple[str, ...] = (),
    **members: Any,
) -> dict[str, Any]:
    """Return one method of one path: its ``successes`` by status, and the ``codes`` of its failures."""
    return {
        "tags": [tag],
        "operationId": name,
        "summary": summary,
        "security": BEARER,
        **members,
        "responses": {str(status): success for status, success in successes.items()} | failures(codes),
    }

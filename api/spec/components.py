"""The parts that descriptions of routes are made of, as OpenAPI has them."""

from __future__ import annotations

from typing import Any

from api.errors import ERRORS

JSON, STREAM, PAGE, TEXT = "application/json", "text/event-stream", "text/html", "text/plain"
BEARER: list[dict[str, list[str]]] = [{"bearer": []}]
BEARER_OR_QUERY = [*BEARER, {"token": []}]
# The codes of every route, of those that count towards the rate limit, and of those that need a token.
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
_OF_STATUS = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}


def _header(about: str, pattern: str = "") -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern} if pattern else {"type": "string"}
    return {"description": about, "schema": schema}


HEADERS = {
    "Allow": _header("The methods that this address knows"),
    "ETag": _header('The `seq` in quotes, such as `"7"`', '^"[0-9]+"$'),
    "Location": _header("Where the job's status is"),
    "Retry-After": _header("Seconds after which it makes sense to try again", "^[0-9]+$"),
    "Upgrade": _header("What this address speaks"),
    "WWW-Authenticate": _header("How to show a token: `Bearer`"),
    "X-RateLimit-Limit": _header(
        "Requests that the caller has in each window, see CTO_RATE_LIMIT", "^[0-9]+$"
    ),
    "X-RateLimit-Remaining": _header("Requests that are left", "^[0-9]+$"),
    "X-RateLimit-Reset": _header("When all are there again, in seconds since 1970", "^[0-9]+$"),
}


def parameter(where: str, name: str, schema: dict[str, Any], about: str, example: Any) -> dict[str, Any]:
    """One thing that a request may carry; what is in the path, it must."""
    named = {"name": name, "in": where, "required": where == "path", "description": about}
    return named | {"schema": schema, "example": example}


def response(
    about: str, kind: str = "", schema: dict[str, Any] | None = None, example: Any = None, headers: Any = ()
) -> dict[str, Any]:
    """An answer: without a body, or with one of this media ``kind``."""
    content: dict[str, Any] = {"schema": schema or {"type": "string"}}
    if example is not None:
        content["example"] = example
    return {
        "description": about,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        **({"content": {kind: content}} if kind else {}),
    }


def data(name: str, about: str, example: Any, headers: tuple[str, ...] = LIMITS) -> dict[str, Any]:
    """A success: ``data`` is of the schema of this name."""
    schema = {
        "type": "object",
        "required": ["success", "data"],
        "properties": {"success": {"const": True}, "data": {"$ref": f"#/components/schemas/{name}"}},
    }
    return response(about, JSON, schema, {"success": True, "data": example}, headers)


def failures(codes: tuple[str, ...]) -> dict[str, Any]:
    """Return the responses with any of these codes, by status."""
    statuses = sorted({status for code in codes for status in ERRORS[code].http})
    # In the order of the table, so that a code's place in a route's list does not matter.
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
    about = "\n".join(f"- `{code}`: {ERRORS[code].meaning}; {ERRORS[code].action}" for code in codes)
    return response(about, JSON, schema, example, _OF_STATUS.get(status, ()))


def operation(
    tag: str, name: str, summary: str, answers: dict[int, Any], codes: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    """One method of one address; ``answers`` are its successes, ``codes`` its failures."""
    return {
        "tags": [tag],
        "operationId": name,
        "summary": summary,
        "security": BEARER,
        **more,
        "responses": {str(status): answer for status, answer in answers.items()} | failures(codes),
    }

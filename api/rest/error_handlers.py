"""Every failure becomes one JSON shape: ``{"success": false, "error": {"code", "message", "details"?}}``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flask import jsonify, request
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from api.errors import (
    BadRequestError,
    ForbiddenError,
    KeysUnavailableError,
    RateLimitedError,
    RelayUnavailableError,
    RoomError,
    UnauthorizedError,
)
from api.limits.refusal_log import refusals
from cto_worker.errors import (
    CtoError,
    IdempotencyConflictError,
    InvalidRequestError,
    JobEndedError,
    JobNotFoundError,
    NotDurableError,
)

if TYPE_CHECKING:
    from flask import Flask, Response

log = logging.getLogger(__name__)

RETRY_AFTER_S = 2


def failure(http_status: int, code: str, message: str, details: dict[str, Any] | None = None) -> Response:
    """Return the answer for one failure."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = details
    response = jsonify(success=False, error=error)
    response.status_code = http_status
    return response


# What each of our own errors is to a client.
_ANSWERS: dict[type[CtoError], tuple[int, str]] = {
    InvalidRequestError: (400, "invalid_request"),
    JobNotFoundError: (404, "job_not_found"),
    JobEndedError: (409, "job_ended"),
    IdempotencyConflictError: (409, "idempotency_conflict"),
}
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


def register(app: Flask) -> None:
    """Have every exception that leaves a view answered in this shape."""
    app.register_error_handler(CtoError, _ours)
    app.register_error_handler(UnauthorizedError, _unknown_caller)
    app.register_error_handler(ForbiddenError, _forbidden)
    app.register_error_handler(RateLimitedError, _limited)
    app.register_error_handler(RoomError, _turned_away)
    app.register_error_handler(KeysUnavailableError, _keys)
    app.register_error_handler(RedisError, _store)
    app.register_error_handler(OperationalError, _store)
    app.register_error_handler(RelayUnavailableError, _store)
    app.register_error_handler(NotDurableError, _store)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _ours(error: CtoError) -> Response:
    if isinstance(error, BadRequestError):
        return failure(error.http_status, error.code, str(error), error.details)
    if type(error) not in _ANSWERS:
        return _unexpected(error)
    details = {"fields": error.fields} if isinstance(error, InvalidRequestError) else None
    return failure(*_ANSWERS[type(error)], str(error), details)


def _unknown_caller(error: UnauthorizedError) -> Response:
    refusals.note("refused a request", request.remote_addr, error.code)
    response = failure(401, error.code, str(error))
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _forbidden(error: ForbiddenError) -> Response:
    refusals.note("refused a request", request.remote_addr, error.code)
    return failure(403, error.code, str(error))


def _limited(error: RateLimitedError) -> Response:
    response = failure(429, "rate_limited", str(error))
    response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _turned_away(error: RoomError) -> Response:
    if error.code == "busy":
        return unavailable("busy", str(error))
    response = failure(429, error.code, str(error))
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _keys(error: KeysUnavailableError) -> Response:
    return unavailable("keys_unavailable", str(error))


def _store(error: Exception) -> Response:
    # One that is full, read-only or loading answers with an error of its own: out of reach, all the same.
    log.warning("the store is out of reach: %s", error)
    return unavailable("store_unavailable", "the store is out of reach: try again")


def unavailable(code: str, message: str) -> Response:
    """Return the answer 503: the caller may try again, here or elsewhere."""
    response = failure(503, code, message)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    code = _HTTP_CODES.get(status, error.name.lower().replace(" ", "_"))
    response = failure(status, code, error.description or error.name)
    for header, value in error.get_headers():
        if header in {"Allow", "Retry-After"}:
            response.headers[header] = value
    return response


def _unexpected(error: Exception) -> Response:
    log.error("a view broke", exc_info=error)
    return failure(500, "internal_error", "something broke on our side; its log says more")

"""The envelope of REST responses, and the handlers that convert exceptions to error responses.

``{"success": true, "data": …}`` and ``{"success": false, "error": {"code", "message", "details"?}}``.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Response, jsonify, request
from werkzeug.exceptions import HTTPException

from api.errors import CODE_OF_STATUS, ERRORS, BadRequestError, RateLimitedError, describe
from api.limits.refusal_log import refusals
from cto_worker.errors import InvalidRequestError

if TYPE_CHECKING:
    from flask import Flask

log = logging.getLogger(__name__)

RETRY_AFTER_S = 2


def register(app: Flask) -> None:
    """Register handlers that convert a view's exceptions to error responses."""
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, _failed)


def success(*data: bytes) -> Response:
    """Return a success response. ``data`` are the parts of one JSON value."""
    return Response(b"".join((b'{"success":true,"data":', *data, b"}")), mimetype="application/json")


def failure(http_status: int, code: str, message: str, details: dict[str, Any] | None = None) -> Response:
    """Return an error response. ``details`` are omitted if there are none."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = details
    response = jsonify(success=False, error=error)
    response.status_code = http_status
    return response


def unavailable(code: str) -> Response:
    """Return an error response with the status 503. The client may try again, also at another gateway."""
    response = failure(HTTPStatus.SERVICE_UNAVAILABLE, code, ERRORS[code].message)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _failed(error: Exception) -> Response:
    code, message = describe(error)
    if code == "internal_error" or not ERRORS[code].http:
        log.error("a view failed", exc_info=error)
        code, message = "internal_error", ERRORS["internal_error"].message
    elif code == "store_unavailable":  # also while it is full, read-only or loading its data
        log.warning("the store is unreachable: %s", error)
    elif code == "archive_unavailable":
        log.warning("the archive is unavailable: %s", error)
    status = ERRORS[code].http[0]
    response = failure(status, code, message, _details(error))
    response.headers.update(_headers(status, error))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        refusals.note("refused a request", request.remote_addr, code)
    return response


def _headers(status: int, error: Exception) -> dict[str, str]:
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        seconds = error.retry_after_s if isinstance(error, RateLimitedError) else RETRY_AFTER_S
        return {"Retry-After": str(seconds)}
    return {}


def _details(error: Exception) -> dict[str, Any] | None:
    fields = error.fields if isinstance(error, BadRequestError | InvalidRequestError) else None
    return {"fields": fields} if fields else None


def http_error(error: HTTPException) -> Response:
    """Return the response for an error of the HTTP layer, such as 404 or 405."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    code = CODE_OF_STATUS.get(status, error.name.lower().replace(" ", "_"))
    message = error.description or error.name
    if code in ERRORS and message == type(error).description:  # Werkzeug's own text
        message = ERRORS[code].message
    response = failure(status, code, message)
    for header, value in error.get_headers():
        if header in {"Allow", "Retry-After"}:
            response.headers[header] = value
    return response

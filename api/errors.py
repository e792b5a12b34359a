"""The gateway's exceptions, and one table of the codes that clients receive.

Over Socket.IO and ``/ws`` an error is ``{"code", "message"}``; over REST it may also have ``details``. These
read :data:`ERRORS`: the error handlers, the refusals on sockets, the OpenAPI and AsyncAPI documents, and the
table in docs/reference/contract.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from cto_worker.errors import (
    ArchiveUnavailableError,
    CtoError,
    EventsGoneError,
    IdempotencyConflictError,
    IntentNotFoundError,
    IntentNotUnknownError,
    InvalidRequestError,
    JobEndedError,
    JobNotEndedError,
    JobNotFoundError,
    NotDurableError,
    OutcomeUnknownError,
)


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code: what is wrong, what the client should do, and where the code is sent."""

    meaning: str
    action: str
    http: tuple[int, ...] = ()  # the statuses of HTTP responses with this code, the usual one first
    socket: bool = False  # in replies to messages, over Socket.IO and /ws
    connect: bool = False  # in the `data` of Socket.IO's connect_error
    # At /ws: the status of the close frame that follows; 0: the connection stays open.
    close: int | None = None

    @property
    def message(self) -> str:
        """The default message of this code."""
        return f"{self.meaning}: {self.action}"


_AGAIN = "try again in a few seconds"

ERRORS: dict[str, ErrorCode] = {
    "invalid_json": ErrorCode(
        "the body or message is not valid JSON", "send one JSON object", http=(400,), close=1007
    ),
    "invalid_request": ErrorCode(
        "the body does not match the schema", "correct the fields in `details.fields`", http=(400,)
    ),
    "invalid_job_id": ErrorCode(
        "the job id in the path is malformed", "use the `jobId` of the submission's response", http=(400,)
    ),
    "invalid_query": ErrorCode(
        "a query parameter is unknown, repeated, missing or invalid",
        "correct the parameter in `details.fields`",
        http=(400,),
    ),
    "invalid_handshake": ErrorCode(
        "the WebSocket handshake is invalid", "send the headers of RFC 6455, section 4.1", http=(400,)
    ),
    "invalid_idempotency_key": ErrorCode(
        "`Idempotency-Key` is not 1 to 128 visible ASCII characters", "send a UUID, for example", http=(400,)
    ),
    "jsonp_not_supported": ErrorCode(
        "`/socket.io/` does not support JSONP", "remove the query parameter `j`", http=(400,)
    ),
    "bad_request": ErrorCode(
        "the request is not valid HTTP/1.1 (RFC 9112)", "correct the part in the message", http=(400,)
    ),
    "unauthorized": ErrorCode(
        "the token is missing", "send `Authorization: Bearer <token>`", http=(401,), socket=True, connect=True
    ),
    "invalid_token": ErrorCode(
        "the token is invalid", "get a token from the issuer", http=(401,), socket=True, connect=True
    ),
    "token_expired": ErrorCode(
        "the token has expired", "get a new token", http=(401,), socket=True, connect=True, close=1008
    ),
    "token_revoked": ErrorCode(
        "the token has been revoked", "get a new token", http=(401,), socket=True, connect=True, close=1008
    ),
    "forbidden": ErrorCode(
        "the caller may not do this", "use a token of the owner, or of another role", http=(403,), socket=True
    ),
    "user_mismatch": ErrorCode(
        "`userId` or the new token is for another user or role",
        "send the user id of the token, or none",
        http=(403,),
        socket=True,
        connect=True,
    ),
    "origin_not_allowed": ErrorCode(
        "the page's origin is not allowed", "add the origin to CTO_CORS_ORIGINS", http=(403,)
    ),
    "host_not_allowed": ErrorCode(
        "with CTO_AUTH=off the gateway accepts loopback host names only",
        "use http://127.0.0.1, or set CTO_AUTH=required",
        http=(403,),
    ),
    "job_not_found": ErrorCode(
        "the job does not exist, or belongs to another user", "check the job id", http=(404,), socket=True
    ),
    "intent_not_found": ErrorCode(
        "the job has no such intent", "use an `intentId` from the job's review", http=(404,)
    ),
    "not_found": ErrorCode("the path does not exist", "see /openapi.json", http=(404,)),
    "method_not_allowed": ErrorCode(
        "the path does not support the method", "use a method in the header `Allow`", http=(405,)
    ),
    "idempotency_conflict": ErrorCode(
        "`Idempotency-Key` was used with another body", "use a new key for a new operation", http=(409,)
    ),
    "job_ended": ErrorCode("the job has ended", "do not cancel ended jobs", http=(409,)),
    "job_not_ended": ErrorCode("the job has not ended", "try again after its end", http=(409,)),
    "intent_not_unknown": ErrorCode("the outcome is already known", "read the review again", http=(409,)),
    "outcome_unknown": ErrorCode("the job has unknown intents", "resolve each of them first", http=(409,)),
    "body_too_large": ErrorCode("the body is larger than 32 KiB", "send a smaller body", http=(413,)),
    "uri_too_long": ErrorCode("the request line is 32 KiB or longer", "shorten the URL", http=(414,)),
    "unsupported_media_type": ErrorCode(
        "the body's media type is not JSON", "send `Content-Type: application/json`", http=(415,)
    ),
    "upgrade_required": ErrorCode(
        "this path accepts WebSocket version 13 only", "open a WebSocket (RFC 6455)", http=(426,)
    ),
    "rate_limited": ErrorCode(
        "the caller sends too many requests", "try again after `Retry-After` seconds", http=(429,)
    ),
    "too_many_connections": ErrorCode(
        "the user or address (429), or the gateway (503), has too many event connections",
        "close connections, or try again after `Retry-After` seconds",
        http=(429, 503),
        connect=True,
    ),
    "request_header_fields_too_large": ErrorCode(
        "the header fields are more than 100, or larger than 8 KiB each or 64 KiB in all",
        "send fewer or shorter header fields",
        http=(431,),
    ),
    "internal_error": ErrorCode(
        "a defect of the gateway, reported in its log", "report it to the operator", http=(500,), socket=True
    ),
    "not_implemented": ErrorCode(
        "the method or transfer coding is not implemented",
        "use upper-case methods, and no coding but `chunked`",
        http=(501,),
    ),
    "store_unavailable": ErrorCode(
        "the store is unreachable", _AGAIN, http=(503,), socket=True, connect=True
    ),
    "archive_unavailable": ErrorCode(
        "the archive of ended jobs is unreachable, or its answer takes too long",
        _AGAIN,
        http=(503,),
        socket=True,
    ),
    "keys_unavailable": ErrorCode(
        "the key set at CTO_JWKS_URL is unreachable", _AGAIN, http=(503,), socket=True, connect=True
    ),
    "busy": ErrorCode(
        "too many clients join, or send requests, at the same time", _AGAIN, http=(503,), socket=True
    ),
    "going_away": ErrorCode("the gateway is stopping", "connect to it again", http=(503,), close=1001),
    "http_version_not_supported": ErrorCode("the HTTP version is not supported", "use HTTP/1.1", http=(505,)),
    "invalid_room": ErrorCode(
        "the room name is malformed", "send `user_<userId>`, `job_<jobId>` or `admin_launches`", socket=True
    ),
    "too_many_rooms": ErrorCode(
        "the connection is in CTO_MAX_ROOMS rooms already", "leave a room first", socket=True
    ),
    "invalid_resume": ErrorCode(
        "`jobId` or `after` is malformed",
        "send a job id, and the `seq` of its last event you have",
        socket=True,
    ),
    "gap": ErrorCode(
        "the events right after `after` have expired", "resume with `after`: `oldestSeq` - 1", socket=True
    ),
    "invalid_message": ErrorCode(
        "the message's `type` is unknown", "send a type that /asyncapi.json describes", close=0
    ),
    "protocol_error": ErrorCode("the client violates RFC 6455", "use a WebSocket library", close=1002),
    "unsupported_data": ErrorCode("the message is binary", "send text", close=1003),
    "invalid_text": ErrorCode("the message is not valid UTF-8", "send UTF-8", close=1007),
    "too_many_messages": ErrorCode("the client sends too many messages", "send fewer", close=1008),
    "message_too_large": ErrorCode("the message is larger than 32 KiB", "send a smaller message", close=1009),
}

# Error codes by HTTP status, for errors of the HTTP parser and of Werkzeug.
CODE_OF_STATUS = {
    400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large",
    414: "uri_too_long", 431: "request_header_fields_too_large", 501: "not_implemented",
    505: "http_version_not_supported",
}  # fmt: skip


class CodedError(CtoError):
    """The root of errors with a ``code`` of :data:`ERRORS`. Never raised itself."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or ERRORS[code].message)
        self.code = code


class UnauthorizedError(CodedError):
    """The caller's identity is unknown: its token is missing, invalid, expired or revoked."""


class ForbiddenError(CodedError):
    """The caller, or the request's origin or host, is not allowed to do this."""


class RoomError(CodedError):
    """A request to connect, to join a room or to resume a job was refused."""


class BadRequestError(CodedError):
    """A request is malformed. ``fields`` maps each offending field to its messages."""

    def __init__(self, code: str, message: str, *, fields: dict[str, list[str]] | None = None) -> None:
        super().__init__(code, message)
        self.fields = fields


class KeysUnavailableError(CodedError):
    """The key set at ``CTO_JWKS_URL`` cannot be fetched, and the token's key is not in the cached one."""

    def __init__(self) -> None:
        super().__init__("keys_unavailable")


class RateLimitedError(CodedError):
    """A caller exceeds a rate limit. It may send the next request after ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__("rate_limited", message)
        self.retry_after_s = retry_after_s


class TooManyRoomsError(CodedError):
    """A connection is in ``most`` rooms, the limit."""

    def __init__(self, most: int) -> None:
        super().__init__(
            "too_many_rooms",
            f"this connection is in {most} rooms, the most that CTO_MAX_ROOMS allows: leave a room first",
        )


class RelayUnavailableError(CtoError):
    """The store did not confirm a subscription in time."""


# The codes of exceptions that have no code of their own.
_CODES: dict[type[Exception], str] = {
    InvalidRequestError: "invalid_request", JobNotFoundError: "job_not_found", JobEndedError: "job_ended",
    IdempotencyConflictError: "idempotency_conflict", EventsGoneError: "gap",
    JobNotEndedError: "job_not_ended", IntentNotFoundError: "intent_not_found",
    IntentNotUnknownError: "intent_not_unknown", OutcomeUnknownError: "outcome_unknown",
    RelayUnavailableError: "store_unavailable", NotDurableError: "store_unavailable",
    RedisError: "store_unavailable", OperationalError: "store_unavailable",
    ArchiveUnavailableError: "archive_unavailable",
}  # fmt: skip


def error_body(code: str, message: str) -> bytes:
    """Return the JSON body of an error response that is written without Flask."""
    return json.dumps({"success": False, "error": {"code": code, "message": message}}).encode()


def describe(error: Exception) -> tuple[str, str]:
    """Return the code and the message that a client receives; ``internal_error`` for any unknown class."""
    if isinstance(error, CodedError):
        return error.code, str(error)
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "internal_error")
    # A library's text may contain addresses. The text of an unexpected error may contain anything.
    internal = code in {"store_unavailable", "archive_unavailable", "internal_error"}
    return code, ERRORS[code].message if internal else str(error)

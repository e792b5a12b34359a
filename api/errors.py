"""Every code that a failure can have, and what it means. For the published documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cto_worker.errors import (
    CtoError,
)

if TYPE_CHECKING:
    from http import HTTPStatus

# Over HTTP, by status.
FAILURES: dict[int, dict[str, str]] = {
    400: {
        "invalid_json": "the body is no JSON object",
        "invalid_request": "the body breaks the schema; `details.fields` names each field",
        "invalid_job_id": "the path holds no job id",
        "invalid_query": "a parameter is unknown, repeated, missing or wrong; `details.fields` names it",
        "invalid_handshake": "what is wrong with the WebSocket's handshake",
        "invalid_idempotency_key": "the header is not 1 to 128 visible ASCII characters",
    },
    401: {
        "unauthorized": "no token was shown",
        "invalid_token": "the token is none of ours",
        "token_expired": "the token has expired",
        "token_revoked": "the token has been revoked",
    },
    403: {
        "forbidden": "the caller may not do that",
        "user_mismatch": "`userId` is another user",
        "origin_not_allowed": "the page is of an origin that is not in CTO_CORS_ORIGINS",
        "host_not_allowed": "without authorization the gateway answers to loopback names only",
    },
    404: {
        "job_not_found": "there is no such job, or it is not the caller's",
        "not_found": "there is nothing at this address",
    },
    405: {"method_not_allowed": "the address knows other methods, see `Allow`"},
    409: {
        "idempotency_conflict": "the key was used with another body",
        "job_ended": "the job has ended already",
    },
    413: {"body_too_large": "the body has more than 32 KiB"},
    415: {"unsupported_media_type": "the body is not declared as application/json"},
    426: {"upgrade_required": "this address speaks WebSocket only"},
    429: {
        "rate_limited": "too many requests",
        "too_many_connections": "the user, or the address, has too many connections for events",
    },
    500: {"internal_error": "a defect of this system; its log says more"},
    503: {
        "store_unavailable": "the store is out of reach",
        "keys_unavailable": "the keys that tokens are signed with are out of reach",
        "busy": "too many come at once",
        "too_many_connections": "the gateway has no room for more connections for events",
        "going_away": "the gateway stops: another one serves",
    },
}
EVERYWHERE = ("host_not_allowed", "internal_error")
COUNTED = (*EVERYWHERE, "rate_limited")
GUARDED = (
    *COUNTED,
    "unauthorized",
    "invalid_token",
    "token_expired",
    "token_revoked",
    "keys_unavailable",
    "store_unavailable",
)
# On sockets: over Socket.IO and /ws alike.
SAID = {
    "invalid_room": "a room is one string: `user_<userId>`, `job_<jobId>` or `admin_launches`",
    "forbidden": "the caller may not join that room",
    "job_not_found": FAILURES[404]["job_not_found"],
    "too_many_rooms": "the connection is in as many rooms as CTO_MAX_ROOMS allows: leave some",
    "invalid_resume": "a job's id, and the `seq` of its last event one has",
    "gap": "the history no longer reaches back so far; `oldestSeq` is where it begins",
    "user_mismatch": "the new token is another user's, or for another role",
    **FAILURES[401],
    **FAILURES[500],
    **{code: FAILURES[503][code] for code in ("store_unavailable", "keys_unavailable", "busy")},
}
# Over /ws, also those; the connection then ends with this status, unless it is 0.
WEBSOCKET: dict[str, tuple[int, str]] = {
    "invalid_message": (0, "the message's `type` is none that there is"),
    "protocol_error": (1002, "this is no WebSocket as RFC 6455 has it"),
    "unsupported_data": (1003, "the message is binary"),
    "invalid_json": (1007, "the message is no JSON"),
    "invalid_text": (1007, "the message is no UTF-8"),
    "message_too_large": (1009, "the message has more than 32 KiB"),
    "too_many_messages": (1008, "the client says more than it may"),
    "going_away": (1001, "this gateway stops: connect again"),
    "token_expired": (1008, FAILURES[401]["token_expired"]),
    "token_revoked": (1008, FAILURES[401]["token_revoked"]),
}
# To whom no Socket.IO connection is opened; in the `data` of `connect_error`.
REFUSED = ("host_not_allowed", "origin_not_allowed", "user_mismatch", "too_many_connections", *FAILURES[401])


class UnauthorizedError(CtoError):
    """Nobody knows who is asking. ``code`` is machine-readable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ForbiddenError(CtoError):
    """What this caller may not do. ``code`` is machine-readable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class KeysUnavailableError(CtoError):
    """The key set at ``CTO_JWKS_URL`` cannot be fetched, and the token's key is not in the cached one."""

    def __init__(self) -> None:
        super().__init__("the keys that tokens are signed with are out of reach: try again")


class RelayUnavailableError(CtoError):
    """The store did not confirm a subscription in time."""


class TooManyRoomsError(CtoError):
    """A reader is in as many rooms as one connection may be."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"this connection is in {most} rooms, the most that CTO_MAX_ROOMS allows: leave some"
        )


class RoomError(CtoError):
    """What a client cannot have: to be let in, a room, or to resume a job. ``code`` is machine-readable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BadRequestError(CtoError):
    """A request that is malformed. ``details`` may name the offending fields."""

    def __init__(
        self, code: str, message: str, *, fields: dict[str, list[str]] | None = None, http_status: int = 400
    ) -> None:
        super().__init__(message)
        self.code = code
        self.details = {"fields": fields} if fields else None
        self.http_status = http_status


class RateLimitedError(CtoError):
    """A caller sends more requests than it may. ``retry_after_s`` says when it may send the next."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class HeadError(Exception):
    """A head that is refused. ``status`` is the response's."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class HandshakeError(Exception):
    """A request that asks for no WebSocket, or for one that is not spoken here. ``status`` is its answer."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class WebSocketError(Exception):
    """The client did what it must not. ``status`` and ``reason`` are what it is told on closing."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason

"""The AsyncAPI document, which describes the messages of Socket.IO and of the plain WebSocket at ``/ws``."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from api.errors import ERRORS
from api.realtime.room_access import MAX_SEQ
from api.spec import document_examples as examples
from api.spec.json_schemas import JOB_ID, json_schemas

_SOCKET = [code for code, error in ERRORS.items() if error.socket]
_CONNECT = [code for code, error in ERRORS.items() if error.connect]
_CLOSING = [code for code, error in ERRORS.items() if error.close is not None]
_EVENT = {"$ref": "#/components/schemas/ProgressEvent"}
_ROOM = {
    "type": "string",
    "pattern": "^(user_[A-Za-z0-9_.:@+-]{1,128}|job_[A-Za-z0-9_.:@+-]{1,128}|admin_launches)$",
}
_SEQ = {"type": "integer", "minimum": 0, "maximum": MAX_SEQ}
_TEXT = {"type": "string"}
_TRUE, _FALSE = {"const": True}, {"const": False}
_RESUME_EXAMPLE = {"jobId": examples.JOB_ID, "after": 1}
_ROOM_EXAMPLE = "user_7"
_RESUMED = {"events": {"type": "array", "items": _EVENT}, "latestSeq": _SEQ}
_RESUMED_EXAMPLE = {"events": [examples.LAST_EVENT], "latestSeq": 2}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _error(*codes: str) -> dict[str, Any]:
    return {"code": {"type": "string", "enum": list(dict.fromkeys(codes))}, "message": _TEXT}


def _message(name: str, summary: str, payload: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"name": name, "summary": summary, "payload": payload, "examples": [{"payload": example}]}


def _refusal(*codes: str) -> dict[str, Any]:
    return _object({"success": _FALSE, "error": _object(_error(*codes))}, oldestSeq=_SEQ)


_GAP = {"code": "gap", "message": ERRORS["gap"].message}
_TOKEN = _object({"token": _TEXT}, userId=_TEXT)
_ROOM_CHANGED = _message(
    "room_changed",
    "The room that was joined or left",
    _object({"success": _TRUE, "room": _ROOM}),
    {"success": True, "room": _ROOM_EXAMPLE},
)

# By name: the message of a client, and the reply to it.
_SOCKETIO_REQUESTS = {
    "join_room": (
        _message("join_room", "Receive the events of a room's jobs", _ROOM, _ROOM_EXAMPLE),
        _ROOM_CHANGED,
    ),
    "leave_room": (
        _message("leave_room", "Stop receiving a room's events", _ROOM, _ROOM_EXAMPLE),
        _ROOM_CHANGED,
    ),
    "resume": (
        _message(
            "resume",
            "Get the events of a job that the client missed, and join its room",
            _object({"jobId": JOB_ID, "after": _SEQ}),
            _RESUME_EXAMPLE,
        ),
        _message(
            "resumed",
            "Every event with a higher `seq`, oldest first",
            _object({"success": _TRUE, **_RESUMED}),
            {"success": True, **_RESUMED_EXAMPLE},
        ),
    ),
    "auth_refresh": (
        _message(
            "auth_refresh",
            "Replace the connection's token before it expires",
            _TOKEN,
            {"token": "eyJhbGciOi…"},
        ),
        _message(
            "auth_refreshed", "The new token is accepted", _object({"success": _TRUE}), {"success": True}
        ),
    ),
}
_SOCKETIO_REFUSAL = _message(
    "refusal",
    "The reply to a refused message; with code `gap` it has `oldestSeq`",
    _refusal(*_SOCKET),
    {"success": False, "error": _GAP, "oldestSeq": 9},
)
_SOCKETIO_NOTIFICATIONS = {
    "worker_progress": _message("worker_progress", "The next event of a job", _EVENT, examples.LAST_EVENT),
    "room_error": _message(
        "room_error",
        "The refusal of a message that was sent without a callback",
        _object(_error(*_SOCKET)),
        _GAP,
    ),
    "auth_expired": _message(
        "auth_expired",
        "The token has expired or was revoked; the gateway then closes the connection",
        _object(_error("token_expired", "token_revoked")),
        {"code": "token_expired", "message": ERRORS["token_expired"].message},
    ),
    "connect_error": _message(
        "connect_error",
        "The connection is refused",
        _object({"message": _TEXT, "data": _object({"code": _error(*_CONNECT)["code"]})}),
        {"message": ERRORS["unauthorized"].message, "data": {"code": "unauthorized"}},
    ),
}


def _typed(
    kind: str, summary: str, members: dict[str, Any], example: dict[str, Any], **optional: Any
) -> dict[str, Any]:
    """Return a message at ``/ws``. A reply has the ``id`` of the message that it replies to."""
    payload = _object({"type": {"const": kind}, **members}, id={}, **optional)
    return _message(kind, summary, payload, {"type": kind, **example})


_WEBSOCKET_REQUESTS = {
    "join": (
        _typed(
            "join", "Receive the events of a room's jobs", {"room": _ROOM}, {"room": _ROOM_EXAMPLE, "id": 1}
        ),
        _typed("joined", "The client is in the room", {"room": _ROOM}, {"room": _ROOM_EXAMPLE, "id": 1}),
    ),
    "leave": (
        _typed("leave", "Stop receiving a room's events", {"room": _ROOM}, {"room": _ROOM_EXAMPLE}),
        _typed("left", "The client is not in the room", {"room": _ROOM}, {"room": _ROOM_EXAMPLE}),
    ),
    "resume": (
        _typed(
            "resume",
            "Get the events of a job that the client missed, and join its room",
            {"jobId": JOB_ID, "after": _SEQ},
            _RESUME_EXAMPLE,
        ),
        _typed(
            "resumed",
            "Every event with a higher `seq`, oldest first",
            {"jobId": JOB_ID, **_RESUMED},
            {"jobId": examples.JOB_ID, **_RESUMED_EXAMPLE},
        ),
    ),
    "auth_refresh": (
        _typed(
            "auth_refresh",
            "Replace the connection's token before it expires",
            {"token": _TEXT},
            {"token": "eyJhbGciOi…"},
            userId=_TEXT,
        ),
        _typed("auth_refreshed", "The new token is accepted", {}, {}),
    ),
    "ping": (
        _typed("ping", "Check the connection", {}, {"id": 7}),
        _typed("pong", "The reply to a ping", {}, {"id": 7}),
    ),
}
_WEBSOCKET_REFUSAL = _typed(
    "error",
    "A refusal, or the reason why the connection ends; with code `gap` it has `oldestSeq`",
    _error(*_SOCKET, *_CLOSING),
    {**_GAP, "oldestSeq": 9},
    oldestSeq=_SEQ,
)
_WEBSOCKET_NOTIFICATIONS = {
    "worker_progress": _typed(
        "worker_progress",
        "The next event of a job",
        {"event": _EVENT},
        {"event": examples.LAST_EVENT},
    ),
}


def _messages(
    requests: dict[str, Any], notifications: dict[str, Any], refusal: dict[str, Any]
) -> dict[str, Any]:
    """Return the messages of a channel by name."""
    exchanged = [message for pair in requests.values() for message in pair]
    return {message["name"]: message for message in [*exchanged, *notifications.values(), refusal]}


def _operations(
    channel: str, requests: dict[str, Any], notifications: dict[str, Any], refusal: dict[str, Any]
) -> dict[str, Any]:
    """Return the operations of a channel: requests with their replies, and notifications."""
    at = {"channel": {"$ref": f"#/channels/{channel}"}}

    def messages(*named: dict[str, Any]) -> dict[str, Any]:
        return {
            "messages": [{"$ref": f"#/channels/{channel}/messages/{message['name']}"} for message in named]
        }

    received = {
        f"{channel}_{name}": {
            "action": "receive", **at, "summary": message["summary"], **messages(message),
            "reply": {**at, **messages(reply, refusal)},
        }
        for name, (message, reply) in requests.items()
    }  # fmt: skip
    sent = {
        f"{channel}_{name}": {"action": "send", **at, "summary": message["summary"], **messages(message)}
        for name, message in notifications.items()
    }
    return received | sent


_SOCKETIO = (_SOCKETIO_REQUESTS, _SOCKETIO_NOTIFICATIONS, _SOCKETIO_REFUSAL)
_WEBSOCKET = (_WEBSOCKET_REQUESTS, _WEBSOCKET_NOTIFICATIONS, _WEBSOCKET_REFUSAL)


@cache
def document(market: str = "paper") -> dict[str, Any]:
    """Return the document for a market, which callers must not modify."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "CTO operations, live events",
            "version": version("cto"),
            "description": "The messages of Socket.IO and of the plain WebSocket at /ws. `receive` and "
            "`send` are the gateway's: it receives what clients send. /openapi.json describes REST and "
            "Server-Sent Events.",
        },
        "defaultContentType": "application/json",
        "servers": {"gateway": {"host": "127.0.0.1:3000", "protocol": "ws"}},
        "channels": {
            "socketio": {
                "address": "/socket.io/",
                "title": "Socket.IO",
                "description": "Socket.IO 5 (Engine.IO 4), default namespace; `websocket` and `polling`. "
                "Each message is an event with one argument; the reply is the argument of its callback. "
                "Send the token in the handshake, as `auth: {token}`.",
                "messages": _messages(*_SOCKETIO),
            },
            "websocket": {
                "address": "/ws",
                "title": "Plain WebSocket",
                "description": "RFC 6455. Each message is one JSON object as text; a client may send at most "
                "32 KiB. A reply has the `id` of the message that it replies to.",
                "messages": _messages(*_WEBSOCKET),
            },
        },
        "operations": _operations("socketio", *_SOCKETIO) | _operations("websocket", *_WEBSOCKET),
        "components": {"schemas": json_schemas(market)},
    }

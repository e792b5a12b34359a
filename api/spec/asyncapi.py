"""The AsyncAPI document: what is said on sockets, over Socket.IO and over the plain WebSocket at ``/ws``."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from api.errors import ERRORS
from api.realtime.room_access import MAX_SEQ
from api.spec import examples
from api.spec.schemas import JOB_ID, json_schemas

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
_YES, _NO = {"const": True}, {"const": False}
_HERE, _ROOM_7 = {"jobId": examples.JOB_ID, "after": 1}, "user_7"
_RESUMED = {"events": {"type": "array", "items": _EVENT}, "latestSeq": _SEQ}
_MISSED = {"events": [examples.LAST_EVENT], "latestSeq": 2}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _error(*codes: str) -> dict[str, Any]:
    return {"code": {"type": "string", "enum": list(dict.fromkeys(codes))}, "message": _TEXT}


def _message(name: str, summary: str, payload: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"name": name, "summary": summary, "payload": payload, "examples": [{"payload": example}]}


def _refusal(*codes: str) -> dict[str, Any]:
    return _object({"success": _NO, "error": _object(_error(*codes))}, oldestSeq=_SEQ)


_GAP = {"code": "gap", "message": "the history begins at 9"}
_TOKEN = _object({"token": _TEXT}, userId=_TEXT)
_IN_ROOM = _object({"success": _YES, "room": _ROOM})

# By event's name: what a client says, and what it gets in its callback.
_SOCKETIO_ASKED = {
    "join_room": (
        _message("join_room", "Get the events of a room's jobs", _ROOM, _ROOM_7),
        _message("in_room", "Done", _IN_ROOM, {"success": True, "room": _ROOM_7}),
    ),
    "leave_room": (
        _message("leave_room", "Get them no longer", _ROOM, _ROOM_7),
        _message("in_room", "Done", _IN_ROOM, {"success": True, "room": _ROOM_7}),
    ),
    "resume": (
        _message(
            "resume",
            "Get what was missed of a job, and join its room",
            _object({"jobId": JOB_ID, "after": _SEQ}),
            _HERE,
        ),
        _message(
            "resumed",
            "Every event with a higher `seq`, oldest first",
            _object({"success": _YES, **_RESUMED}),
            {"success": True, **_MISSED},
        ),
    ),
    "auth_refresh": (
        _message(
            "auth_refresh", "Stay connected as long as a new token holds", _TOKEN, {"token": "eyJhbGciOi…"}
        ),
        _message("auth_refreshed", "Done", _object({"success": _YES}), {"success": True}),
    ),
}
_SOCKETIO_REFUSAL = _message(
    "refusal",
    "In the callback of whatever is refused; `oldestSeq` beside `gap`",
    _refusal(*_SOCKET),
    {"success": False, "error": _GAP, "oldestSeq": 9},
)
_SOCKETIO_TOLD = {
    "worker_progress": _message("worker_progress", "One step of a job", _EVENT, examples.LAST_EVENT),
    "room_error": _message(
        "room_error", "A refusal, to who gave no callback", _object(_error(*_SOCKET)), _GAP
    ),
    "auth_expired": _message(
        "auth_expired",
        "The token holds no longer; the connection is then closed",
        _object(_error("token_expired", "token_revoked")),
        {"code": "token_expired", "message": ERRORS["token_expired"].message},
    ),
    "connect_error": _message(
        "connect_error",
        "No connection is opened",
        _object({"message": _TEXT, "data": _object({"code": _error(*_CONNECT)["code"]})}),
        {"message": "send a token", "data": {"code": "unauthorized"}},
    ),
}


def _typed(
    kind: str, summary: str, members: dict[str, Any], example: dict[str, Any], **optional: Any
) -> dict[str, Any]:
    """A message at ``/ws``. Its ``id``, if any, is what the client gave the message that this one answers."""
    payload = _object({"type": {"const": kind}, **members}, id={}, **optional)
    return _message(kind, summary, payload, {"type": kind, **example})


_WEBSOCKET_ASKED = {
    "join": (
        _typed("join", "Get the events of a room's jobs", {"room": _ROOM}, {"room": _ROOM_7, "id": 1}),
        _typed("joined", "Done", {"room": _ROOM}, {"room": _ROOM_7, "id": 1}),
    ),
    "leave": (
        _typed("leave", "Get them no longer", {"room": _ROOM}, {"room": _ROOM_7}),
        _typed("left", "Done", {"room": _ROOM}, {"room": _ROOM_7}),
    ),
    "resume": (
        _typed(
            "resume",
            "Get what was missed of a job, and join its room",
            {"jobId": JOB_ID, "after": _SEQ},
            _HERE,
        ),
        _typed(
            "resumed",
            "Every event with a higher `seq`, oldest first",
            {"jobId": JOB_ID, **_RESUMED},
            {"jobId": examples.JOB_ID, **_MISSED},
        ),
    ),
    "auth_refresh": (
        _typed(
            "auth_refresh",
            "Stay connected as long as a new token holds",
            {"token": _TEXT},
            {"token": "eyJhbGciOi…"},
            userId=_TEXT,
        ),
        _typed("auth_refreshed", "Done", {}, {}),
    ),
    "ping": (
        _typed("ping", "Find out whether the connection lives", {}, {"id": 7}),
        _typed("pong", "It does", {}, {"id": 7}),
    ),
}
_WEBSOCKET_REFUSAL = _typed(
    "error",
    "What is refused, or why the connection ends; `oldestSeq` beside `gap`",
    _error(*_SOCKET, *_CLOSING),
    {**_GAP, "oldestSeq": 9},
    oldestSeq=_SEQ,
)
_WEBSOCKET_TOLD = {
    "worker_progress": _typed(
        "worker_progress", "One step of a job", {"event": _EVENT}, {"event": examples.LAST_EVENT}
    ),
}


def _messages(asked: dict[str, Any], told: dict[str, Any], refusal: dict[str, Any]) -> dict[str, Any]:
    """Every message of a channel by its name."""
    both = [message for pair in asked.values() for message in pair]
    return {message["name"]: message for message in [*both, *told.values(), refusal]}


def _operations(
    channel: str, asked: dict[str, Any], told: dict[str, Any], refusal: dict[str, Any]
) -> dict[str, Any]:
    """What the gateway takes in and answers on a channel, and what it tells unasked."""
    at = {"channel": {"$ref": f"#/channels/{channel}"}}

    def messages(*named: dict[str, Any]) -> dict[str, Any]:
        return {
            "messages": [{"$ref": f"#/channels/{channel}/messages/{message['name']}"} for message in named]
        }

    received = {
        f"{channel}_{name}": {
            "action": "receive", **at, "summary": message["summary"], **messages(message),
            "reply": {**at, **messages(answer, refusal)},
        }
        for name, (message, answer) in asked.items()
    }  # fmt: skip
    sent = {
        f"{channel}_{name}": {"action": "send", **at, "summary": message["summary"], **messages(message)}
        for name, message in told.items()
    }
    return received | sent


_SOCKETIO = (_SOCKETIO_ASKED, _SOCKETIO_TOLD, _SOCKETIO_REFUSAL)
_WEBSOCKET = (_WEBSOCKET_ASKED, _WEBSOCKET_TOLD, _WEBSOCKET_REFUSAL)


@cache
def document() -> dict[str, Any]:
    """Return the document. Whoever gets it must not change it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "CTO operations, live",
            "version": version("cto"),
            "description": "What is said over Socket.IO and the plain WebSocket at /ws, as the gateway sees "
            "it: it receives what clients say. /openapi.json describes REST and Server-Sent Events.",
        },
        "defaultContentType": "application/json",
        "servers": {"gateway": {"host": "127.0.0.1:3000", "protocol": "ws"}},
        "channels": {
            "socketio": {
                "address": "/socket.io/",
                "title": "Socket.IO",
                "description": "Socket.IO 5 (Engine.IO 4), default namespace; `websocket` and `polling`. "
                "Each message is the event of its name with one argument; answers come in its callback. A "
                "token goes into the handshake's `auth: {token}`.",
                "messages": _messages(*_SOCKETIO),
            },
            "websocket": {
                "address": "/ws",
                "title": "Plain WebSocket",
                "description": "RFC 6455. Each message is one JSON object as text, of at most 32 KiB from "
                "clients. What has an `id` is answered with the same `id`.",
                "messages": _messages(*_WEBSOCKET),
            },
        },
        "operations": _operations("socketio", *_SOCKETIO) | _operations("websocket", *_WEBSOCKET),
        "components": {"schemas": json_schemas()},
    }

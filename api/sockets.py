"""Socket.IO: what a client may say and what it is answered."""

from __future__ import annotations

import json
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import request
from flask_socketio import ConnectionRefusedError as Refusal
from flask_socketio import SocketIO, emit

from api.admission import Turns
from api.auth import ForbiddenError, caller, check_origin
from api.engine import lean
from api.outbox import Outbox
from api.relay import Reader
from api.rooms import check_allowed, refusal, resume_point, room_name
from cto_worker import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from api.relay import Relay
    from cto_worker.config import Settings
    from cto_worker.history import History

PING_INTERVAL_S, PING_TIMEOUT_S = 10, 5
MAX_MESSAGE_BYTES = 32_768
NAMESPACE = "/"
LOOKUPS_AT_ONCE = 32  # of jobs that clients ask for; the store's other connections stay free for REST

_has_callback: ContextVar[bool] = ContextVar("has_callback", default=True)


def make_socketio(app: Flask, settings: Settings, async_mode: str) -> SocketIO:
    """Return the Socket.IO server on ``app``."""
    socketio = SocketIO(
        app,
        async_mode=async_mode,
        # None means: the gateway's own origin only. An empty list would turn the check off.
        cors_allowed_origins=list(settings.cors_origins) or None,
        async_handlers=False,  # a client's messages are handled in the order it sent them
        manage_session=False,
        json=_PlainJson,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        max_http_buffer_size=MAX_MESSAGE_BYTES,
    )
    _note_callbacks(socketio.server)
    lean(socketio.server.eio)
    return socketio


def register(socketio: SocketIO, relay: Relay, history: History, settings: Settings) -> None:
    """Handle connection, ``join_room``, ``leave_room``, ``resume`` and disconnection."""
    server, readers, outboxes = socketio.server, dict[str, Reader](), dict[str, Outbox]()
    turns = Turns(LOOKUPS_AT_ONCE)

    def connect(*_: Any) -> None:
        # Engine.IO's requests never reach Flask's own check. Its own one compares Origin with Host, which a
        # name that was rebound to this machine passes.
        try:
            check_origin(settings, request.host, request.headers.get("Origin"))
        except ForbiddenError as error:
            raise Refusal(str(error), {"code": error.code}) from error

        sid = request.sid  # type: ignore[attr-defined]  # Flask-SocketIO adds it
        outbox = server.eio.sockets[server.manager.eio_sid_from_sid(sid, NAMESPACE)].queue
        readers[sid], outboxes[sid] = Reader(outbox.put_frame), outbox

    def join_room(reader: Reader, *arguments: Any) -> dict[str, Any]:
        room = room_name(arguments)
        with turns.turn():
            check_allowed(caller(), room, history)
        relay.join(reader, room)
        return {"success": True, "room": room}

    def leave_room(reader: Reader, *arguments: Any) -> dict[str, Any]:
        room = room_name(arguments)
        relay.leave(reader, room)
        return {"success": True, "room": room}

    def resume(reader: Reader, *arguments: Any) -> _Raw:
        job_id, after = resume_point(arguments)
        with turns.turn():
            check_allowed(caller(), keys.job_room(job_id), history)
        frames = relay.resume(reader, job_id, after)
        events = b",".join(frame.payload for frame in frames).decode()
        latest_seq = frames[-1].seq if frames else after
        return _Raw(f'{{"success":true,"events":[{events}],"latestSeq":{latest_seq}}}')

    def disconnect(reason: str = "", *_: Any) -> None:
        sid = request.sid  # type: ignore[attr-defined]
        if sid in readers:
            relay.forget(readers.pop(sid))
            outbox = outboxes.pop(sid)
            if reason == server.reason.PING_TIMEOUT:
                outbox.drop()  # it may read nothing, and so no goodbye either

    def answering(handler: Callable[..., Any]) -> Callable[..., Any]:
        return _answering(partial(_act, handler, readers, relay))

    socketio.on_event("connect", connect)
    socketio.on_event("join_room", answering(join_room))
    socketio.on_event("leave_room", answering(leave_room))
    socketio.on_event("resume", answering(resume))
    socketio.on_event("disconnect", disconnect)


def _act(handler: Callable[..., Any], readers: dict[str, Reader], relay: Relay, *arguments: Any) -> Any:
    """Handle a message of the current request's client."""
    sid = request.sid  # type: ignore[attr-defined]
    reader = readers[sid]
    try:
        return handler(reader, *arguments)
    finally:
        if sid not in readers:
            relay.forget(reader)  # the client went while it waited


def _answering(handler: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Turn a handler's refusals into the answer, and into ``room_error`` when the client waits for none."""

    def answer(*arguments: Any) -> dict[str, Any]:
        try:
            return handler(*arguments)
        except Exception as failure:  # noqa: BLE001 - whatever it is, refusal tells it
            error, more = refusal(failure)
        if not _has_callback.get():
            emit("room_error", error)
        return {"success": False, "error": error, **more}

    return answer


def _note_callbacks(server: Any) -> None:
    """Let handlers know whether the client waits for an answer, which python-socketio keeps to itself.

    An event's packet carries an id exactly when the client gave a callback.
    """
    handle = server._handle_event_internal  # noqa: SLF001 - the only place that knows; a test guards it

    def note_and_handle(*arguments: Any) -> None:
        _has_callback.set(arguments[-1] is not None)
        handle(*arguments)

    server._handle_event_internal = note_and_handle  # noqa: SLF001


class _PlainJson:
    """The JSON of Socket.IO packets. A :class:`_Raw` answer is JSON already."""

    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(data: Any, **options: Any) -> str:
        if isinstance(data, list) and data and isinstance(data[0], _Raw):
            return f"[{data[0]}]"
        return json.dumps(data, **options)


class _Raw(str):
    __slots__ = ()

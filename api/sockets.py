"""Socket.IO: what a client may say and what it is answered."""

from __future__ import annotations

import json
import time
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from engineio.packet import MESSAGE, Packet
from flask_socketio import ConnectionRefusedError as Refusal
from flask_socketio import SocketIO
from redis.exceptions import RedisError

from api.admission import Turns
from api.auth import check_origin, credentials
from api.engine import PacketQueue, lean
from api.frames import gap, missed
from api.reader import Reader
from api.rooms import check_allowed, refusal, resume_point, room_name
from cto_worker import keys
from cto_worker.errors import CtoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from api.auth import Gate
    from api.frames import Frame
    from api.policy import Caller
    from api.relay import Relay
    from cto_worker.config import Settings
    from cto_worker.history import History

PING_INTERVAL_S, PING_TIMEOUT_S = 10, 5
MAX_MESSAGE_BYTES = 32_768
NAMESPACE = "/"
LOOKUPS_AT_ONCE = 32  # of jobs that clients ask for; the store's other connections stay free for REST

# Of the event that is handled: the id under which its client waits for an answer, if it does.
_packet_id: ContextVar[int | None] = ContextVar("packet_id", default=None)


def make_socketio(app: Flask, settings: Settings, async_mode: str) -> SocketIO:
    """Return the Socket.IO server on ``app``."""
    socketio = SocketIO(
        app,
        async_mode=async_mode,
        # None means: the gateway's own origin only. An empty list would turn the check off.
        cors_allowed_origins=list(settings.cors_origins) or None,
        async_handlers=False,  # a client's messages are handled in the order it sent them
        manage_session=False,
        json=json,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        max_http_buffer_size=MAX_MESSAGE_BYTES,
    )
    _note_packet_ids(socketio.server)
    lean(socketio.server.eio)
    return socketio


def register(socketio: SocketIO, relay: Relay, history: History, settings: Settings, gate: Gate) -> None:
    """Handle connection, ``join_room``, ``leave_room``, ``resume`` and disconnection.

    The handlers are python-socketio's: Flask-SocketIO would make a request context for each message, which
    costs more than most of them, and which none of them asks for.
    """
    server = socketio.server
    door = _Door(server, relay, history, settings, gate)
    server.on("connect", door.connect)
    for name, handler in (("join_room", door.join), ("leave_room", door.leave), ("resume", door.resume)):
        server.on(name, _answering(server, partial(door.act, handler)))
    server.on("disconnect", door.disconnect)


@dataclass(eq=False, slots=True)
class _Client:
    """One that is connected."""

    who: Caller
    reader: Reader
    outbox: PacketQueue


class _Door:
    """The clients that are connected, and what they may ask for."""

    def __init__(self, server: Any, relay: Relay, history: History, settings: Settings, gate: Gate) -> None:
        self._server, self._relay, self._history, self._settings = server, relay, history, settings
        self._gate = gate
        self._turns = Turns(LOOKUPS_AT_ONCE)
        self._clients: dict[str, _Client] = {}  # by Socket.IO's id

    def connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        # Engine.IO's own check compares Origin with Host: a name that was rebound to this machine passes it.
        try:
            check_origin(self._settings, environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN"))
            who = self._gate.admit(*credentials(environ, auth))
        except (CtoError, RedisError) as failure:
            error, _ = refusal(failure)
            raise Refusal(error["message"], {"code": error["code"]}) from failure
        outbox = self._server.eio.sockets[self._session(sid)].queue
        self._clients[sid] = _Client(who, _reader(outbox), outbox)

    def disconnect(self, sid: str, reason: str = "") -> None:
        client = self._clients.pop(sid, None)
        if client:
            self._relay.forget(client.reader)
            if reason == self._server.reason.PING_TIMEOUT:
                client.outbox.drop()  # it may read nothing, and so no goodbye either

    def _session(self, sid: str) -> str:
        return self._server.manager.eio_sid_from_sid(sid, NAMESPACE)  # type: ignore[no-any-return]

    def act(self, handler: Callable[..., Any], sid: str, *arguments: Any) -> Any:
        """Handle a message of a client."""
        client = self._clients[sid]
        outbox, session = client.outbox, self._server.eio.sockets.get(self._session(sid))
        outbox.busy, pinged_s = True, session and session.last_ping
        if pinged_s:
            session.last_ping = None  # its answer lies unread behind this message
        try:
            return handler(client, *arguments)
        finally:
            outbox.busy = False
            if pinged_s:
                session.last_ping = time.time()

    def join(self, client: _Client, *arguments: Any) -> dict[str, Any]:
        room = room_name(arguments)
        with self._turns.turn():
            check_allowed(client.who, room, self._history)
        self._relay.join(client.reader, room)
        return {"success": True, "room": room}

    def leave(self, client: _Client, *arguments: Any) -> dict[str, Any]:
        room = room_name(arguments)
        self._relay.leave(client.reader, room)
        return {"success": True, "room": room}

    def resume(self, client: _Client, *arguments: Any) -> Any:
        job_id, after = resume_point(arguments)
        with self._turns.turn():
            check_allowed(client.who, keys.job_room(job_id), self._history)
        reader, outbox, packet_id = client.reader, client.outbox, _packet_id.get()

        def answer(frames: list[Frame]) -> None:
            if packet_id is None:
                for frame in frames:
                    reader.put(frame)
            else:
                outbox.put(_resumed(packet_id, frames, after))

        self._relay.resume(reader, job_id, after, answer)
        return self._server.not_handled  # so that python-socketio does not answer once more


def _reader(outbox: PacketQueue) -> Reader:
    def tell_gap(job_id: str, oldest_seq: int) -> None:
        outbox.put(Packet(MESSAGE, f'2["gap",{gap(job_id, oldest_seq).decode()}]'))

    return Reader(outbox.put_frame, tell_gap)


def _answering(server: Any, handler: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a handler's refusals into the answer, and into ``room_error`` when the client waits for none."""

    def answer(sid: str, *arguments: Any) -> Any:
        try:
            return handler(sid, *arguments)
        except Exception as failure:  # noqa: BLE001 - whatever it is, refusal tells it
            error, more = refusal(failure)
        if _packet_id.get() is None:
            server.emit("room_error", error, to=sid, namespace=NAMESPACE)
        return {"success": False, "error": error, **more}

    return answer


def _resumed(packet_id: int, frames: list[Frame], after: int) -> Packet:
    """The acknowledgement (``3``) of a ``resume``, its events as the worker wrote them."""
    return Packet(MESSAGE, f'3{packet_id}[{{"success":true,{missed(frames, after).decode()}}}]')


def _note_packet_ids(server: Any) -> None:
    """Let handlers know the id of an event's packet, which python-socketio keeps to itself.

    It has one exactly when the client gave a callback.
    """
    handle = server._handle_event_internal  # noqa: SLF001 - the only place that knows; a test guards it

    def note_and_handle(*arguments: Any) -> None:
        _packet_id.set(arguments[-1])
        handle(*arguments)

    server._handle_event_internal = note_and_handle  # noqa: SLF001

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

from api.limits.refusal_log import refusals
from api.realtime.connections import CloseReason
from api.realtime.room_access import refusal, resume_point, room_name
from api.relay.encoded_event import gap, missed
from api.relay.subscriber import Subscriber
from api.server.session_guard import guard
from cto_worker.errors import CtoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from api.realtime.connections import Connection
    from api.realtime.sessions import SessionService
    from api.relay.encoded_event import EncodedEvent
    from api.server.engineio_server import PacketQueue

PING_INTERVAL_S, PING_TIMEOUT_S = 10, 5
MAX_MESSAGE_BYTES = 32_768
NAMESPACE = "/"

_ASKED = ("join_room", "leave_room", "resume", "auth_refresh")  # what a client may say
# Of the event that is handled: the id under which its client waits for an answer, if it does.
_packet_id: ContextVar[int | None] = ContextVar("packet_id", default=None)


def make_socketio(app: Flask, async_mode: str) -> SocketIO:
    """Return the Socket.IO server on ``app``."""
    socketio = SocketIO(
        app,
        async_mode=async_mode,
        cors_allowed_origins=[],  # turns off Engine.IO's own check: api.server.protection decides
        async_handlers=False,  # a client's messages are handled in the order it sent them
        manage_session=False,
        json=json,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        max_http_buffer_size=MAX_MESSAGE_BYTES,
        http_compression=False,  # of polls: it would keep everybody waiting, as that of WebSockets (0006)
    )
    _note_packet_ids(socketio.server)
    guard(socketio.server)
    return socketio


def register(
    socketio: SocketIO, sessions: SessionService, left: Callable[[str], object] = lambda _: None
) -> None:
    """Handle connection, ``join_room``, ``leave_room``, ``resume``, ``auth_refresh`` and disconnection.

    ``left`` is told each session that is nobody's any more.
    The handlers are python-socketio's: Flask-SocketIO would make a request context for each message, which
    costs more than most of them, and which none of them asks for.
    """
    server = socketio.server
    door = _Door(server, sessions, left)
    server.on("connect", door.connect)
    for name, handler in zip(_ASKED, (door.join, door.leave, door.resume, door.refresh), strict=True):
        server.on(name, _answering(server, partial(door.act, handler)))
    server.on("disconnect", door.disconnect)


@dataclass(eq=False, slots=True)
class _Client:
    """One that is connected."""

    connection: Connection
    subscriber: Subscriber
    send_queue: PacketQueue


class _Door:
    """The clients that are connected, and what they may ask for."""

    def __init__(self, server: Any, sessions: SessionService, left: Callable[[str], object]) -> None:
        self._server, self._sessions, self._left = server, sessions, left
        self._clients: dict[str, _Client] = {}  # by Socket.IO's id

    def connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        session = self._server.eio.sockets[self._session(sid)]
        send_queue = session.queue
        try:
            who = self._sessions.authenticator.admit_handshake(environ, auth)
            if session.closed:  # while keys were fetched
                raise Refusal("gone")
            connection = self._sessions.open(who, partial(self._end, sid))
        except (CtoError, RedisError) as failure:
            error, _ = refusal(failure)
            refusals.note("refused a client", environ.get("REMOTE_ADDR"), error["code"])
            raise Refusal(error["message"], {"code": error["code"]}) from failure
        self._clients[sid] = _Client(connection, _reader(send_queue), send_queue)

    def disconnect(self, sid: str, reason: str = "") -> None:
        client = self._clients.pop(sid, None)
        if client:
            self._left(self._session(sid))
            self._sessions.connections.close(client.connection)
            self._sessions.relay.forget(client.subscriber)
            if reason == self._server.reason.CLIENT_DISCONNECT:
                client.send_queue.put(None)  # who is nobody any more takes up no room
            if reason == self._server.reason.PING_TIMEOUT:
                client.send_queue.drop()  # it may read nothing, and so no goodbye either

    def _session(self, sid: str) -> str:
        return self._server.manager.eio_sid_from_sid(sid, NAMESPACE)  # type: ignore[no-any-return]

    def act(self, handler: Callable[..., Any], sid: str, *arguments: Any) -> Any:
        """Handle a message of a client."""
        client = self._clients[sid]
        send_queue, session = client.send_queue, self._server.eio.sockets.get(self._session(sid))
        send_queue.busy, pinged_s = True, session and session.last_ping
        if pinged_s:
            session.last_ping = None  # its answer lies unread behind this message
        try:
            return handler(client, *arguments)
        finally:
            send_queue.busy = False
            if pinged_s:
                session.last_ping = time.time()

    def _end(self, sid: str, ending: CloseReason) -> None:
        if ending is CloseReason.GOING_AWAY:
            return  # see close_all
        session = self._server.eio.sockets.get(self._session(sid))
        said = {"code": ending.code, "message": ending.message}
        self._server.emit("auth_expired", said, to=sid, namespace=NAMESPACE)
        self._server.disconnect(sid, namespace=NAMESPACE)
        if session:
            session.queue.put(None)  # the connection is of no use to anybody then

    def join(self, client: _Client, *arguments: Any) -> dict[str, Any]:
        room = room_name(arguments)
        self._sessions.join(client.connection, client.subscriber, room)
        return {"success": True, "room": room}

    def leave(self, client: _Client, *arguments: Any) -> dict[str, Any]:
        room = room_name(arguments)
        self._sessions.relay.leave(client.subscriber, room)
        return {"success": True, "room": room}

    def resume(self, client: _Client, *arguments: Any) -> Any:
        job_id, after = resume_point(arguments)
        subscriber, send_queue, packet_id = client.subscriber, client.send_queue, _packet_id.get()

        def answer(frames: list[EncodedEvent]) -> None:
            if packet_id is None:
                for frame in frames:
                    subscriber.put(frame)
            else:
                send_queue.put(_resumed(packet_id, frames, after))

        self._sessions.resume(client.connection, subscriber, job_id, after, answer)
        return self._server.not_handled  # so that python-socketio does not answer once more

    def refresh(self, client: _Client, *arguments: Any) -> dict[str, Any]:
        given = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
        self._sessions.refresh(client.connection, given.get("token"), given.get("userId"))
        return {"success": True}


def _reader(send_queue: PacketQueue) -> Subscriber:
    def tell_gap(job_id: str, oldest_seq: int) -> None:
        send_queue.put(Packet(MESSAGE, f'2["gap",{gap(job_id, oldest_seq).decode()}]'))

    def probe(ping: bytes) -> None:
        if send_queue.writes_at_once:  # and is not polled
            send_queue.put(ping)

    return Subscriber(send_queue.put_frame, tell_gap, probe)


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


def _resumed(packet_id: int, frames: list[EncodedEvent], after: int) -> Packet:
    """The acknowledgement (``3``) of a ``resume``, its events as the worker wrote them."""
    return Packet(MESSAGE, f'3{packet_id}[{{"success":true,{missed(frames, after).decode()}}}]')


def _note_packet_ids(server: Any) -> None:
    """Let handlers know the id of an event's packet, which python-socketio keeps to itself.

    It has one exactly when the client gave a callback. Nor does python-socketio keep clients from sending the
    events that are its own: ``disconnect`` would end what holds a client to its token.
    """
    handle = server._handle_event_internal  # noqa: SLF001 - the only place that knows; a test guards it

    def note_and_handle(*arguments: Any) -> None:
        if arguments[3][0] in _ASKED:
            _packet_id.set(arguments[-1])
            handle(*arguments)

    server._handle_event_internal = note_and_handle  # noqa: SLF001

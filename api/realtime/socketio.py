"""The Socket.IO transport: the events that clients send, and the answers to them."""

from __future__ import annotations

import json
import time
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from engineio.packet import MESSAGE, Packet
from flask_socketio import ConnectionRefusedError as ConnectionRefused
from flask_socketio import SocketIO
from redis.exceptions import RedisError

from api import patches
from api.limits.refusal_log import refusals
from api.realtime.connections import CloseReason
from api.realtime.error_payload import error_payload
from api.realtime.room_access import parse_resume, parse_room
from api.relay.encoded_event import gap, resume_fields
from api.relay.subscriber import Subscriber
from cto_worker.errors import CtoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from api.realtime.connections import Connection
    from api.realtime.sessions import SessionService
    from api.relay.encoded_event import EncodedEvent
    from api.server.engineio_sessions import PacketQueue

PING_INTERVAL_S, PING_TIMEOUT_S = 10, 5
MAX_MESSAGE_BYTES = 32_768
NAMESPACE = "/"

_CLIENT_EVENTS = ("join_room", "leave_room", "resume", "auth_refresh")
# The id under which the client waits for an answer to the event that is being handled, or None.
_packet_id: ContextVar[int | None] = ContextVar("packet_id", default=None)


def make_socketio(app: Flask, async_mode: str) -> SocketIO:
    """Return the Socket.IO server on ``app``."""
    socketio = SocketIO(
        app,
        async_mode=async_mode,
        cors_allowed_origins=[],  # turns off Engine.IO's own check: api.server.security_middleware decides
        async_handlers=False,  # a client's messages are handled in the order in which it sent them
        manage_session=False,
        json=json,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        max_http_buffer_size=MAX_MESSAGE_BYTES,
        http_compression=False,  # of polls: it would delay all clients, like compression of WebSockets (0006)
    )
    patches.wrap_events(socketio.server, _handle_event)
    return socketio


def register(
    socketio: SocketIO, sessions: SessionService, on_left: Callable[[str], object] = lambda _: None
) -> None:
    """Register the handlers of connect, disconnect, and the events that clients send.

    ``on_left`` is called with the Engine.IO id of each session that has left the namespace. The handlers are
    registered with python-socketio: Flask-SocketIO would make a request context for each message, which costs
    more than most handlers and which they do not use.
    """
    server = socketio.server
    handlers = _Handlers(server, sessions, on_left)
    server.on("connect", handlers.connect)
    for name, handler in zip(
        _CLIENT_EVENTS, (handlers.join, handlers.leave, handlers.resume, handlers.refresh), strict=True
    ):
        server.on(name, _answering(server, partial(handlers.handle, handler)))
    server.on("disconnect", handlers.disconnect)


@dataclass(eq=False, slots=True)
class _Client:
    """A connected client."""

    connection: Connection
    subscriber: Subscriber
    send_queue: PacketQueue


class _Handlers:
    """The handlers of the events, and the clients that are connected."""

    def __init__(self, server: Any, sessions: SessionService, on_left: Callable[[str], object]) -> None:
        self._server, self._sessions, self._on_left = server, sessions, on_left
        self._clients: dict[str, _Client] = {}  # by Socket.IO's id

    def connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        session = self._server.eio.sockets[self._eio_sid(sid)]
        send_queue = session.queue
        try:
            caller = self._sessions.authenticator.admit_handshake(environ, auth)
            if session.closed:  # while keys were fetched
                raise ConnectionRefused("gone")
            connection = self._sessions.connect(caller, partial(self._close, sid))
        except (CtoError, RedisError) as failure:
            error, _ = error_payload(failure)
            refusals.note("refused a client", environ.get("REMOTE_ADDR"), error["code"])
            raise ConnectionRefused(error["message"], {"code": error["code"]}) from failure
        self._clients[sid] = _Client(connection, _subscriber(send_queue), send_queue)

    def disconnect(self, sid: str, reason: str = "") -> None:
        client = self._clients.pop(sid, None)
        if client:
            self._on_left(self._eio_sid(sid))
            self._sessions.connections.remove(client.connection)
            self._sessions.relay.remove(client.subscriber)
            if reason == self._server.reason.CLIENT_DISCONNECT:
                client.send_queue.put(
                    None
                )  # a session in no namespace must not count for the connection limit
            if reason == self._server.reason.PING_TIMEOUT:
                client.send_queue.drop()  # the client may read nothing, a close message included

    def _eio_sid(self, sid: str) -> str:
        return self._server.manager.eio_sid_from_sid(sid, NAMESPACE)  # type: ignore[no-any-return]

    def handle(self, handler: Callable[..., Any], sid: str, *arguments: Any) -> Any:
        """Handle a client's message."""
        client = self._clients[sid]
        send_queue, session = client.send_queue, self._server.eio.sockets.get(self._eio_sid(sid))
        send_queue.busy, pinged_s = True, session and session.last_ping
        if pinged_s:
            session.last_ping = None  # the answer to the ping is not read before this message is handled
        try:
            return handler(client, *arguments)
        finally:
            send_queue.busy = False
            if pinged_s:
                session.last_ping = time.time()

    def _close(self, sid: str, reason: CloseReason) -> None:
        if reason is CloseReason.GOING_AWAY:
            return  # api.realtime.connection_limits.drain ends the sessions
        session = self._server.eio.sockets.get(self._eio_sid(sid))
        error = {"code": reason.code, "message": reason.message}
        self._server.emit("auth_expired", error, to=sid, namespace=NAMESPACE)
        self._server.disconnect(sid, namespace=NAMESPACE)
        if session:
            session.queue.put(None)  # a session in no namespace is of no use

    def join(self, client: _Client, *arguments: Any) -> dict[str, Any]:
        room = parse_room(arguments)
        self._sessions.join(client.connection, client.subscriber, room)
        return {"success": True, "room": room}

    def leave(self, client: _Client, *arguments: Any) -> dict[str, Any]:
        room = parse_room(arguments)
        self._sessions.relay.leave(client.subscriber, room)
        return {"success": True, "room": room}

    def resume(self, client: _Client, *arguments: Any) -> Any:
        job_id, after = parse_resume(arguments)
        subscriber, send_queue, packet_id = client.subscriber, client.send_queue, _packet_id.get()

        def answer(events: list[EncodedEvent]) -> None:
            if packet_id is None:
                for event in events:
                    subscriber.put_event(event)
            else:
                send_queue.put(_resume_ack(packet_id, events, after))

        self._sessions.resume(client.connection, subscriber, job_id, after, answer)
        return self._server.not_handled  # so that python-socketio does not send a second answer

    def refresh(self, client: _Client, *arguments: Any) -> dict[str, Any]:
        message = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
        self._sessions.refresh(client.connection, message.get("token"), message.get("userId"))
        return {"success": True}


def _subscriber(send_queue: PacketQueue) -> Subscriber:
    def put_gap(job_id: str, oldest_seq: int) -> None:
        send_queue.put(Packet(MESSAGE, f'2["gap",{gap(job_id, oldest_seq).decode()}]'))

    def put_ping(ping: bytes) -> None:
        if send_queue.is_direct:  # else the client polls
            send_queue.put(ping)

    return Subscriber(send_queue.put_event, put_gap, put_ping)


def _answering(server: Any, handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return the handler with its errors as answers, or as ``room_error`` if the client expects no answer."""

    def answer(sid: str, *arguments: Any) -> Any:
        try:
            return handler(sid, *arguments)
        except Exception as failure:  # noqa: BLE001 - error_payload has an answer to each
            error, fields = error_payload(failure)
        if _packet_id.get() is None:
            server.emit("room_error", error, to=sid, namespace=NAMESPACE)
        return {"success": False, "error": error, **fields}

    return answer


def _resume_ack(packet_id: int, events: list[EncodedEvent], after: int) -> Packet:
    """Return the acknowledgement (``3``) of a ``resume``, with the events as the worker encoded them."""
    return Packet(MESSAGE, f'3{packet_id}[{{"success":true,{resume_fields(events, after).decode()}}}]')


def _handle_event(handle: Callable[[], object], event: str, packet_id: int | None) -> None:
    """Handle an event, with its packet's id in ``_packet_id``: python-socketio does not pass it to handlers.

    A packet has an id exactly if the client gave a callback. Events other than :data:`_CLIENT_EVENTS` are
    ignored: python-socketio would accept its own ``disconnect`` from a client, and the connection's token
    would no longer be checked.
    """
    if event in _CLIENT_EVENTS:
        _packet_id.set(packet_id)
        handle()

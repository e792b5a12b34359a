"""The Socket.IO transport: the events that clients send, and the answers to them."""

from __future__ import annotations

import json
import time
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from engineio.packet import MESSAGE, Packet
from flask_socketio import ConnectionRefusedError as ConnectionRefused
from flask_socketio import SocketIO
from redis.exceptions import RedisError
from socketio import Manager

from api import library_patches
from api.limits.refusal_log import refusals
from api.realtime.error_payload import error_payload
from api.realtime.room_access import parse_resume, parse_room
from api.relay.encoded_event import gap, resume_fields
from api.relay.subscriber import GOING_AWAY
from api.server.engineio_overrides import PacketQueue
from cto_worker.errors import CtoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from api.realtime.client_service import ClientService
    from api.relay.encoded_event import EncodedEvent

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
        client_manager=ClientManager(),
        json=PacketJson,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        max_http_buffer_size=MAX_MESSAGE_BYTES,
        http_compression=False,  # of polls: it would delay all clients, like compression of WebSockets (0006)
    )
    library_patches.wrap_events(socketio.server, _handle_event)
    return socketio


def register(
    socketio: SocketIO, service: ClientService, on_left: Callable[[str], object] = lambda _: None
) -> None:
    """Register the handlers of connect, disconnect, and the events that clients send.

    ``on_left`` is called with the Engine.IO id of each session that has left the namespace. The handlers are
    registered with python-socketio: Flask-SocketIO would make a request context for each message, which costs
    more than most handlers and which they do not use.
    """
    server = socketio.server
    handlers = _Handlers(server, service, on_left)
    server.on("connect", handlers.connect)
    for name, handler in zip(
        _CLIENT_EVENTS, (handlers.join, handlers.leave, handlers.resume, handlers.refresh), strict=True
    ):
        server.on(name, _answering(server, partial(handlers.handle, handler)))
    server.on("disconnect", handlers.disconnect)


class ClientManager(Manager):  # type: ignore[misc]  # python-socketio ships no types
    """python-socketio's clients without its rooms: it has one for each client, and searches all at each end.

    Only the room of a single client is used, to send to it. The rooms of events are those of the relay.
    """

    def basic_enter_room(
        self, sid: str, namespace: str, room: str | None, eio_sid: str | None = None
    ) -> None:
        """Add a client to ``room``, except to its own."""
        if room != sid:
            super().basic_enter_room(sid, namespace, room, eio_sid)

    def get_participants(self, namespace: str, room: str) -> Iterator[tuple[str, str]]:
        """Yield the Socket.IO id and the Engine.IO id of the client whose room this is."""
        eio_sid = self.eio_sid_from_sid(room, namespace)
        if eio_sid:
            yield room, eio_sid


class PacketJson:
    """The JSON of packets, as python-socketio uses it. msgspec needs a tenth of the time of :mod:`json`."""

    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(document: Any, **options: Any) -> str:
        """Return compact JSON."""
        try:
            return msgspec.json.encode(document).decode()
        except UnicodeEncodeError:  # a lone surrogate, which a client has sent
            return json.dumps(document, **options)


class SocketIOClient(PacketQueue):
    """A Socket.IO client: the queue of its Engine.IO session, and its subscriber after it has connected."""

    __slots__ = ("_server", "sid")

    def __init__(self, server: Any) -> None:
        """``server`` is python-socketio's."""
        super().__init__()
        self._server = server
        self.sid = ""  # Socket.IO's id, after it has connected

    def start(self, sid: str) -> None:
        """Begin without rooms and cursors, also if the session has left the namespace before."""
        self.sid, self.gone = sid, False
        for jobs in (self.cursors, self.followed, self.left):
            jobs.clear()

    def put_gap(self, job_id: str, oldest_seq: int) -> None:
        """Queue a gap."""
        self.put(Packet(MESSAGE, f'2["gap",{gap(job_id, oldest_seq).decode()}]'))

    def close(self, reason: tuple[str, str]) -> None:
        """Report the reason, and end the session after the queued items."""
        if reason is GOING_AWAY:
            return  # api.realtime.drain ends the sessions
        code, message = reason
        self._server.emit(
            "auth_expired", {"code": code, "message": message}, to=self.sid, namespace=NAMESPACE
        )
        self._server.disconnect(self.sid, namespace=NAMESPACE)
        self.put(None)  # a session in no namespace is of no use


class _Handlers:
    """The handlers of the events. The client of a session is its queue."""

    def __init__(self, server: Any, service: ClientService, on_left: Callable[[str], object]) -> None:
        self._server, self._service, self._on_left = server, service, on_left

    def connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        session = self._session(sid)
        client: SocketIOClient = session.queue
        try:
            caller = self._service.authenticator.admit_handshake(environ, auth)
            if session.closed:  # while keys were fetched
                raise ConnectionRefused("gone")
            client.start(sid)
            self._service.connect(client, caller)
        except (CtoError, RedisError) as failure:
            error, _ = error_payload(failure)
            refusals.note("refused a client", environ.get("REMOTE_ADDR"), error["code"])
            raise ConnectionRefused(error["message"], {"code": error["code"]}) from failure

    def disconnect(self, sid: str, reason: str = "") -> None:
        session = self._session(sid)
        client = session.queue if session else None
        if client and client.sid == sid:
            client.sid = ""
            self._on_left(session.sid)
            self._service.disconnect(client)
            if reason == self._server.reason.CLIENT_DISCONNECT:
                client.put(None)  # a session in no namespace must not count for the connection limit
            if reason == self._server.reason.PING_TIMEOUT:
                client.drop()  # the client may read nothing, a close message included

    def _session(self, sid: str) -> Any:
        return self._server.eio.sockets.get(self._server.manager.eio_sid_from_sid(sid, NAMESPACE))

    def handle(self, handler: Callable[..., Any], sid: str, *arguments: Any) -> Any:
        """Handle a client's message."""
        session = self._session(sid)
        client: SocketIOClient = session.queue
        client.busy, pinged_s = True, session.last_ping
        if pinged_s:
            session.last_ping = None  # the answer to the ping is not read before this message is handled
        try:
            return handler(client, *arguments)
        finally:
            client.busy = False
            if pinged_s:
                session.last_ping = time.time()

    def join(self, client: SocketIOClient, *arguments: Any) -> dict[str, Any]:
        room = parse_room(arguments)
        self._service.join(client, room)
        return {"success": True, "room": room}

    def leave(self, client: SocketIOClient, *arguments: Any) -> dict[str, Any]:
        room = parse_room(arguments)
        self._service.relay.leave(client, room)
        return {"success": True, "room": room}

    def resume(self, client: SocketIOClient, *arguments: Any) -> Any:
        job_id, after = parse_resume(arguments)
        packet_id = _packet_id.get()

        def answer(events: list[EncodedEvent]) -> None:
            if packet_id is None:
                for event in events:
                    client.put_event(event)
            else:
                client.put(_resume_ack(packet_id, events, after))

        self._service.resume(client, job_id, after, answer)
        return self._server.not_handled  # so that python-socketio does not send a second answer

    def refresh(self, client: SocketIOClient, *arguments: Any) -> dict[str, Any]:
        message = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
        self._service.refresh(client, message.get("token"), message.get("userId"))
        return {"success": True}


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

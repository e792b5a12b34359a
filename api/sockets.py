"""Socket.IO: what a client may say and what it is answered."""

from __future__ import annotations

import json
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import request
from flask_socketio import ConnectionRefusedError as Refusal
from flask_socketio import SocketIO, emit

from api.auth import ForbiddenError, caller, check_origin
from api.frames import Frame, socketio_message, socketio_packet, text_frame
from api.outbox import Outbox, cut_off
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
MAX_PAYLOAD_PACKETS = 16  # engineio.payload.Payload.max_decode_packets: what a stock Python client takes
NAMESPACE = "/"

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
    _join_writes(socketio.server.eio)
    return socketio


def register(socketio: SocketIO, relay: Relay, history: History, settings: Settings) -> None:
    """Handle connection, ``join_room``, ``leave_room``, ``resume`` and disconnection."""
    server, readers = socketio.server, dict[str, Reader]()

    def connect(*_: Any) -> None:
        # Engine.IO's requests never reach Flask's own check. Its own one compares Origin with Host, which a
        # name that was rebound to this machine passes.
        try:
            check_origin(settings, request.host, request.headers.get("Origin"))
        except ForbiddenError as error:
            raise Refusal(str(error), {"code": error.code}) from error

        sid = request.sid  # type: ignore[attr-defined]  # Flask-SocketIO adds it
        readers[sid] = Reader(server.eio.sockets[server.manager.eio_sid_from_sid(sid, NAMESPACE)].queue.put)

    def join_room(reader: Reader, *arguments: Any) -> dict[str, Any]:
        room = room_name(arguments)
        check_allowed(caller(), room, history)
        relay.join(reader, room)
        return {"success": True, "room": room}

    def leave_room(reader: Reader, *arguments: Any) -> dict[str, Any]:
        room = room_name(arguments)
        relay.leave(reader, room)
        return {"success": True, "room": room}

    def resume(reader: Reader, *arguments: Any) -> _Raw:
        job_id, after = resume_point(arguments)
        check_allowed(caller(), keys.job_room(job_id), history)
        frames = relay.resume(reader, job_id, after)
        events = b",".join(frame.payload for frame in frames).decode()
        latest_seq = frames[-1].seq if frames else after
        return _Raw(f'{{"success":true,"events":[{events}],"latestSeq":{latest_seq}}}')

    def disconnect(*_: Any) -> None:
        reader = readers.pop(request.sid, None)  # type: ignore[attr-defined]
        if reader:
            relay.forget(reader)

    def answering(handler: Callable[..., Any]) -> Callable[..., Any]:
        return _answering(lambda *arguments: handler(readers[request.sid], *arguments))  # type: ignore[attr-defined]

    socketio.on_event("connect", connect)
    socketio.on_event("join_room", answering(join_room))
    socketio.on_event("leave_room", answering(leave_room))
    socketio.on_event("resume", answering(resume))
    socketio.on_event("disconnect", disconnect)


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


class _Batch:
    """All that waits for a client, as the one packet that Engine.IO writes next."""

    __slots__ = ("_outbox",)

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def encode(self, b64: bool = False) -> Any:  # noqa: FBT001, FBT002 - as engineio.packet.Packet has it
        """Return the payload of an answer to polling (``b64``), or WebSocket messages to be written."""
        if b64:
            items = self._outbox.take(MAX_PAYLOAD_PACKETS)
            return "\x1e".join(
                socketio_packet(item).decode() if isinstance(item, Frame) else item.encode(b64=True)
                for item in items
            )
        return b"".join(
            item.form(socketio_message) if isinstance(item, Frame) else text_frame(item.encode().encode())
            for item in self._outbox.take()
        )


class _Writer:
    """A WebSocket of eventlet's, as Engine.IO uses it; a batch is written as it is."""

    __slots__ = ("_websocket", "close", "socket", "wait")

    def __init__(self, websocket: Any) -> None:
        self._websocket = websocket
        self.socket, self.wait, self.close = websocket.socket, websocket.wait, websocket.close

    def send(self, message: str | bytes) -> None:
        """Send one text, or messages that are framed already."""
        if isinstance(message, bytes):
            self._websocket._send(message)  # noqa: SLF001 - no public method leaves a message as it is
        else:
            self._websocket.send(message)


def _join_writes(server: Any) -> None:
    """Have Engine.IO send what waits for a client in one write, each event framed once for all of them.

    Engine.IO has two places for that: the queue it makes for each client, and the WebSocket class of its
    async mode. A queue's ``get`` hands out all that waits as one packet, which knows its own wire form.
    """
    empty, websocket_class = server.get_queue_empty_exception(), server._async["websocket"]  # noqa: SLF001

    class PacketQueue(Outbox):
        """An :class:`Outbox`, as far as Engine.IO uses :class:`queue.Queue`."""

        __slots__ = ()

        def get(self, block: bool = True, timeout: float | None = None) -> _Batch | None:  # noqa: FBT001, FBT002
            if not block or not self.wait(timeout):
                raise empty
            return None if self.ends_now() else _Batch(self)

        def task_done(self) -> None:
            """Do nothing: nobody waits for a queue to be worked off."""

        join = task_done

    class JoiningWebSocket(websocket_class):  # type: ignore[misc,valid-type]  # of the server's async mode
        def __init__(self, handler: Any, server: Any) -> None:
            def handle(websocket: Any) -> Any:
                handler.__self__.queue.drop = partial(cut_off, websocket.socket)
                return handler(_Writer(websocket))

            super().__init__(handle, server)

        def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
            # A compressor costs each connection more memory than all the rest of it.
            environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
            return super().__call__(environ, start_response)

    server.create_queue = PacketQueue
    server._async = {**server._async, "websocket": JoiningWebSocket}  # noqa: SLF001

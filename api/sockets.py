"""Socket.IO: what a client may say and what it is answered."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flask import request
from flask_socketio import ConnectionRefusedError as Refusal
from flask_socketio import SocketIO, emit
from redis.exceptions import RedisError

from api.auth import ForbiddenError, caller, check_origin
from api.relay import RelayUnavailableError
from api.rooms import RoomError, check_allowed, room_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from api.relay import Relay
    from cto_worker.config import Settings
    from cto_worker.history import History

log = logging.getLogger(__name__)

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
        json=json,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        max_http_buffer_size=MAX_MESSAGE_BYTES,
    )
    _note_callbacks(socketio.server)
    _bound_payloads(socketio.server.eio)
    return socketio


def emitter(socketio: SocketIO) -> Callable[[dict[str, Any], list[str]], None]:
    """Return the function with which the relay sends an event to sockets."""
    server = socketio.server

    def send(event: dict[str, Any], sids: list[str]) -> None:
        server.emit("worker_progress", event, to=sids, namespace=NAMESPACE)

    return send


def register(socketio: SocketIO, relay: Relay, history: History, settings: Settings) -> None:
    """Handle connection, ``join_room``, ``leave_room`` and disconnection."""

    def connect(*_: Any) -> None:
        # Engine.IO's requests never reach Flask's own check. Its own one compares Origin with Host, which a
        # name that was rebound to this machine passes.
        try:
            check_origin(settings, request.host, request.headers.get("Origin"))
        except ForbiddenError as error:
            raise Refusal(str(error), {"code": error.code}) from error

    def join_room(*arguments: Any) -> dict[str, Any]:
        room = room_name(arguments)
        check_allowed(caller(), room, history)
        relay.join(request.sid, room)  # type: ignore[attr-defined]  # Flask-SocketIO adds it
        return {"success": True, "room": room}

    def leave_room(*arguments: Any) -> dict[str, Any]:
        room = room_name(arguments)
        relay.leave(request.sid, room)  # type: ignore[attr-defined]
        return {"success": True, "room": room}

    def disconnect(*_: Any) -> None:
        relay.forget(request.sid)  # type: ignore[attr-defined]

    socketio.on_event("connect", connect)
    socketio.on_event("join_room", _answering(join_room))
    socketio.on_event("leave_room", _answering(leave_room))
    socketio.on_event("disconnect", disconnect)


def _answering(handler: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Turn a handler's refusals into the answer, and into ``room_error`` when the client waits for none."""

    def answer(*arguments: Any) -> dict[str, Any]:
        try:
            return handler(*arguments)
        except RoomError as refusal:
            error = {"code": refusal.code, "message": str(refusal)}
        except (RedisError, RelayUnavailableError) as failure:
            log.warning("cannot serve a room: %s", failure)
            error = {"code": "store_unavailable", "message": "the store is out of reach: try again"}
        except Exception:
            log.exception("a Socket.IO handler broke")
            error = {"code": "internal_error", "message": "something broke on our side"}
        if not _has_callback.get():
            emit("room_error", error)
        return {"success": False, "error": error}

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


def _bound_payloads(server: Any) -> None:
    """Have one answer to a polling client carry no more packets than every stock client reads.

    Engine.IO empties a client's queue into one payload with ``get(block=False)``; the Python client refuses a
    payload of more than 16 packets, and so loses them. Therefore the queue calls itself empty after as many.
    """
    queue_class, empty = type(server.create_queue()), server.get_queue_empty_exception()

    class PayloadQueue(queue_class):  # type: ignore[misc,valid-type]  # of the server's async mode
        _left = MAX_PAYLOAD_PACKETS

        def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002
            if block:
                self._left = MAX_PAYLOAD_PACKETS
            elif self._left == 1:
                raise empty
            else:
                self._left -= 1
            return super().get(block, timeout)

    server.create_queue = PayloadQueue

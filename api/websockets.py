"""The plain WebSocket at ``/ws``: rooms and resuming for clients that do not speak Socket.IO."""

from __future__ import annotations

import logging
import struct
import threading
import time
from contextlib import suppress
from functools import partial
from socket import SHUT_WR
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from api.auth import caller, check_origin, check_speaks_for
from api.body import parsed, query
from api.errors import failure
from api.frames import Frame, missed, text_frame, websocket_message
from api.outbox import Outbox, cut_off
from api.reader import Reader
from api.rooms import RoomError, check_allowed, refusal, resume_point, room_name
from cto_worker import keys
from cto_worker.events import dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.policy import Caller
    from api.relay import Relay
    from cto_worker.config import Settings
    from cto_worker.history import History

log = logging.getLogger(__name__)

PING_INTERVAL_S = 10.0
UNHEARD_S = 15.0  # without a byte for so long, not even the answer to a ping, a client is gone
LINGER_S = 2.0  # how long a client may take to answer a closing message
PING = b"\x89\x00"

NORMAL, PROTOCOL_ERROR, UNSUPPORTED_DATA, INVALID_DATA, TOO_LARGE = 1000, 1002, 1003, 1007, 1009
_CODES = {PROTOCOL_ERROR: "protocol_error", INVALID_DATA: "invalid_text", TOO_LARGE: "message_too_large"}


def blueprint(
    relay: Relay, history: History, settings: Settings, upgrade: Callable[[Callable[[Any], None]], Any]
) -> Blueprint:
    """Return the route. ``upgrade`` makes a WSGI application of what handles a server's WebSocket."""
    routes = Blueprint("websockets", __name__)

    @routes.get("/ws")
    def no_websocket() -> Response:
        response = failure(426, "upgrade_required", "this address speaks WebSocket (RFC 6455) only")
        response.headers["Upgrade"] = "websocket"
        return response

    @routes.get("/ws", websocket=True)
    def websocket() -> Response:
        query(request, ["token", "userId"])
        check_origin(settings, request.host, request.headers.get("Origin"))
        who = caller()
        check_speaks_for(who, request.args.get("userId", ""))
        return _Upgraded(upgrade(lambda accepted: _Connection(accepted, who, relay, history).serve()))

    return routes


class _Upgraded(Response):
    """An answer that the WebSocket's own WSGI application gives."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        super().__init__()
        self._application = application

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return self._application(environ, start_response)


class _Connection:
    """One client. Its own green thread reads what it says; another writes all that waits for it.

    ``websocket`` is eventlet's: ``wait`` returns a message, or ``None`` at the end; it calls ``close`` when
    either side fails or closes.
    """

    def __init__(self, websocket: Any, who: Caller, relay: Relay, history: History) -> None:
        self._websocket = websocket
        self._who = who
        self._relay = relay
        self._history = history
        self._outbox = Outbox(partial(cut_off, websocket.socket))
        self._reader = Reader(self._outbox.put_frame, self._tell_gap)
        self._closing: tuple[int, str] | None = None  # status and reason, once either side wants to close
        self._handlers = {"join": self._join, "leave": self._leave, "resume": self._resume}

    def serve(self) -> None:
        """Talk with the client until either side ends it."""
        self._websocket.close = self._close
        self._websocket.socket.settimeout(UNHEARD_S)
        writer = threading.Thread(target=self._write, name="websocket writer", daemon=True)
        writer.start()
        try:
            with suppress(OSError):  # the client is gone
                self._read()
        except Exception:
            log.exception("a WebSocket broke")
        finally:
            self._relay.forget(self._reader)
            self._outbox.put(None)
            writer.join()
            self._say_goodbye()

    def _read(self) -> None:
        while self._closing is None:
            message = self._websocket.wait()
            if message is None:
                return
            self._take(message)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._fail(UNSUPPORTED_DATA, "unsupported_data", "send text, not binary")
            return
        try:
            said = parsed(message)
            dumps(said)  # what cannot be written again, such as 1e999, is no JSON to us
        except ValueError as error:
            self._fail(INVALID_DATA, "invalid_json", f"not JSON: {error}")
            return
        echo = {"id": said["id"]} if isinstance(said, dict) and "id" in said else {}
        try:
            self._handle(said, echo)
        except Exception as error:  # noqa: BLE001 - whatever it is, refusal tells it
            told, more = refusal(error)
            self._answer({"type": "error", **told, **more, **echo})

    def _answer(self, answer: dict[str, Any], more: bytes = b"") -> None:
        self._outbox.put(text_frame(dumps(answer)[:-1] + more + b"}"))

    def _tell_gap(self, job_id: str, oldest_seq: int) -> None:
        self._answer({"type": "gap", "jobId": job_id, "oldestSeq": oldest_seq})

    def _handle(self, said: Any, echo: dict[str, Any]) -> None:
        kind = said.get("type") if isinstance(said, dict) else None
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            raise RoomError("invalid_message", 'send {"type": "join", "leave" or "resume", …}')
        handler(said, echo)

    def _join(self, said: dict[str, Any], echo: dict[str, Any]) -> None:
        room = room_name((said.get("room"),))
        check_allowed(self._who, room, self._history)
        self._relay.join(self._reader, room)
        self._answer({"type": "joined", "room": room, **echo})

    def _leave(self, said: dict[str, Any], echo: dict[str, Any]) -> None:
        room = room_name((said.get("room"),))
        self._relay.leave(self._reader, room)
        self._answer({"type": "left", "room": room, **echo})

    def _resume(self, said: dict[str, Any], echo: dict[str, Any]) -> None:
        job_id, after = resume_point((said,))
        check_allowed(self._who, keys.job_room(job_id), self._history)

        def answer(frames: list[Frame]) -> None:
            self._answer({"type": "resumed", "jobId": job_id, **echo}, b"," + missed(frames, after))

        self._relay.resume(self._reader, job_id, after, answer)

    def _fail(self, status: int, code: str, message: str) -> None:
        self._outbox.put(text_frame(dumps({"type": "error", "code": code, "message": message})))
        self._closing = (status, code)

    def _close(self, close_data: tuple[int, str] = (NORMAL, "")) -> None:
        """Note why the WebSocket ends; eventlet gives a reason when it is the client's fault."""
        status, reason = close_data
        if reason and status in _CODES:
            self._fail(status, _CODES[status], reason)
        else:
            self._closing = (status, "")

    def _write(self) -> None:
        ping_s = time.monotonic() + PING_INTERVAL_S
        try:
            while True:
                waits = self._outbox.wait(max(0.0, ping_s - time.monotonic()))
                if waits and self._outbox.ends_now():
                    return
                ping = b""
                if time.monotonic() >= ping_s:
                    ping, ping_s = PING, time.monotonic() + PING_INTERVAL_S
                self._send(ping + b"".join(map(_framed, self._outbox.take())))
        except OSError:
            cut_off(self._websocket.socket)

    def _send(self, frames: bytes) -> None:
        self._websocket._send(frames)  # noqa: SLF001 - no public method leaves frames as they are

    def _say_goodbye(self) -> None:
        """Tell why it ends, and read on a while: closing on unread data would destroy what was just sent."""
        self._websocket.websocket_closed = True  # eventlet need not
        if self._closing is None:
            return
        status, reason = self._closing
        payload = struct.pack("!H", status) + reason.encode()
        connection = self._websocket.socket
        with suppress(OSError):
            self._send(bytes((0x88, len(payload))) + payload)
            connection.shutdown(SHUT_WR)
            ends_s = time.monotonic() + LINGER_S
            while (left_s := ends_s - time.monotonic()) > 0:
                connection.settimeout(left_s)
                if not connection.recv(65_536):
                    return


def _framed(item: Frame | bytes) -> bytes:
    return item.form(websocket_message) if isinstance(item, Frame) else item

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

from api import latency
from api.auth import caller, check_speaks_for
from api.body import parsed, query
from api.connections import Ending
from api.errors import failure
from api.floods import Allowance, Patient
from api.frames import Frame, missed, text_frame, websocket_message
from api.incoming import PONG
from api.outbox import Outbox, cut_off
from api.reader import Reader
from api.rooms import RoomError, refusal, resume_point, room_name
from cto_worker.events import dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.lobby import Lobby
    from api.policy import Caller

log = logging.getLogger(__name__)

PING_INTERVAL_S = 10.0
UNHEARD_S = 15.0  # without a byte for so long, not even the answer to a ping, a client is gone
LINGER_S = 2.0  # how long a client may take to answer a closing message
READ_BYTES = 65_536
PING = b"\x89\x00"

NORMAL, GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED_DATA = 1000, 1001, 1002, 1003
INVALID_DATA, POLICY_VIOLATION, TOO_LARGE = 1007, 1008, 1009
_CODES = {PROTOCOL_ERROR: "protocol_error", INVALID_DATA: "invalid_text", TOO_LARGE: "message_too_large"}


def blueprint(lobby: Lobby, upgrade: Callable[[Callable[[Any], None]], Any]) -> Blueprint:
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
        who = caller()
        check_speaks_for(who, request.args.get("userId", ""))
        client = _Client(lobby, who)  # counted in before it is answered, so that it can be refused
        return _Upgraded(upgrade(client.serve), client.leave)

    return routes


class _Upgraded(Response):
    """An answer that the WebSocket's own WSGI application gives, and what is to be done in the end."""

    def __init__(self, application: Callable[..., Iterable[bytes]], at_end: Callable[[], object]) -> None:
        super().__init__()
        self._application, self._at_end = application, at_end

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        try:
            return self._application(environ, start_response)
        finally:
            self._at_end()


class _Client:
    """One client. Its own green thread reads what it says; another writes all that waits for it.

    Its ``websocket`` is eventlet's: ``wait`` returns a message, or ``None`` at the end; it calls ``close``
    when either side fails or closes.
    """

    def __init__(self, lobby: Lobby, who: Caller) -> None:
        self._lobby = lobby
        self._websocket: Any = None
        self._outbox = Outbox()
        self._allowance = Allowance()
        self._reader = Reader(self._outbox.put_frame, self._tell_gap, self._outbox.put)
        self._closing: tuple[int, str] | None = None  # status and reason, once either side wants to close
        self._silent = threading.Event()  # whether nothing more is read from it
        self._handlers = {
            "join": self._join,
            "leave": self._leave,
            "resume": self._resume,
            "auth_refresh": self._refresh,
            "ping": self._pong,
        }
        self._connection = lobby.open(who, self._end, self._cut_off)

    def serve(self, websocket: Any) -> None:
        """Talk with the client until either side ends it."""
        websocket.socket = Patient(websocket.socket)
        self._websocket = websocket
        self._outbox.drop = partial(cut_off, websocket.socket)
        websocket.close = self._close
        websocket._handle_control_frame = partial(_hear, websocket._handle_control_frame)  # noqa: SLF001
        websocket.socket.settimeout(UNHEARD_S)
        writer = threading.Thread(target=self._write, name="websocket writer", daemon=True)
        writer.start()
        try:
            with suppress(OSError):  # the client is gone
                self._read()
        except Exception:
            log.exception("a WebSocket broke")
        finally:
            self._silent.set()
            self.leave()
            writer.join()
            websocket.websocket_closed = True  # eventlet need not

    def leave(self) -> None:
        """Have nothing more sent to the client but what waits already."""
        self._lobby.connections.close(self._connection)
        self._lobby.relay.forget(self._reader)
        self._outbox.put(None)

    def _end(self, ending: Ending) -> None:
        status = GOING_AWAY if ending is Ending.GOING_AWAY else POLICY_VIOLATION
        self._fail(status, ending.code, ending.message)
        self.leave()

    def _cut_off(self) -> None:
        self._outbox.drop()

    def _read(self) -> None:
        while self._closing is None:
            message = self._websocket.wait()
            if message is None:
                break
            if self._closing is None:
                self._take(message)
        self.leave()
        # To close on unread data would destroy what was just sent.
        while self._closing and self._websocket.socket.recv(READ_BYTES):
            pass

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._fail(UNSUPPORTED_DATA, "unsupported_data", "send text, not binary")
            return
        if not self._allowance.spend():
            self._fail(POLICY_VIOLATION, "too_many_messages", "you say too much: say less, and come again")
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
            raise RoomError(
                "invalid_message", 'send {"type": "join", "leave", "resume", "auth_refresh" or "ping", …}'
            )
        handler(said, echo)

    def _join(self, said: dict[str, Any], echo: dict[str, Any]) -> None:
        room = room_name((said.get("room"),))
        self._lobby.join(self._connection, self._reader, room)
        self._answer({"type": "joined", "room": room, **echo})

    def _leave(self, said: dict[str, Any], echo: dict[str, Any]) -> None:
        room = room_name((said.get("room"),))
        self._lobby.relay.leave(self._reader, room)
        self._answer({"type": "left", "room": room, **echo})

    def _resume(self, said: dict[str, Any], echo: dict[str, Any]) -> None:
        job_id, after = resume_point((said,))

        def answer(frames: list[Frame]) -> None:
            self._answer({"type": "resumed", "jobId": job_id, **echo}, b"," + missed(frames, after))

        self._lobby.resume(self._connection, self._reader, job_id, after, answer)

    def _refresh(self, said: dict[str, Any], echo: dict[str, Any]) -> None:
        self._lobby.refresh(self._connection, said.get("token"), said.get("userId"))
        self._answer({"type": "auth_refreshed", **echo})

    def _pong(self, _: dict[str, Any], echo: dict[str, Any]) -> None:
        # A page never sees the protocol's own pings, and so cannot tell a dead link by them.
        self._answer({"type": "pong", **echo})

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
                    break
                ping = b""
                if time.monotonic() >= ping_s:
                    ping, ping_s = PING, time.monotonic() + PING_INTERVAL_S
                self._send(ping + b"".join(map(_framed, self._outbox.take())))
            self._say_goodbye()
        except OSError:
            cut_off(self._websocket.socket)

    def _send(self, frames: bytes) -> None:
        self._websocket._send(frames)  # noqa: SLF001 - no public method leaves frames as they are

    def _say_goodbye(self) -> None:
        """Tell why it ends, and wait a while for the client to close, too."""
        if self._closing is None:
            return
        status, reason = self._closing
        payload = struct.pack("!H", status) + reason.encode()
        self._send(bytes((0x88, len(payload))) + payload)
        self._websocket.socket.shutdown(SHUT_WR)
        if not self._silent.wait(LINGER_S):
            cut_off(self._websocket.socket)


def _hear(handle: Callable[[int, bytes], None], kind: int, payload: bytes) -> None:
    """Note the answers to pings, of which eventlet tells nobody."""
    if kind == PONG:
        latency.heard(payload)
    handle(kind, payload)


def _framed(item: Frame | bytes) -> bytes:
    return item.form(websocket_message) if isinstance(item, Frame) else item

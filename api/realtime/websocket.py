"""The plain WebSocket at ``/ws``: rooms and resuming for clients that do not speak Socket.IO."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from socket import SHUT_WR
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from api.auth.authentication import caller, check_user_matches_token
from api.errors import HandshakeError, RoomError, WebSocketError
from api.limits.token_bucket import TokenBucket
from api.realtime.connections import CloseReason
from api.realtime.room_access import refusal, resume_point, room_name
from api.relay import latency_probe
from api.relay.encoded_event import (
    EncodedEvent,
    close_frame,
    control_frame,
    missed,
    text_frame,
    websocket_message,
)
from api.relay.send_queue import SendQueue, cut_off
from api.relay.subscriber import Subscriber
from api.rest.error_handlers import failure
from api.rest.request_parsing import parsed, query
from api.server.websocket import (
    BINARY,
    CLOSE,
    INVALID_TEXT,
    PIECE,
    PING,
    POLICY_VIOLATION,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TOO_LARGE,
    FrameDecoder,
    close_status,
    handshake,
    text_of,
)
from cto_worker.domain.events import dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.auth.policy import Caller
    from api.realtime.sessions import SessionService

log = logging.getLogger(__name__)

PING_INTERVAL_S = 10.0
UNHEARD_S = 15.0  # without a byte for so long, not even the answer to a ping, a client is gone
LINGER_S = 2.0  # how long a client may take to answer a closing message
READ_BYTES = 16_384

GOING_AWAY, UNSUPPORTED_DATA = 1001, 1003
_CODES = {
    PROTOCOL_ERROR: "protocol_error",
    INVALID_TEXT: "invalid_text",
    POLICY_VIOLATION: "too_many_messages",
    TOO_LARGE: "message_too_large",
}


def blueprint(sessions: SessionService, take: Callable[[dict[str, Any]], Any], max_bytes: int) -> Blueprint:
    """Return the route. ``take`` returns a request's connection; a message has ``max_bytes`` at most."""
    routes = Blueprint("websockets", __name__)

    @routes.get("/ws")
    def no_websocket() -> Response:
        return _upgrade_required("this address speaks WebSocket (RFC 6455) only")

    @routes.get("/ws", websocket=True)
    def websocket() -> Response:
        query(request, ["token", "userId"])
        who = caller()
        check_user_matches_token(who, request.args.get("userId", ""))
        try:
            answer = handshake(request.environ)
        except HandshakeError as refused:
            if refused.status == HTTPStatus.UPGRADE_REQUIRED:
                return _upgrade_required(str(refused))
            return failure(refused.status, "invalid_handshake", str(refused))
        client = _Client(
            sessions, who, max_bytes
        )  # counted in before it is answered, so that it can be refused
        return _Upgraded(lambda environ: client.serve(take(environ), answer), client.leave)

    return routes


def _upgrade_required(message: str) -> Response:
    response = failure(HTTPStatus.UPGRADE_REQUIRED, "upgrade_required", message)
    response.headers.update({"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
    return response


class _Upgraded(Response):
    """An answer that is a WebSocket, and what is to be done in the end."""

    def __init__(self, serve: Callable[[dict[str, Any]], object], at_end: Callable[[], object]) -> None:
        super().__init__()
        self._serve, self._at_end = serve, at_end

    def __call__(self, environ: Any, _: Any) -> Iterable[bytes]:
        try:
            self._serve(environ)
        finally:
            self._at_end()
        return []


class _Client:
    """One client. Its own green thread reads what it says; another writes all that waits for it."""

    def __init__(self, sessions: SessionService, who: Caller, max_bytes: int) -> None:
        self._sessions = sessions
        self._socket: Any = None
        self._incoming = FrameDecoder(max_bytes)
        self._send_queue = SendQueue()
        self._allowance = TokenBucket()
        self._others = TokenBucket()  # for what is no whole message, which nothing else counts
        self._reader = Subscriber(self._send_queue.put_frame, self._tell_gap, self._send_queue.put)
        self._closing: tuple[int, str] | None = None  # status and reason, once either side wants to close
        self._silent = threading.Event()  # whether nothing more is read from it
        self._handlers = {
            "join": self._join,
            "leave": self._leave,
            "resume": self._resume,
            "auth_refresh": self._refresh,
            "ping": self._pong,
        }
        self._connection = sessions.open(who, self._end, self._cut_off)

    def serve(self, socket: Any, answer: bytes) -> None:
        """Answer the handshake, and talk with the client until either side ends it. Closes ``socket``."""
        self._socket = socket
        self._send_queue.drop = partial(cut_off, socket)
        socket.settimeout(UNHEARD_S)
        self._send_queue.put(answer)
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
            socket.close()

    def leave(self) -> None:
        """Have nothing more sent to the client but what waits already."""
        self._sessions.connections.close(self._connection)
        self._sessions.relay.forget(self._reader)
        self._send_queue.put(None)

    def _end(self, ending: CloseReason) -> None:
        status = GOING_AWAY if ending is CloseReason.GOING_AWAY else POLICY_VIOLATION
        self._fail(status, ending.code, ending.message)
        self.leave()

    def _cut_off(self) -> None:
        self._send_queue.drop()

    def _read(self) -> None:
        try:
            while self._closing is None and (data := self._receive()):
                self._hear(data)
        except WebSocketError as wrong:
            self._fail(wrong.status, _CODES[wrong.status], wrong.reason)
        self.leave()
        # To close on unread data would destroy what was just sent.
        while self._closing and self._receive():
            pass

    def _receive(self) -> bytes:
        time.sleep(0)  # green threads run only when the running one lets them: reading does not wait
        data: bytes = self._socket.recv(READ_BYTES)
        return data

    def _hear(self, data: bytes) -> None:
        kind = PIECE
        for kind, payload in self._incoming.read(data):
            if kind in {TEXT, BINARY}:
                self._take(kind, payload)
            else:
                self._take_control(kind, payload)
            if self._closing:
                return
        if kind == PIECE:
            self._spend()

    def _take_control(self, kind: int, payload: bytes) -> None:
        self._spend()
        if kind == PING:
            self._send_queue.put(control_frame(PONG, payload))
        elif kind == PONG:
            latency_probe.heard(payload)
        elif kind == CLOSE:
            self._closing = (close_status(payload), "")

    def _spend(self) -> None:
        if not self._others.spend():
            raise WebSocketError(POLICY_VIOLATION, "you say too much: say less, and come again")

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == BINARY:
            self._fail(UNSUPPORTED_DATA, "unsupported_data", "send text, not binary")
            return
        message = text_of(payload)
        if not self._allowance.spend():
            raise WebSocketError(POLICY_VIOLATION, "you say too much: say less, and come again")
        try:
            said = parsed(message)
            dumps(said)  # what cannot be written again, such as 1e999, is no JSON to us
        except ValueError as error:
            self._fail(INVALID_TEXT, "invalid_json", f"not JSON: {error}")
            return
        echo = {"id": said["id"]} if isinstance(said, dict) and "id" in said else {}
        try:
            self._handle(said, echo)
        except Exception as error:  # noqa: BLE001 - whatever it is, refusal tells it
            told, more = refusal(error)
            self._answer({"type": "error", **told, **more, **echo})

    def _answer(self, answer: dict[str, Any], more: bytes = b"") -> None:
        self._send_queue.put(text_frame(dumps(answer)[:-1] + more + b"}"))

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
        self._sessions.join(self._connection, self._reader, room)
        self._answer({"type": "joined", "room": room, **echo})

    def _leave(self, said: dict[str, Any], echo: dict[str, Any]) -> None:
        room = room_name((said.get("room"),))
        self._sessions.relay.leave(self._reader, room)
        self._answer({"type": "left", "room": room, **echo})

    def _resume(self, said: dict[str, Any], echo: dict[str, Any]) -> None:
        job_id, after = resume_point((said,))

        def answer(frames: list[EncodedEvent]) -> None:
            self._answer({"type": "resumed", "jobId": job_id, **echo}, b"," + missed(frames, after))

        self._sessions.resume(self._connection, self._reader, job_id, after, answer)

    def _refresh(self, said: dict[str, Any], echo: dict[str, Any]) -> None:
        self._sessions.refresh(self._connection, said.get("token"), said.get("userId"))
        self._answer({"type": "auth_refreshed", **echo})

    def _pong(self, _: dict[str, Any], echo: dict[str, Any]) -> None:
        # A page never sees the protocol's own pings, and so cannot tell a dead link by them.
        self._answer({"type": "pong", **echo})

    def _fail(self, status: int, code: str, message: str) -> None:
        self._send_queue.put(text_frame(dumps({"type": "error", "code": code, "message": message})))
        self._closing = (status, code)

    def _write(self) -> None:
        ping_s = time.monotonic() + PING_INTERVAL_S
        try:
            while True:
                waits = self._send_queue.wait(max(0.0, ping_s - time.monotonic()))
                if waits and self._send_queue.ends_now():
                    break
                ping = b""
                if time.monotonic() >= ping_s:
                    ping, ping_s = control_frame(PING), time.monotonic() + PING_INTERVAL_S
                self._socket.sendall(ping + b"".join(map(_framed, self._send_queue.take())))
            self._say_goodbye()
        except OSError:
            cut_off(self._socket)

    def _say_goodbye(self) -> None:
        """Tell why it ends, and wait a while for the client to close, too."""
        if self._closing is None:
            return
        self._socket.sendall(close_frame(*self._closing))
        self._socket.shutdown(SHUT_WR)
        if not self._silent.wait(LINGER_S):
            cut_off(self._socket)


def _framed(item: EncodedEvent | bytes) -> bytes:
    return item.form(websocket_message) if isinstance(item, EncodedEvent) else item

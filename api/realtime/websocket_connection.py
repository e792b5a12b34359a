"""One client of the plain WebSocket at ``/ws``: reads its messages, and writes its send queue."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from functools import partial
from socket import SHUT_WR
from typing import TYPE_CHECKING, Any

from api.errors import RoomError, WebSocketError
from api.limits.token_bucket import TokenBucket
from api.realtime.error_payload import error_payload
from api.realtime.room_access import parse_resume, parse_room
from api.relay import client_latency
from api.relay.encoded_event import EncodedEvent, resume_fields, websocket_message
from api.relay.send_queue import abort
from api.relay.subscriber import GOING_AWAY, Subscriber
from api.relay.websocket_frame_encoder import (
    BINARY,
    CLOSE,
    FRAGMENT,
    PING,
    PONG,
    TEXT,
    close_frame,
    control_frame,
    text_frame,
)
from api.rest.request_parsing import parsed
from api.server.websocket_frame_decoder import (
    INVALID_TEXT,
    POLICY_VIOLATION,
    PROTOCOL_ERROR,
    TOO_LARGE,
    FrameDecoder,
    close_status,
    text_of,
)
from cto_worker.domain.progress_event import dumps

if TYPE_CHECKING:
    from api.auth.permission_policy import Caller
    from api.realtime.client_sessions import ClientSessions

log = logging.getLogger(__name__)

PING_INTERVAL_S = 10.0
SILENCE_TIMEOUT_S = 15.0  # a client that sends no byte for this long, not even a pong, is gone
CLOSE_TIMEOUT_S = 2.0  # to wait for the client's close frame
READ_BYTES = 16_384

GOING_AWAY_STATUS, UNSUPPORTED_DATA = 1001, 1003
_CODES = {
    PROTOCOL_ERROR: "protocol_error",
    INVALID_TEXT: "invalid_text",
    POLICY_VIOLATION: "too_many_messages",
    TOO_LARGE: "message_too_large",
}
_TOO_MANY = "too many messages: reconnect, and send fewer"


class WebSocketConnection(Subscriber):
    """One client. Its own green thread reads its messages; another one writes its send queue."""

    answers_pings = True

    def __init__(self, sessions: ClientSessions, caller: Caller, max_bytes: int) -> None:
        """Raises the errors of :meth:`~api.realtime.client_sessions.ClientSessions.connect`."""
        super().__init__()
        self._sessions = sessions
        self._socket: Any = None
        self._decoder = FrameDecoder(max_bytes)
        self._messages = TokenBucket()
        self._others = TokenBucket()  # for control frames and fragments
        self._closing: tuple[int, str] | None = None  # status and reason, once either side wants to close
        self._reading_ended = threading.Event()
        self._handlers = {
            "join": self._join,
            "leave": self._leave,
            "resume": self._resume,
            "auth_refresh": self._refresh,
            "ping": self._pong,
        }
        sessions.connect(self, caller)

    def serve(self, socket: Any, answer: bytes) -> None:
        """Send the handshake's ``answer``, and serve until either side closes. Closes ``socket``."""
        self._socket = socket
        self.drop = partial(abort, socket)
        socket.settimeout(SILENCE_TIMEOUT_S)
        self.put(answer)
        writer = threading.Thread(target=self._write, name="websocket writer", daemon=True)
        writer.start()
        try:
            with suppress(OSError):  # the client is gone
                self._read()
        except Exception:
            log.exception("unexpected error in a WebSocket")
        finally:
            self._reading_ended.set()
            self.leave()
            writer.join()
            socket.close()

    def leave(self) -> None:
        """End the connection's subscription. The items queued so far are still sent."""
        self._sessions.disconnect(self)
        self.put(None)

    def close(self, reason: tuple[str, str]) -> None:
        """Report the reason, and close after the queued items."""
        self._fail(GOING_AWAY_STATUS if reason is GOING_AWAY else POLICY_VIOLATION, *reason)
        self.leave()

    def _read(self) -> None:
        try:
            while self._closing is None and (data := self._receive()):
                self._handle_bytes(data)
        except WebSocketError as wrong:
            self._fail(wrong.status, _CODES[wrong.status], wrong.reason)
        self.leave()
        # Closing a socket with unread bytes would discard what was just sent.
        while self._closing and self._receive():
            pass

    def _receive(self) -> bytes:
        time.sleep(0)  # a green thread runs only when the current one yields, and recv may return at once
        data: bytes = self._socket.recv(READ_BYTES)
        return data

    def _handle_bytes(self, data: bytes) -> None:
        opcode = FRAGMENT
        for opcode, payload in self._decoder.read(data):
            if opcode in {TEXT, BINARY}:
                self._handle_message(opcode, payload)
            else:
                self._handle_control(opcode, payload)
            if self._closing:
                return
        if opcode == FRAGMENT:
            self._spend()

    def _handle_control(self, opcode: int, payload: bytes) -> None:
        self._spend()
        if opcode == PING:
            self.put(control_frame(PONG, payload))
        elif opcode == PONG:
            client_latency.record_pong(payload)
        elif opcode == CLOSE:
            self._closing = (close_status(payload), "")

    def _spend(self) -> None:
        if not self._others.spend():
            raise WebSocketError(POLICY_VIOLATION, _TOO_MANY)

    def _handle_message(self, opcode: int, payload: bytes) -> None:
        if opcode == BINARY:
            self._fail(UNSUPPORTED_DATA, "unsupported_data", "the message is binary: send text")
            return
        text = text_of(payload)
        if not self._messages.spend():
            raise WebSocketError(POLICY_VIOLATION, _TOO_MANY)
        try:
            message = parsed(text)
            dumps(message)  # a value that cannot be encoded again, such as 1e999, is refused
        except ValueError as wrong:
            self._fail(INVALID_TEXT, "invalid_json", f"not JSON: {wrong}")
            return
        echo = {"id": message["id"]} if isinstance(message, dict) and "id" in message else {}
        try:
            self._dispatch(message, echo)
        except Exception as failure:  # noqa: BLE001 - error_payload has an answer to each
            error, fields = error_payload(failure)
            self._answer({"type": "error", **error, **fields, **echo})

    def _answer(self, answer: dict[str, Any], encoded: bytes = b"") -> None:
        """Queue an answer. ``encoded`` is appended to its JSON members."""
        self.put(text_frame(dumps(answer)[:-1] + encoded + b"}"))

    def put_gap(self, job_id: str, oldest_seq: int) -> None:
        """Queue a gap."""
        self._answer({"type": "gap", "jobId": job_id, "oldestSeq": oldest_seq})

    def _dispatch(self, message: Any, echo: dict[str, Any]) -> None:
        name = message.get("type") if isinstance(message, dict) else None
        handler = self._handlers.get(name) if isinstance(name, str) else None
        if handler is None:
            raise RoomError(
                "invalid_message",
                'unknown message type: send {"type": "join", "leave", "resume", "auth_refresh" or "ping", …}',
            )
        handler(message, echo)

    def _join(self, message: dict[str, Any], echo: dict[str, Any]) -> None:
        room = parse_room((message.get("room"),))
        self._sessions.join(self, room)
        self._answer({"type": "joined", "room": room, **echo})

    def _leave(self, message: dict[str, Any], echo: dict[str, Any]) -> None:
        room = parse_room((message.get("room"),))
        self._sessions.relay.leave(self, room)
        self._answer({"type": "left", "room": room, **echo})

    def _resume(self, message: dict[str, Any], echo: dict[str, Any]) -> None:
        job_id, after = parse_resume((message,))

        def answer(events: list[EncodedEvent]) -> None:
            self._answer({"type": "resumed", "jobId": job_id, **echo}, b"," + resume_fields(events, after))

        self._sessions.resume(self, job_id, after, answer)

    def _refresh(self, message: dict[str, Any], echo: dict[str, Any]) -> None:
        self._sessions.refresh(self, message.get("token"), message.get("userId"))
        self._answer({"type": "auth_refreshed", **echo})

    def _pong(self, _: dict[str, Any], echo: dict[str, Any]) -> None:
        # A page cannot see the pings of the protocol, so it needs its own to notice a dead link.
        self._answer({"type": "pong", **echo})

    def _fail(self, status: int, code: str, message: str) -> None:
        self.put(text_frame(dumps({"type": "error", "code": code, "message": message})))
        self._closing = (status, code)

    def _write(self) -> None:
        ping_s = time.monotonic() + PING_INTERVAL_S
        try:
            while True:
                has_items = self.wait(max(0.0, ping_s - time.monotonic()))
                if has_items and self.drained_to_end():
                    break
                ping = b""
                if time.monotonic() >= ping_s:
                    ping, ping_s = control_frame(PING), time.monotonic() + PING_INTERVAL_S
                self._socket.sendall(ping + b"".join(map(_framed, self.dequeue())))
            self._finish_close()
        except OSError:
            abort(self._socket)

    def _finish_close(self) -> None:
        """Send the close frame, and wait for the client's."""
        if self._closing is None:
            return
        self._socket.sendall(close_frame(*self._closing))
        self._socket.shutdown(SHUT_WR)
        if not self._reading_ended.wait(CLOSE_TIMEOUT_S):
            abort(self._socket)


def _framed(item: EncodedEvent | bytes) -> bytes:
    return item.rendered(websocket_message) if isinstance(item, EncodedEvent) else item

"""The WebSocket of an Engine.IO session, without a thread for an idle client.

python-engineio's WebSocket occupies a green thread from the handshake to the end: several kilobytes of stack
per idle client. Here the request ends with the upgrade. A poller reports incoming bytes, and a green thread
runs only while they are handled.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from socket import SHUT_WR
from typing import TYPE_CHECKING, Any

from engineio.exceptions import SocketIsClosedError, UnknownPacketError
from engineio.packet import MESSAGE, NOOP, Packet

from api.errors import HandshakeError, WebSocketError
from api.limits.token_bucket import TokenBucket
from api.relay import client_latency
from api.relay.encoded_event import EncodedEvent, socketio_message
from api.relay.send_queue import SendQueue, abort
from api.relay.websocket_frame_encoder import (
    CLOSE,
    FRAGMENT,
    PING,
    PONG,
    TEXT,
    close_frame,
    control_frame,
    text_frame,
)
from api.server.websocket_frame_decoder import (
    POLICY_VIOLATION,
    PROTOCOL_ERROR,
    FrameDecoder,
    close_status,
    text_of,
)
from api.server.websocket_handshake import handshake

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.server.socket_poller import SocketPoller

log = logging.getLogger(__name__)

READ_BYTES = 16_384
_REFUSAL_HEADERS = {
    HTTPStatus.BAD_REQUEST: [("Connection", "close")],
    HTTPStatus.UPGRADE_REQUIRED: [
        ("Connection", "close, Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
    ],
}  # fmt: skip
DetachSocket = Callable[[dict[str, Any]], Any]  # returns a request's connection, which outlives the request


class WebSocketFactory:
    """Makes WebSockets of requests, in place of the class in Engine.IO's async mode."""

    def __init__(self, detach_socket: DetachSocket, poller: SocketPoller) -> None:
        self.poller, self._detach_socket = poller, detach_socket

    def __call__(self, handler: Any, _: Any) -> Any:
        """Return a WSGI application that opens the WebSocket of a session. ``handler`` is its method."""
        return partial(self._upgrade, handler.__self__)

    def _upgrade(self, session: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if session.upgrading or session.closed:  # a session must not have two WebSockets
            start_response("400 BAD REQUEST", [("Connection", "close")])
            return ()  # Engine.IO passes on anything but a list
        try:
            answer = handshake(environ)
        except HandshakeError as refused:
            if not session.connected:  # it was created for this WebSocket
                session.close(wait=False, abort=True)
            start_response(f"{refused.status} {refused.status.phrase}", _REFUSAL_HEADERS[refused.status])
            return ()
        transport = _Transport(self, session, self._detach_socket(environ))
        transport.open(answer)
        return []


class _Transport:
    """The WebSocket of one client. Everything it sends goes through its session's send queue."""

    __slots__ = (
        "_close_frame",
        "_connection",
        "_control_bucket",
        "_decoder",
        "_factory",
        "_handling",
        "_over",
        "_session",
        "_unread",
    )

    def __init__(self, factory: WebSocketFactory, session: Any, connection: Any) -> None:
        self._factory, self._session, self._connection = factory, session, connection
        self._decoder = FrameDecoder(session.server.max_http_buffer_size)
        self._unread = b""
        self._control_bucket: TokenBucket | None = None  # for frames and packets that are not messages
        self._handling = False  # whether a green thread handles incoming bytes
        self._over = False  # whether reading has ended
        self._close_frame = control_frame(CLOSE)
        connection.settimeout(_silence_timeout_s(session))

    def open(self, answer: bytes) -> None:
        """Answer the handshake, and start. A polling client must first complete Engine.IO's upgrade."""
        if self._session.connected:
            self._upgrade(answer)
        else:
            self._start(answer)

    def _upgrade(self, answer: bytes) -> None:
        self._session.upgrading = True  # a poll that arrives now is answered at once
        try:
            self._connection.sendall(answer)
            upgraded = self._complete_upgrade(time.monotonic() + _silence_timeout_s(self._session))
        except (OSError, WebSocketError):
            upgraded = False
        finally:
            self._session.upgrading = False
        if upgraded and not self._session.closed:
            self._connection.settimeout(_silence_timeout_s(self._session))
            self._start()
        else:
            self._connection.close()

    def _start(self, answer: bytes = b"") -> None:
        session = self._session
        session.connected = session.upgraded = True
        session.queue.drop = partial(abort, self._connection)
        session.queue.switch_to_direct_writes(self._write_now, self._start_writer, answer)
        self._handle_and_watch()

    def _complete_upgrade(self, until_s: float) -> bool:
        if self._next_text(until_s) != "2probe":
            return False
        self._connection.sendall(text_frame(b"3probe"))
        self._session.queue.put(Packet(NOOP))  # ends the pending poll
        return self._next_text(until_s) == "5"

    def _next_text(self, until_s: float) -> str:
        data = b""
        while True:
            for opcode, payload in self._decoder.read(data):
                if opcode == TEXT:
                    return text_of(payload)
                self._spend()
            self._spend()
            self._connection.settimeout(max(0.001, until_s - time.monotonic()))
            data = self._connection.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError

    def _on_readable(self) -> None:
        try:
            data = self._connection.fd.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._unread += data
        self._over = not data
        if self._handling:
            # Further bytes stay in the socket's buffer until the current ones are handled.
            self._factory.poller.unwatch(self._connection.fileno())
        else:
            self._handle_and_watch()

    def _handle_and_watch(self) -> None:
        self._handling = True
        try:
            self._handle_unread()
        except WebSocketError as wrong:
            self._close_frame = close_frame(wrong.status, wrong.reason)
            self._over = True
        except SocketIsClosedError:
            self._over = True
        except Exception:
            log.exception("unexpected error in a WebSocket")
            self._over = True
        self._handling = False
        if self._over:
            self._end()
        else:
            self._factory.poller.watch(self._connection.fileno(), self._on_readable)

    def _handle_unread(self) -> None:
        unread, first = True, True
        while unread:
            data, self._unread = self._unread, b""
            opcode = None
            for opcode, payload in self._decoder.read(data):
                if not first:
                    time.sleep(0)  # a green thread runs only when the current one yields
                self._handle(opcode, payload)
                first = False
            if data and opcode is None:
                self._spend()
            unread = bool(self._unread)

    def _handle(self, opcode: int, payload: bytes) -> None:
        if opcode in {FRAGMENT, PING, PONG}:
            self._spend()
        if opcode == PING:
            self._session.queue.put(control_frame(PONG, payload))
        elif opcode == CLOSE:
            raise WebSocketError(close_status(payload), "")
        elif opcode == PONG:
            client_latency.record_pong(payload)
        elif opcode != FRAGMENT:
            packet = _packet(text_of(payload) if opcode == TEXT else payload)
            if packet.packet_type != MESSAGE:
                self._spend()
            if self._session.closed:
                raise SocketIsClosedError
            with suppress(UnknownPacketError):
                self._session.receive(packet)

    def _spend(self) -> None:
        """Count a frame or packet that is not a message. Raises :class:`WebSocketError` above the limit."""
        if self._session.queue.joined:
            self._control_bucket = bucket = self._control_bucket or TokenBucket()
        else:
            bucket = self._session.queue.allowance
        if not bucket.spend():
            raise WebSocketError(POLICY_VIOLATION, "too many messages: reconnect, and send fewer")

    def _end(self) -> None:
        """Make the writer send the queued items, and finish."""
        self._factory.poller.unwatch(self._connection.fileno())
        self._session.queue.put(None)

    def _write_now(self) -> bytes:
        """Write the queued items without blocking. Return the bytes that are left."""
        messages = _messages(self._session.queue)
        try:
            return messages and messages[self._connection.fd.send(messages) :]
        except OSError:  # the buffer is full, or the connection is gone: the writer waits, or finds out
            return messages

    def _start_writer(self) -> None:
        self._session.server.start_background_task(self._write)

    def _write(self) -> None:
        send_queue = self._session.queue
        try:
            while send_queue.wait() and not send_queue.drained_to_end():
                self._connection.sendall(_messages(send_queue))
            self._connection.fd.send(self._close_frame)
            self._connection.shutdown(SHUT_WR)
        except OSError:
            log.debug("a client disconnected before its queued items were sent")
        finally:
            self._finish()

    def _finish(self) -> None:
        session = self._session
        self._over = True
        self._factory.poller.unwatch(self._connection.fileno())
        self._connection.close()
        session.close(wait=False, abort=True, reason=session.server.reason.TRANSPORT_CLOSE)
        session.server.sockets.pop(session.sid, None)


def _silence_timeout_s(session: Any) -> float:
    """Return after how many seconds without a byte, not even the answer to a ping, a client is gone."""
    seconds: float = session.server.ping_interval + session.server.ping_timeout
    return seconds


def _packet(message: str | bytes) -> Packet:
    try:
        return Packet(encoded_packet=message)
    except ValueError:
        raise WebSocketError(PROTOCOL_ERROR, "not an Engine.IO packet") from None


def _messages(send_queue: SendQueue) -> bytes:
    return b"".join([_message(item) for item in send_queue.dequeue()])


def _message(item: Any) -> bytes:
    if isinstance(item, EncodedEvent):
        return item.rendered(socketio_message)
    return item if isinstance(item, bytes) else text_frame(item.encode().encode())

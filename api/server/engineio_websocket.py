"""The WebSocket of an Engine.IO session.

python-engineio's WebSocket occupies a green thread from the handshake to the end: several kilobytes of stack
per idle client.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from engineio.exceptions import UnknownPacketError
from engineio.packet import MESSAGE, NOOP, Packet

from api.relay.encoded_event import EncodedEvent, socketio_message
from api.relay.websocket_frame_encoder import TEXT, text_frame
from api.server.protocol_errors import HandshakeError, WebSocketError
from api.server.websocket_frame_decoder import PROTOCOL_ERROR, text_of
from api.server.websocket_handshake import handshake
from api.server.websocket_transport import READ_BYTES, WebSocketTransport

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.server.websocket_transport import WebSocketEngine

_REFUSAL_HEADERS = {
    HTTPStatus.BAD_REQUEST: [("Connection", "close")],
    HTTPStatus.UPGRADE_REQUIRED: [
        ("Connection", "close, Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
    ],
}  # fmt: skip


class WebSocketFactory:
    """Makes WebSockets of requests, in place of the class in Engine.IO's async mode."""

    def __init__(self, engine: WebSocketEngine) -> None:
        self._engine = engine

    def __call__(self, handler: Any, _: Any) -> Any:
        """Return a WSGI application that opens the WebSocket of a session. ``handler`` is its method."""
        return partial(self._upgrade, handler.__self__)

    def _upgrade(self, session: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if session.upgrading or session.closed:  # a session must not have two WebSockets
            start_response("400 BAD REQUEST", [("Connection", "close")])
            return ()  # a list would be sent as packets; anything else is returned to the server unchanged
        try:
            answer = handshake(environ)
        except HandshakeError as refused:
            if not session.connected:  # it was created for this WebSocket
                session.close(wait=False, abort=True)
            start_response(f"{refused.status} {refused.status.phrase}", _REFUSAL_HEADERS[refused.status])
            return ()
        _EngineIOWebSocket(self._engine, session, self._engine.detach_socket(environ)).open(answer)
        return []


def _frame(item: Any) -> bytes:
    if isinstance(item, EncodedEvent):
        return item.rendered(socketio_message)
    return item if isinstance(item, bytes) else text_frame(item.encode().encode())


class _EngineIOWebSocket(WebSocketTransport):
    """The WebSocket of one session. Its messages are Engine.IO packets."""

    frame = staticmethod(_frame)

    def __init__(self, engine: WebSocketEngine, session: Any, connection: Any) -> None:
        super().__init__(engine, session.queue, session.server.max_http_buffer_size)
        self._session, self._connection = session, connection

    def open(self, answer: bytes) -> None:
        """Answer the handshake, and start. A polling client must first complete Engine.IO's upgrade."""
        if self._session.connected:
            self._upgrade(answer)
        else:
            self._begin(answer)

    def _upgrade(self, answer: bytes) -> None:
        self._session.upgrading = True  # a poll that arrives now is answered at once
        try:
            self._connection.settimeout(_silence_timeout_s(self._session))
            self._connection.sendall(answer)
            upgraded = self._complete_upgrade(time.monotonic() + _silence_timeout_s(self._session))
        except (OSError, WebSocketError):
            upgraded = False
        finally:
            self._session.upgrading = False
        if upgraded and not self._session.closed:
            self._begin()
        else:
            self._connection.close()

    def _begin(self, answer: bytes = b"") -> None:
        self._session.connected = self._session.upgraded = True
        self.start(self._connection, _silence_timeout_s(self._session), answer)

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
                self.spend()
            self.spend()
            self._connection.settimeout(max(0.001, until_s - time.monotonic()))
            data = self._connection.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError

    def handle_message(self, opcode: int, payload: bytes) -> None:
        """Handle a packet. Raises :class:`WebSocketError` if it is invalid or above the limit."""
        packet = _packet(text_of(payload) if opcode == TEXT else payload)
        if packet.packet_type != MESSAGE:
            self.spend()
        if self._session.closed:
            self._over = True
            return
        with suppress(UnknownPacketError):
            self._session.receive(packet)

    def spend(self) -> None:
        """Count a frame or packet that is not a message.

        Before the session has joined, its frames and packets share one token bucket.
        """
        if self._session.queue.joined:
            super().spend()
        else:
            self.spend_from(self._session.queue.allowance)

    def closed(self) -> None:
        """End the session."""
        session = self._session
        session.close(wait=False, abort=True, reason=session.server.reason.TRANSPORT_CLOSE)
        session.server.sockets.pop(session.sid, None)


def _silence_timeout_s(session: Any) -> float:
    """Return the seconds without any received byte after which a client counts as disconnected.

    Answers to pings count as bytes.
    """
    seconds: float = session.server.ping_interval + session.server.ping_timeout
    return seconds


def _packet(message: str | bytes) -> Packet:
    try:
        return Packet(encoded_packet=message)
    except ValueError:
        raise WebSocketError(PROTOCOL_ERROR, "not an Engine.IO packet") from None

"""What the client of a WebSocket sends: its handshake, and messages put together from bytes (RFC 6455)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from api.errors import HandshakeError, WebSocketError

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10  # what is told; a piece is of no whole message yet
NORMAL, PROTOCOL_ERROR, INVALID_TEXT = 1000, 1002, 1007  # why a WebSocket is closed
POLICY_VIOLATION, TOO_LARGE = 1008, 1009

_FINAL, _RESERVED, _MASKED, _CONTROL = 0x80, 0x70, 0x80, 0x08
_MOST_OF_CONTROL = 125
_CLOSE_STATUSES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
_KEY_BYTES = 16
_SECRET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3


def wants_upgrade(environ: dict[str, Any]) -> bool:
    """Whether a request's ``Upgrade`` is for this connection."""
    options = environ.get("HTTP_CONNECTION", "").lower().split(",")
    return "upgrade" in [option.strip() for option in options]


def handshake(environ: dict[str, Any]) -> bytes:
    """Return the answer that accepts a WebSocket (section 4.2). Raises :class:`HandshakeError`."""
    if not wants_upgrade(environ) or environ.get("HTTP_UPGRADE", "").lower() != "websocket":
        raise HandshakeError(HTTPStatus.BAD_REQUEST, "no handshake: send Upgrade and Connection: Upgrade")
    if environ["REQUEST_METHOD"] != "GET" or environ["SERVER_PROTOCOL"] == "HTTP/1.0":
        raise HandshakeError(HTTPStatus.BAD_REQUEST, "a handshake is a GET of HTTP/1.1")
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
    if not _is_key(key):
        raise HandshakeError(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
        raise HandshakeError(HTTPStatus.UPGRADE_REQUIRED, "Sec-WebSocket-Version must be 13")
    accept = base64.b64encode(hashlib.sha1(key.encode() + _SECRET).digest())  # noqa: S324
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
    )


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):  # the second for what is no ASCII
        return False


class FrameDecoder:
    """Puts together one client's messages, of so many bytes at most."""

    __slots__ = ("_begun", "_kind", "_limit", "_rest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""  # of a frame that is not whole yet
        self._kind = PIECE  # what the message is that is not whole yet, if there is one
        self._begun = b""

    def read(self, data: bytes = b"") -> Iterator[tuple[int, bytes]]:
        """Tell what is whole with these bytes: kind and payload of each message, and pieces of others.

        What is not asked for comes next time. Raises :class:`WebSocketError`.
        """
        unread, at = self._rest + data, 0
        try:
            while frame := self._frame(unread, at):
                first, payload, at = frame
                kind = first & 15
                if kind & _CONTROL:
                    yield kind, payload
                elif first & _FINAL:
                    message, self._begun = self._begun + payload, b""
                    kind, self._kind = kind or self._kind, PIECE
                    yield kind, message
                else:
                    self._kind = kind or self._kind
                    self._begun += payload
                    yield PIECE, b""
        finally:
            self._rest = unread[at:]

    def _frame(self, unread: bytes, at: int) -> tuple[int, bytes, int] | None:
        """Return a frame's first byte, its payload and where it ends; ``None`` when it is not whole yet."""
        if len(unread) < at + 2:
            return None
        first, size = unread[at], unread[at + 1] & ~_MASKED
        self._check(first, unread[at + 1], size)
        begin = at + 2
        if size > _MOST_OF_CONTROL:
            begin += 2 if size == _MOST_OF_CONTROL + 1 else 8
            if len(unread) < begin:
                return None
            size = int.from_bytes(unread[at + 2 : begin], "big")
        if size + (0 if first & _CONTROL else len(self._begun)) > self._limit:
            raise WebSocketError(TOO_LARGE, f"A message has at most {self._limit} bytes")
        begin, end = begin + 4, begin + 4 + size
        if len(unread) < end:
            return None
        return first, _unmasked(unread[begin:end], unread[begin - 4 : begin]), end

    def _check(self, first: int, second: int, size: int) -> None:
        kind = first & 15
        if first & _RESERVED or kind not in {PIECE, TEXT, BINARY, CLOSE, PING, PONG}:
            raise WebSocketError(PROTOCOL_ERROR, "A frame of no kind that is known here")
        if not second & _MASKED:
            raise WebSocketError(PROTOCOL_ERROR, "A client must mask its frames")
        if kind & _CONTROL:
            if size > _MOST_OF_CONTROL or not first & _FINAL:
                raise WebSocketError(PROTOCOL_ERROR, "A control frame must be short and whole")
        elif (kind == PIECE) != (self._kind != PIECE):
            raise WebSocketError(PROTOCOL_ERROR, "A message must be continued, and begun, once")


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    masks = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(masks, "big")).to_bytes(size, "big")


def text_of(payload: bytes) -> str:
    """Return a payload of text. Raises :class:`WebSocketError` when it is none."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise WebSocketError(INVALID_TEXT, "Text must be UTF-8") from None


def close_status(payload: bytes) -> int:
    """Return the status with which a client closes. Raises :class:`WebSocketError` when it is none."""
    if not payload:
        return NORMAL
    status = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or status not in _CLOSE_STATUSES:
        raise WebSocketError(PROTOCOL_ERROR, "A close frame with no status that may be sent")
    text_of(payload[2:])
    return status

"""Decodes the messages of a WebSocket from its frames (RFC 6455, section 5).

:mod:`api.relay.websocket_frame_encoder` encodes the frames that the server sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.relay.websocket_frame_encoder import BINARY, CLOSE, FRAGMENT, PING, PONG, TEXT
from api.server.protocol_errors import WebSocketError

if TYPE_CHECKING:
    from collections.abc import Iterator

NORMAL, PROTOCOL_ERROR, INVALID_TEXT = 1000, 1002, 1007  # close status codes (section 7.4.1)
POLICY_VIOLATION, TOO_LARGE = 1008, 1009

_FINAL, _RESERVED, _MASKED, _CONTROL = 0x80, 0x70, 0x80, 0x08
_MAX_CONTROL_BYTES = 125
_CLOSE_STATUSES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


class FrameDecoder:
    """Decodes the messages of one client. ``limit`` is the maximum size of a message in bytes."""

    __slots__ = ("_begun", "_limit", "_opcode", "_rest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""  # the bytes of an incomplete frame
        self._opcode = FRAGMENT  # of the incomplete message, if there is one
        self._begun = b""  # the payload of the incomplete message so far

    def read(self, data: bytes = b"") -> Iterator[tuple[int, bytes]]:
        """Yield opcode and payload of each message that is complete with ``data``.

        A frame of a message that is still incomplete yields ``FRAGMENT`` without its payload. If the caller
        stops early, the next call continues there. Raises :class:`WebSocketError`.
        """
        unread, at = self._rest + data, 0
        try:
            while frame := self._frame(unread, at):
                first, payload, at = frame
                opcode = first & 15
                if opcode & _CONTROL:
                    yield opcode, payload
                elif first & _FINAL:
                    message, self._begun = self._begun + payload, b""
                    opcode, self._opcode = opcode or self._opcode, FRAGMENT
                    yield opcode, message
                else:
                    self._opcode = opcode or self._opcode
                    self._begun += payload
                    yield FRAGMENT, b""
        finally:
            self._rest = unread[at:]

    def _frame(self, unread: bytes, at: int) -> tuple[int, bytes, int] | None:
        """Return a frame's first byte, payload and end, or ``None`` if it is incomplete."""
        if len(unread) < at + 2:
            return None
        first, size = unread[at], unread[at + 1] & ~_MASKED
        self._check(first, unread[at + 1], size)
        begin = at + 2
        if size > _MAX_CONTROL_BYTES:
            begin += 2 if size == _MAX_CONTROL_BYTES + 1 else 8
            if len(unread) < begin:
                return None
            size = int.from_bytes(unread[at + 2 : begin], "big")
        if size + (0 if first & _CONTROL else len(self._begun)) > self._limit:
            raise WebSocketError(TOO_LARGE, f"the message has more than {self._limit} bytes")
        begin, end = begin + 4, begin + 4 + size
        if len(unread) < end:
            return None
        return first, _unmasked(unread[begin:end], unread[begin - 4 : begin]), end

    def _check(self, first: int, second: int, size: int) -> None:
        opcode = first & 15
        if first & _RESERVED or opcode not in {FRAGMENT, TEXT, BINARY, CLOSE, PING, PONG}:
            raise WebSocketError(PROTOCOL_ERROR, "unknown opcode or reserved bit in a frame")
        if not second & _MASKED:
            raise WebSocketError(PROTOCOL_ERROR, "a client must mask its frames")
        if opcode & _CONTROL:
            if size > _MAX_CONTROL_BYTES or not first & _FINAL:
                raise WebSocketError(PROTOCOL_ERROR, "a control frame must be one frame of 125 bytes at most")
        elif (opcode == FRAGMENT) != (self._opcode != FRAGMENT):
            raise WebSocketError(PROTOCOL_ERROR, "fragments of messages are out of order")


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    masks = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(masks, "big")).to_bytes(size, "big")


def text_of(payload: bytes) -> str:
    """Return the text of a payload. Raises :class:`WebSocketError` when it is not UTF-8."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise WebSocketError(INVALID_TEXT, "text must be UTF-8") from None


def close_status(payload: bytes) -> int:
    """Return the status code of a client's close frame. Raises :class:`WebSocketError` when it is invalid."""
    if not payload:
        return NORMAL
    status = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or status not in _CLOSE_STATUSES:
        raise WebSocketError(PROTOCOL_ERROR, "a close frame must have a registered status code")
    text_of(payload[2:])
    return status

"""Encodes WebSocket frames as a server sends them: whole and unmasked (RFC 6455, section 5.2)."""

from __future__ import annotations

FRAGMENT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10  # opcodes; the RFC calls 0 a continuation
_FINAL = 0x80
_FINAL_TEXT = _FINAL | TEXT
_SHORT, _MEDIUM = 126, 65_536  # bytes from which on the length needs 2 more bytes, or 8


def text_frame(text: bytes) -> bytes:
    """Return a text message."""
    size = len(text)
    if size < _SHORT:
        return bytes((_FINAL_TEXT, size)) + text
    if size < _MEDIUM:
        return bytes((_FINAL_TEXT, 126)) + size.to_bytes(2, "big") + text
    return bytes((_FINAL_TEXT, 127)) + size.to_bytes(8, "big") + text


def control_frame(opcode: int, payload: bytes = b"") -> bytes:
    """Return a control frame. The payload must not exceed 125 bytes."""
    return bytes((_FINAL | opcode, len(payload))) + payload


def close_frame(status: int, reason: str) -> bytes:
    """Return a close frame with its status code and reason."""
    return control_frame(CLOSE, status.to_bytes(2, "big") + reason.encode())

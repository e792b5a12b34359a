"""The opening handshake of a WebSocket (RFC 6455, section 4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from http import HTTPStatus
from typing import Any

from api.server.protocol_errors import HandshakeError

_KEY_BYTES = 16
_SECRET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3


def wants_upgrade(environ: dict[str, Any]) -> bool:
    """Return whether a request's ``Upgrade`` is for this connection."""
    options = environ.get("HTTP_CONNECTION", "").lower().split(",")
    return "upgrade" in [option.strip() for option in options]


def handshake(environ: dict[str, Any]) -> bytes:
    """Return the answer that accepts a WebSocket (section 4.2). Raises :class:`HandshakeError`."""
    if not wants_upgrade(environ) or environ.get("HTTP_UPGRADE", "").lower() != "websocket":
        raise HandshakeError(
            HTTPStatus.BAD_REQUEST, "not a handshake: send Upgrade: websocket and Connection: Upgrade"
        )
    if environ["REQUEST_METHOD"] != "GET" or environ["SERVER_PROTOCOL"] == "HTTP/1.0":
        raise HandshakeError(HTTPStatus.BAD_REQUEST, "a handshake must be a GET request of HTTP/1.1")
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
    except (binascii.Error, ValueError):  # ValueError: the text is not ASCII
        return False

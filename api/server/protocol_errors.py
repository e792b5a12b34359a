"""Violations of HTTP/1.1 and of the WebSocket protocol, which the servers below the transports detect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.errors import CODE_OF_STATUS

if TYPE_CHECKING:
    from http import HTTPStatus


class HeadError(Exception):
    """The head of an HTTP request is refused, with the response status ``status``."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status, self.code = status, CODE_OF_STATUS[status]


class HandshakeError(Exception):
    """A request is not a WebSocket handshake of version 13. ``status`` is the response's."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class WebSocketError(Exception):
    """A client violates the WebSocket protocol. ``status`` and ``reason`` are those of the close frame."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason

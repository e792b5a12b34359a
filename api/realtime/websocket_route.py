"""The route of the plain WebSocket at ``/ws``, for clients that do not speak Socket.IO."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from api.auth.authentication import caller, check_user_matches_token
from api.errors import HandshakeError
from api.realtime.websocket_connection import WebSocketConnection
from api.rest.error_handlers import failure
from api.rest.request_parsing import query
from api.server.websocket_handshake import handshake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.realtime.client_sessions import ClientSessions


def blueprint(
    sessions: ClientSessions, detach_socket: Callable[[dict[str, Any]], Any], max_bytes: int
) -> Blueprint:
    """Return the route. ``detach_socket`` returns a request's connection. ``max_bytes`` limits a message."""
    routes = Blueprint("websockets", __name__)

    @routes.get("/ws")
    def no_websocket() -> Response:
        return _upgrade_required("this address accepts only WebSocket connections (RFC 6455)")

    @routes.get("/ws", websocket=True)
    def websocket() -> Response:
        query(request, ["token", "userId"])
        check_user_matches_token(caller(), request.args.get("userId", ""))
        try:
            answer = handshake(request.environ)
        except HandshakeError as refused:
            if refused.status == HTTPStatus.UPGRADE_REQUIRED:
                return _upgrade_required(str(refused))
            return failure(refused.status, "invalid_handshake", str(refused))
        # Connected before the handshake is answered, so that it can be refused.
        client = WebSocketConnection(sessions, caller(), max_bytes)
        return _Upgraded(lambda environ: client.serve(detach_socket(environ), answer), client.leave)

    return routes


def _upgrade_required(message: str) -> Response:
    response = failure(HTTPStatus.UPGRADE_REQUIRED, "upgrade_required", message)
    response.headers.update({"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
    return response


class _Upgraded(Response):
    """A response that serves a WebSocket, and then calls ``at_end``."""

    def __init__(self, serve: Callable[[dict[str, Any]], object], at_end: Callable[[], object]) -> None:
        super().__init__()
        self._serve, self._at_end = serve, at_end

    def __call__(self, environ: Any, _: Any) -> Iterable[bytes]:
        try:
            self._serve(environ)
        finally:
            self._at_end()
        return []

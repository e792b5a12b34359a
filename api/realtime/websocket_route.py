"""The route of the plain WebSocket at ``/ws``, for clients that do not speak Socket.IO."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from api.auth.authentication import caller, check_user_matches_token
from api.rest.request_parsing import check_user_id_form, query
from api.rest.responses import failure
from api.server.protocol_errors import HandshakeError
from api.server.websocket_handshake import handshake

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.realtime.websocket_connection import WebSocketClients, WebSocketConnection


def blueprint(clients: WebSocketClients) -> Blueprint:
    """Return the route, which opens the WebSockets of clients."""
    routes = Blueprint("websockets", __name__)

    @routes.get("/ws")
    def no_websocket() -> Response:
        return _upgrade_required("this address accepts only WebSocket connections (RFC 6455)")

    @routes.get("/ws", websocket=True)
    def websocket() -> Response:
        user_id = query(request, ["token", "userId"]).get("userId", "")
        if user_id:
            check_user_id_form(user_id)
        check_user_matches_token(caller(), user_id)
        try:
            answer = handshake(request.environ)
        except HandshakeError as refused:
            if refused.status == HTTPStatus.UPGRADE_REQUIRED:
                return _upgrade_required(str(refused))
            return failure(refused.status, "invalid_handshake", str(refused))
        # Connected before the handshake is answered, so that it can be refused.
        return _Upgraded(clients.connect(caller()), answer)

    return routes


def _upgrade_required(message: str) -> Response:
    response = failure(HTTPStatus.UPGRADE_REQUIRED, "upgrade_required", message)
    response.headers.update({"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
    return response


class _Upgraded(Response):
    """A response that opens the WebSocket of a client. The request ends, and the WebSocket outlives it."""

    def __init__(self, client: WebSocketConnection, answer: bytes) -> None:
        super().__init__()
        self._client, self._answer = client, answer

    def __call__(self, environ: Any, _: Any) -> Iterable[bytes]:
        try:
            self._client.open(environ, self._answer)
        except Exception:
            self._client.closed()
            raise
        return []

"""The clients of the plain WebSocket at ``/ws``: their messages, and the pings that they must answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from api.errors import RoomError
from api.limits.token_bucket import TokenBucket
from api.realtime.error_payload import error_payload
from api.realtime.room_access import parse_resume, parse_room
from api.relay.encoded_event import EncodedEvent, resume_fields, websocket_message
from api.relay.subscriber import GOING_AWAY, Subscriber
from api.relay.websocket_frame_encoder import BINARY, PING, close_frame, control_frame, text_frame
from api.rest.request_parsing import parsed
from api.server.websocket_frame_decoder import (
    INVALID_TEXT,
    POLICY_VIOLATION,
    PROTOCOL_ERROR,
    TOO_LARGE,
    text_of,
)
from api.server.websocket_transport import WebSocketTransport
from cto_worker.domain.progress_event import dumps

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.auth.caller import Caller
    from api.realtime.client_service import ClientService
    from api.server.protocol_errors import WebSocketError
    from api.server.websocket_transport import WebSocketEngine

PING_INTERVAL_S = 10.0
SILENCE_TIMEOUT_S = 15.0  # a client that sends no byte for this long, not even a pong, is gone
TICK_S = 0.5  # between two checks of all clients

GOING_AWAY_STATUS, UNSUPPORTED_DATA = 1001, 1003
_CODES = {
    PROTOCOL_ERROR: "protocol_error",
    INVALID_TEXT: "invalid_text",
    POLICY_VIOLATION: "too_many_messages",
    TOO_LARGE: "message_too_large",
}
_PING = control_frame(PING)


class WebSocketClients:
    """The clients of one gateway. Each is pinged, and disconnected if it sends nothing."""

    def __init__(self, service: ClientService, engine: WebSocketEngine, max_message_bytes: int) -> None:
        self.service, self.engine, self.max_message_bytes = service, engine, max_message_bytes
        self.opened: set[WebSocketConnection] = set()

    def __len__(self) -> int:
        return len(self.opened)

    def connect(self, caller: Caller) -> WebSocketConnection:
        """Return a new connection, which is not open yet.

        Raises the errors of :meth:`~api.realtime.client_service.ClientService.connect`.
        """
        client = WebSocketConnection(self)
        self.service.connect(client, caller)
        return client

    def run(self) -> None:
        """Call :meth:`tick` until the process ends."""
        while True:
            time.sleep(TICK_S)
            self.tick()

    def tick(self) -> None:
        """Ping the clients whose next ping is due, and disconnect silent ones."""
        for client in list(self.opened):
            if client.keep_alive(time.monotonic()):
                time.sleep(0)  # a green thread runs only when the current one yields


def _frame(item: EncodedEvent | bytes) -> bytes:
    return item.rendered(websocket_message) if isinstance(item, EncodedEvent) else item


class WebSocketConnection(WebSocketTransport, Subscriber):
    """One client: its protocol on the WebSocket, and its subscriber."""

    answers_pings = True
    close_timeout_s = 2.0
    frame = staticmethod(_frame)

    def __init__(self, clients: WebSocketClients) -> None:
        WebSocketTransport.__init__(self, clients.engine, self, clients.max_message_bytes)
        Subscriber.__init__(self)
        self._clients = clients
        self._messages = TokenBucket()
        self._received_s = self._pinged_s = time.monotonic()
        self._ping_due = False

    def open(self, environ: dict[str, Any], answer: bytes) -> None:
        """Send the handshake's ``answer``, and serve. Returns at once: the WebSocket outlives the request."""
        connection = self._clients.engine.detach_socket(environ)
        self._clients.opened.add(self)
        self._received_s = self._pinged_s = time.monotonic()
        self.start(connection, SILENCE_TIMEOUT_S, answer)

    def close(self, reason: tuple[str, str]) -> None:
        """Report the reason, and close after the queued items."""
        self._fail(GOING_AWAY_STATUS if reason is GOING_AWAY else POLICY_VIOLATION, *reason)
        self.end()

    def end(self) -> None:
        """End the subscription. The items queued so far are still sent, and then the close frame."""
        self._clients.service.disconnect(self)
        super().end()

    def closed(self) -> None:
        """Remove the client."""
        self._clients.service.disconnect(self)
        self._clients.opened.discard(self)

    def keep_alive(self, now_s: float) -> bool:
        """Disconnect a silent client, or send a ping that is due. Return whether one was sent."""
        if self._over:
            return False
        if now_s - self._received_s >= SILENCE_TIMEOUT_S and not self._handling:
            self.drop()
        elif now_s - self._pinged_s >= PING_INTERVAL_S:
            self._pinged_s = now_s
            self._ping()
            return True
        return False

    def _ping(self) -> None:
        if self.has_items:  # the client reads slowly: the ping must not wait behind megabytes of events
            self._ping_due = True
        else:
            self.put(_PING)

    def next_frames(self) -> bytes:
        """Dequeue the items of one write, as frames. A ping that is due follows them."""
        frames = super().next_frames()
        if self._ping_due:
            self._ping_due = False
            frames += _PING
        return frames

    def handled(self) -> None:
        """Start to count the seconds of silence."""
        self._received_s = time.monotonic()

    def refuse(self, error: WebSocketError) -> None:
        """Report an error of the protocol, and close."""
        self._fail(error.status, _CODES[error.status], error.reason)

    def handle_message(self, opcode: int, payload: bytes) -> None:
        """Handle a message, and answer it."""
        if opcode == BINARY:
            self._fail(UNSUPPORTED_DATA, "unsupported_data", "the message is binary: send text")
            return
        text = text_of(payload)
        self.spend_from(self._messages)
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
        handler = self._HANDLERS.get(name) if isinstance(name, str) else None
        if handler is None:
            raise RoomError(
                "invalid_message",
                'unknown message type: send {"type": "join", "leave", "resume", "auth_refresh" or "ping", …}',
            )
        handler(self, message, echo)

    def _join(self, message: dict[str, Any], echo: dict[str, Any]) -> None:
        room = parse_room((message.get("room"),))
        self._clients.service.join(self, room)
        self._answer({"type": "joined", "room": room, **echo})

    def _leave(self, message: dict[str, Any], echo: dict[str, Any]) -> None:
        room = parse_room((message.get("room"),))
        self._clients.service.relay.leave(self, room)
        self._answer({"type": "left", "room": room, **echo})

    def _resume(self, message: dict[str, Any], echo: dict[str, Any]) -> None:
        job_id, after = parse_resume((message,))

        def answer(events: list[EncodedEvent]) -> None:
            self._answer({"type": "resumed", "jobId": job_id, **echo}, b"," + resume_fields(events, after))

        self._clients.service.resume(self, job_id, after, answer)

    def _refresh(self, message: dict[str, Any], echo: dict[str, Any]) -> None:
        self._clients.service.refresh(self, message.get("token"), message.get("userId"))
        self._answer({"type": "auth_refreshed", **echo})

    def _pong(self, _: dict[str, Any], echo: dict[str, Any]) -> None:
        # A page cannot see the protocol's pings. It sends its own messages to detect a dead link.
        self._answer({"type": "pong", **echo})

    _HANDLERS: ClassVar[dict[str, Callable[[WebSocketConnection, dict[str, Any], dict[str, Any]], None]]] = {
        "join": _join,
        "leave": _leave,
        "resume": _resume,
        "auth_refresh": _refresh,
        "ping": _pong,
    }

    def _fail(self, status: int, code: str, message: str) -> None:
        self._answer({"type": "error", "code": code, "message": message})
        self._over, self._close_frame = True, close_frame(status, code)

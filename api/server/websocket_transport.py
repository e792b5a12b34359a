"""The WebSocket of an Engine.IO session, on which no green thread waits for an idle client.

python-engineio's own serves each in a green thread from the handshake to the end: several kilobytes of stack
that do nothing. Here the request that opened it ends with the upgrade. A doorbell tells when the client has
sent something, and only then a green thread runs, for as long as that takes to be handled.
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
from api.relay import latency_probe
from api.relay.encoded_event import EncodedEvent, close_frame, control_frame, socketio_message, text_frame
from api.relay.send_queue import SendQueue, cut_off
from api.server.websocket import (
    CLOSE,
    PIECE,
    PING,
    POLICY_VIOLATION,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    FrameDecoder,
    close_status,
    handshake,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.server.poller import Poller

log = logging.getLogger(__name__)

READ_BYTES = 16_384
_REFUSAL_HEADERS = {
    HTTPStatus.BAD_REQUEST: [("Connection", "close")],
    HTTPStatus.UPGRADE_REQUIRED: [
        ("Connection", "close, Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
    ],
}  # fmt: skip
Take = Callable[[dict[str, Any]], Any]  # gives a request's connection away: it outlives the request


class WebSocketFactory:
    """Makes WebSockets of requests, in place of the class for that in Engine.IO's async mode."""

    def __init__(self, take: Take, poller: Poller, thread: Any) -> None:
        self.poller, self.thread, self._take = poller, thread, take

    def __call__(self, handler: Any, _: Any) -> Any:
        """Return a WSGI application that opens the WebSocket of the session whose method ``handler`` is."""
        return partial(self._upgrade, handler.__self__)

    def _upgrade(self, session: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if session.upgrading or session.closed:  # one at a time, or it would have several WebSockets
            start_response("400 BAD REQUEST", [("Connection", "close")])
            return ()  # what is no list Engine.IO passes on
        try:
            answer = handshake(environ)
        except HandshakeError as refused:
            if not session.connected:  # it was made for this WebSocket
                session.close(wait=False, abort=True)
            start_response(f"{refused.status} {refused.status.phrase}", _REFUSAL_HEADERS[refused.status])
            return ()
        transport = _Transport(self, session, self._take(environ))
        transport.open(answer)
        return []


class _Transport:
    """One client's WebSocket. All that it is sent goes through its session's outbox."""

    __slots__ = (
        "_allowance",
        "_connection",
        "_goodbye",
        "_incoming",
        "_over",
        "_session",
        "_unread",
        "_upgrades",
        "_works",
    )

    def __init__(self, upgrades: WebSocketFactory, session: Any, connection: Any) -> None:
        self._upgrades, self._session, self._connection = upgrades, session, connection
        self._incoming = FrameDecoder(session.server.max_http_buffer_size)
        self._unread = b""
        self._allowance: TokenBucket | None = None  # for what is no message
        self._works = False  # whether a green thread handles what has been read
        self._over = False  # whether nothing more is read
        self._goodbye = control_frame(CLOSE)
        connection.settimeout(_silence_s(session))

    def open(self, answer: bytes) -> None:
        """Answer the handshake, and begin; a client that has been polling must come over first."""
        if self._session.connected:
            self._open_another(answer)
        else:
            self._begin(answer)

    def _open_another(self, answer: bytes) -> None:
        self._session.upgrading = True  # a poll that comes now is answered at once
        try:
            self._connection.sendall(answer)
            came = self._comes_over(time.monotonic() + _silence_s(self._session))
        except (OSError, WebSocketError):
            came = False
        finally:
            self._session.upgrading = False
        if came and not self._session.closed:
            self._connection.settimeout(_silence_s(self._session))
            self._begin()
        else:
            self._connection.close()

    def _begin(self, answer: bytes = b"") -> None:
        session = self._session
        session.connected = session.upgraded = True
        session.queue.drop = partial(cut_off, self._connection)
        session.queue.begin(self._write_now, self._start_to_write, answer)
        self._work()

    def _comes_over(self, until_s: float) -> bool:
        if self._next_text(until_s) != "2probe":
            return False
        self._connection.sendall(text_frame(b"3probe"))
        self._session.queue.put(Packet(NOOP))  # ends the poll that waits
        return self._next_text(until_s) == "5"

    def _next_text(self, until_s: float) -> str:
        data = b""
        while True:
            for kind, payload in self._incoming.read(data):
                if kind == TEXT:
                    return text_of(payload)
                self._spend()
            self._spend()
            self._connection.settimeout(max(0.001, until_s - time.monotonic()))
            data = self._connection.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError

    def _hear(self) -> None:
        try:
            data = self._connection.fd.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._unread += data
        self._over = not data
        if self._works:
            # What comes while something is handled waits where it is.
            self._upgrades.poller.unwatch(self._connection.fileno())
        else:
            self._work()

    def _work(self) -> None:
        self._works = True
        try:
            self._handle_unread()
        except WebSocketError as wrong:
            self._goodbye = close_frame(wrong.status, wrong.reason)
            self._over = True
        except SocketIsClosedError:
            self._over = True
        except Exception:
            log.exception("a WebSocket broke")
            self._over = True
        self._works = False
        if self._over:
            self._end()
        else:
            self._upgrades.poller.watch(self._connection.fileno(), self._hear)

    def _handle_unread(self) -> None:
        more, first = True, True
        while more:
            data, self._unread = self._unread, b""
            kind = None
            for kind, payload in self._incoming.read(data):
                if not first:
                    time.sleep(0)  # green threads run only when the running one lets them
                self._handle(kind, payload)
                first = False
            if data and kind is None:
                self._spend()
            more = bool(self._unread)

    def _handle(self, kind: int, payload: bytes) -> None:
        if kind in {PIECE, PING, PONG}:
            self._spend()
        if kind == PING:
            self._session.queue.put(control_frame(PONG, payload))
        elif kind == CLOSE:
            raise WebSocketError(close_status(payload), "")
        elif kind == PONG:
            latency_probe.heard(payload)
        elif kind != PIECE:
            packet = _packet(text_of(payload) if kind == TEXT else payload)
            if packet.packet_type != MESSAGE:
                self._spend()
            if self._session.closed:
                raise SocketIsClosedError
            with suppress(UnknownPacketError):
                self._session.receive(packet)

    def _spend(self) -> None:
        """Count what is no message, or a piece of one. Raises :class:`WebSocketError` when it is too much."""
        if self._session.queue.joined:
            self._allowance = allowance = self._allowance or TokenBucket()
        else:
            allowance = self._session.queue.allowance
        if not allowance.spend():
            raise WebSocketError(POLICY_VIOLATION, "You say too much")

    def _end(self) -> None:
        """Have the writer write what is left, and finish."""
        self._upgrades.poller.unwatch(self._connection.fileno())
        self._session.queue.put(None)

    def _write_now(self) -> bytes:
        """Write what can be written at once. Returns what could not."""
        messages = _messages(self._session.queue)
        try:
            return messages and messages[self._connection.fd.send(messages) :]
        except OSError:  # also when there is no room: the writer waits for it, or finds the connection gone
            return messages

    def _start_to_write(self) -> None:
        self._upgrades.thread(target=self._write).start()

    def _write(self) -> None:
        send_queue = self._session.queue
        try:
            while send_queue.wait() and not send_queue.ends_now():
                self._connection.sendall(_messages(send_queue))
            self._connection.fd.send(self._goodbye)
            self._connection.shutdown(SHUT_WR)
        except OSError:
            log.debug("a client was gone before it was told all")
        finally:
            self._finish()

    def _finish(self) -> None:
        session = self._session
        self._over = True
        self._upgrades.poller.unwatch(self._connection.fileno())
        self._connection.close()
        session.close(wait=False, abort=True, reason=session.server.reason.TRANSPORT_CLOSE)
        session.server.sockets.pop(session.sid, None)


def _silence_s(session: Any) -> float:
    """For how long a client may say nothing, not even the answer to a ping."""
    seconds: float = session.server.ping_interval + session.server.ping_timeout
    return seconds


def _packet(message: str | bytes) -> Packet:
    try:
        return Packet(encoded_packet=message)
    except ValueError:
        raise WebSocketError(PROTOCOL_ERROR, "No packet of Engine.IO") from None


def _messages(send_queue: SendQueue) -> bytes:
    return b"".join([_message(item) for item in send_queue.take()])


def _message(item: Any) -> bytes:
    if isinstance(item, EncodedEvent):
        return item.form(socketio_message)
    return item if isinstance(item, bytes) else text_frame(item.encode().encode())

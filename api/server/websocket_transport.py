"""A WebSocket that needs no thread while its client is idle.

The WebSockets of Engine.IO and of ``/ws`` are subclasses.

The request ends with the opening handshake. A poller reports incoming bytes, and a green thread runs only
while they are handled. Queued items are written when they are put, without blocking. A green thread writes
them only while the socket is full, and at the end.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from socket import SHUT_WR
from typing import TYPE_CHECKING, Any

from api.limits.token_bucket import TokenBucket
from api.relay import latency_probe
from api.relay.send_queue import abort
from api.relay.websocket_frame_encoder import CLOSE, FRAGMENT, PING, PONG, close_frame, control_frame
from api.server.protocol_errors import WebSocketError
from api.server.websocket_frame_decoder import POLICY_VIOLATION, FrameDecoder, close_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.relay.send_queue import SendQueue
    from api.server.connection_poller import ConnectionPoller

log = logging.getLogger(__name__)

READ_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class WebSocketEngine:
    """The parts of the server that WebSockets need.

    ``detach_socket`` returns a request's connection, which then outlives the request. ``spawn`` calls a
    function in a new green thread, and does not wait for it.
    """

    detach_socket: Callable[[dict[str, Any]], Any]
    poller: ConnectionPoller
    spawn: Callable[[Callable[[], object]], object]


class WebSocketTransport:
    """The WebSocket of one client. Everything it sends goes through its send queue; a close frame is last.

    A subclass handles messages and renders queued items. No method but :meth:`handle_message` blocks.
    """

    close_timeout_s = 0.0  # how long to wait for the client's close frame after the server's
    frame: Callable[[Any], bytes]  # renders a queued item

    def __init__(self, engine: WebSocketEngine, send_queue: SendQueue, max_message_bytes: int) -> None:
        self._engine, self.send_queue = engine, send_queue
        self._connection: Any = None  # after it has been detached from its request
        self._decoder = FrameDecoder(max_message_bytes)
        self._unread = b""
        self._control_bucket: TokenBucket | None = None  # for frames that are not messages
        self._handling = False  # whether a green thread handles incoming bytes
        self._over = False  # whether reading has ended
        self._close_frame = control_frame(CLOSE)

    def handle_message(self, opcode: int, payload: bytes) -> None:
        """Handle a text or binary message. Raises :class:`WebSocketError` to close the connection."""
        raise NotImplementedError

    def refuse(self, error: WebSocketError) -> None:
        """Close the connection, because the client violates the protocol or a limit."""
        self._over, self._close_frame = True, close_frame(error.status, error.reason)

    def handled(self) -> None:
        """Do nothing. Called when all received bytes are handled."""

    def closed(self) -> None:
        """Release what belongs to the connection, which is closed now."""
        raise NotImplementedError

    def start(self, connection: Any, timeout_s: float, answer: bytes = b"") -> None:
        """Send the handshake's ``answer``, and serve until either side closes. Returns at once.

        A client that reads nothing for ``timeout_s`` seconds is disconnected.
        """
        self._connection = connection
        connection.settimeout(timeout_s)
        self.send_queue.drop = partial(abort, connection)
        self._write_directly(answer)
        self._handle_and_watch()

    def end(self) -> None:
        """Read no more. The queued items are still sent, and then the close frame."""
        self._over = True
        if self._connection:
            self._engine.poller.unwatch(self._connection.fileno())
        self.send_queue.put(None)

    def spend(self) -> None:
        """Count a frame that is not a message. Raises :class:`WebSocketError` above the limit."""
        self._control_bucket = self._control_bucket or TokenBucket()
        self.spend_from(self._control_bucket)

    @staticmethod
    def spend_from(bucket: TokenBucket) -> None:
        """Count one frame or message. Raises :class:`WebSocketError` above the limit."""
        if not bucket.spend():
            raise WebSocketError(POLICY_VIOLATION, "too many messages: reconnect, and send fewer")

    def _on_readable(self) -> None:
        try:
            data = self._connection.fd.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._unread += data
        self._over = self._over or not data
        if self._handling:
            # Further bytes stay in the socket's buffer until the current ones are handled.
            self._engine.poller.unwatch(self._connection.fileno())
        else:
            self._handle_and_watch()

    def _handle_and_watch(self) -> None:
        self._handling = True
        try:
            self._handle_unread()
        except WebSocketError as error:
            self.refuse(error)
        except Exception:
            log.exception("unexpected error in a WebSocket")
            self._over = True
        self._handling = False
        self.handled()
        if self._over:
            self.end()
        else:
            self._engine.poller.watch(self._connection.fileno(), self._on_readable)

    def _handle_unread(self) -> None:
        unread, first = True, True
        while unread:
            data, self._unread = self._unread, b""
            opcode = None
            for opcode, payload in self._decoder.read(data):
                if not first:
                    time.sleep(0)  # a green thread runs only when the current one yields
                if self._over:
                    return
                self._handle_frame(opcode, payload)
                first = False
            if data and opcode is None:
                self.spend()
            unread = bool(self._unread)

    def _handle_frame(self, opcode: int, payload: bytes) -> None:
        if opcode in {FRAGMENT, PING, PONG}:
            self.spend()
        if opcode == PING:
            self.send_queue.put(control_frame(PONG, payload))
        elif opcode == PONG:
            latency_probe.record_pong(payload)
        elif opcode == CLOSE:
            self._close_frame = close_frame(close_status(payload), "")
            self._over = True
        elif opcode != FRAGMENT:
            self.handle_message(opcode, payload)

    def _write_directly(self, first: bytes = b"") -> None:
        self.send_queue.switch_to_direct_writes(self._send_now, self._spawn_writer, first)

    def next_frames(self) -> bytes:
        """Dequeue the items of one write, as frames."""
        return b"".join(map(self.frame, self.send_queue.dequeue()))

    def _send_now(self) -> bytes:
        """Send the queued items without blocking. Return the bytes that are left."""
        frames = self.next_frames()
        try:
            return frames and frames[self._connection.fd.send(frames) :]
        except OSError:  # the buffer is full, or the connection is gone: the writer waits, or finds out
            return frames

    def _spawn_writer(self) -> None:
        self._engine.spawn(self._write)

    def _write(self) -> None:
        """Send the queued items. Then leave later ones to direct writes, or close after the last one."""
        ends = True
        try:
            ends = self._send_to_end()
            if ends:
                self._connection.sendall(self._close_frame)
                self._connection.shutdown(SHUT_WR)
                self._discard_input()
        except OSError:
            log.debug("a client disconnected before its queued items were sent")
        finally:
            if ends:
                self._release()
            else:
                self._write_directly()

    def _send_to_end(self) -> bool:
        """Send items until the queue is empty. Return whether no more will follow."""
        while self.send_queue.has_items:
            if self.send_queue.drained_to_end():
                return True
            self._connection.sendall(self.next_frames())
        return False

    def _discard_input(self) -> None:
        """Wait until the client closes. With unread bytes, closing would discard what was just sent."""
        ends_s = time.monotonic() + self.close_timeout_s
        while (left_s := ends_s - time.monotonic()) > 0:
            self._connection.settimeout(left_s)
            if not self._connection.recv(READ_BYTES):
                break
            time.sleep(0)

    def _release(self) -> None:
        self._over = True
        self._engine.poller.unwatch(self._connection.fileno())
        self._connection.close()
        self.closed()

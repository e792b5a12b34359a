"""Engine.IO with less memory per client: no thread and no copy of the request, and one write per flush.

:mod:`api.library_patches` puts these parts in place of the library's.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from engineio.exceptions import ContentTooLongError, EngineIOError
from engineio.packet import MESSAGE, PING, Packet

from api import library_patches
from api.limits.refusal_log import refusals
from api.limits.token_bucket import BURST, TokenBucket
from api.relay.encoded_event import EncodedEvent, socketio_packet
from api.relay.subscriber import Subscriber
from api.server.engineio_websocket import WebSocketFactory
from api.server.request_body_readers import ChunkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.relay.send_queue import SendQueue
    from api.server.websocket_transport import WebSocketEngine

log = logging.getLogger(__name__)

# Variables of the request that are kept for the handler of Socket.IO's CONNECT and for the log.
RETAINED_ENVIRON = ("HTTP_AUTHORIZATION", "QUERY_STRING", "REMOTE_ADDR")
MAX_PAYLOAD_PACKETS = 16  # engineio.payload.Payload.max_decode_packets of a stock Python client
UNJOINED_PACKETS = 16  # that a session may send before it has joined the namespace, in total


def install_engine(
    server: Any,
    websockets: WebSocketEngine,
    *,
    create_queue: Callable[[], PacketQueue],
    on_message: Callable[..., Any] = lambda handle, *message: handle(*message),
    on_opened: Callable[[str], object] = lambda _: None,
) -> None:
    """Replace parts of an Engine.IO server. Must be called once, before its first client connects.

    ``create_queue`` makes the queue of a session. ``on_message`` handles a message: it gets the server's own
    handler, the session's id, and the message. ``on_opened`` gets the id of each new session.
    """
    hooks = library_patches.EngineIOHooks(
        create_queue=create_queue,
        receive_post=_receive_post,
        ping=_pings(server).add,
        websocket=WebSocketFactory(websockets),
        connect=partial(_connect, on_opened),
        disconnect=partial(_disconnect, server),
        message=on_message,
    )
    library_patches.install_engineio(server, hooks)


def _receive_post(session: Any, environ: dict[str, Any]) -> None:
    """Receive the packets of a POST. Other threads run between packets.

    Raises ``EngineIOError``, which ends the session, when the packets are invalid or too many.
    """
    try:
        for number, packet in enumerate(_posted_packets(session, environ)):
            if number:
                time.sleep(0)  # a green thread runs only when the current one yields
            if session.closed:
                return
            if packet.packet_type != MESSAGE and not session.queue.joined:
                _spend(session.queue.allowance)
            session.receive(packet)
    except (ChunkError, KeyError, OSError, RecursionError, ValueError) as error:
        refusals.note(
            "disconnected a client", environ.get("REMOTE_ADDR"), "posted too many or invalid packets"
        )
        raise EngineIOError("the packets are not Engine.IO packets, or too many") from error


def _posted_packets(session: Any, environ: dict[str, Any]) -> list[Packet]:
    data = _read_body(environ, session.server.max_http_buffer_size)
    # A client that reconnects joins all its rooms at once.
    return library_patches.decode_packets(data.decode(), BURST if session.queue.joined else UNJOINED_PACKETS)


def _read_body(environ: dict[str, Any], most: int) -> bytes:
    """Return a body of at most ``most`` bytes. Raises :class:`ContentTooLongError`."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if environ.get("wsgi.input_terminated"):  # a chunked body, whose length is not known in advance
        length = most + 1
    elif length > most:
        raise ContentTooLongError
    data: bytes = environ["wsgi.input"].read(length)
    if len(data) > most:
        raise ContentTooLongError
    return data


def _spend(allowance: TokenBucket) -> None:
    if not allowance.spend():
        raise ValueError("too many packets before the session joined the namespace")


def _connect(
    on_opened: Callable[[str], object],
    connect: Callable[[str, dict[str, Any]], Any],
    sid: str,
    environ: dict[str, Any],
) -> Any:
    """Pass only the needed request variables: python-socketio keeps them until the session ends."""
    on_opened(sid)
    return connect(sid, {name: environ[name] for name in RETAINED_ENVIRON if name in environ})


def _disconnect(server: Any, disconnect: Callable[[str, str], Any], sid: str, reason: str) -> Any:
    """Disconnect, and remove a polling session at once. Engine.IO itself would keep it for 5 s."""
    try:
        return disconnect(sid, reason)
    finally:
        session = server.sockets.get(sid)
        if session and not session.upgraded:
            del server.sockets[sid]


class PacketQueue(Subscriber):
    """A subscriber whose send queue has the methods of :class:`queue.Queue` that Engine.IO calls.

    ``joined`` is whether the session has joined the namespace. ``allowance`` limits its further packets.
    """

    __slots__ = ("_end", "allowance", "busy", "joined")

    def __init__(self) -> None:
        super().__init__()
        self.busy = False  # while a message of the client is being handled; then it is not pinged
        self.joined = False
        self.allowance = TokenBucket(UNJOINED_PACKETS, per_second=0)
        self._end: Callable[[], object] | None = None

    @property
    def refused(self) -> bool:
        """Whether the session was refused, and ends."""
        return self._end is not None

    def note_joined(self) -> None:
        """Record that the session has joined the namespace."""
        self.joined = True
        self.allowance = TokenBucket()

    @property
    def answers_pings(self) -> bool:  # type: ignore[override]  # a constant of other transports
        """Whether this is a WebSocket. Otherwise the client polls."""
        return self.is_direct

    def refuse(self, close: Callable[[], object]) -> None:
        """Call ``close`` after the queued refusal has been sent.

        A polling client gets the refusal in one answer and the end in the next. If one answer contained both,
        stock JavaScript clients would report a lost connection and no refusal.
        """
        self._end = close
        if self.is_direct:
            close()

    def switch_to_direct_writes(
        self, write_now: Callable[[], bytes], start_writer: Callable[[], object], first: bytes = b""
    ) -> None:
        """Extend the method of :class:`SendQueue`: a session that was refused meanwhile ends."""
        super().switch_to_direct_writes(write_now, start_writer, first)
        if self._end:
            self._end()

    def get(self, block: bool = True, timeout: float | None = None) -> _Batch | None:  # noqa: FBT001, FBT002
        """Return the queued items as one packet, or ``None`` at the end.

        Raises ``queue.Empty`` at the timeout, and for a second simultaneous poll. Engine.IO then ends the
        session.
        """
        if not block or self.has_waiter:
            raise queue.Empty
        if self._end and not self.has_items:
            self._end()
        if not self.wait(timeout):
            raise queue.Empty
        return None if self.drained_to_end() else _Batch(self)

    def task_done(self) -> None:
        """Do nothing: no code waits for this queue to be processed."""

    join = task_done


class _Batch:
    """The queued items, as the one packet of the answer to a poll."""

    __slots__ = ("_send_queue",)

    def __init__(self, send_queue: SendQueue) -> None:
        self._send_queue = send_queue

    def encode(self, b64: bool = True) -> str:  # noqa: FBT001, FBT002 - the signature of engineio.packet.Packet
        """Return the payload of an answer to a poll."""
        return "\x1e".join(
            socketio_packet(item).decode() if isinstance(item, EncodedEvent) else item.encode(b64=b64)
            for item in self._send_queue.dequeue(MAX_PAYLOAD_PACKETS)
        )


class _DelayQueue:
    """Calls a function for each client after the same delay, in one thread for all clients."""

    def __init__(self, server: Any, delay_s: float, act: Callable[[Any], object]) -> None:
        self._server, self._delay_s, self._act = server, delay_s, act
        self._due: deque[tuple[float, Any]] = deque()  # the delay is the same, so the first is due first
        self._runs = False

    def add(self, client: Any) -> None:
        """Call the function for this client after the delay."""
        self._due.append((time.monotonic() + self._delay_s, client))
        if not self._runs:
            self._runs = True
            self._server.start_background_task(self._run)

    def _run(self) -> None:
        while True:
            while not self._due:
                self._server.sleep(self._delay_s)
            due_s, client = self._due.popleft()
            self._server.sleep(max(0.0, due_s - time.monotonic()))
            if not client.closing and not client.closed:
                try:
                    self._act(client)
                except Exception:
                    log.exception("unexpected error while a client was pinged")  # the others must be pinged


def _pings(server: Any) -> _DelayQueue:
    """Return the queue of pings. Checks their answers in time; Engine.IO does so only occasionally."""

    def ping(client: Any) -> None:
        if client.queue.busy:  # the answer would not be read before the message that is being handled
            pings.add(client)
            return
        client.last_ping = time.time()
        client.send(Packet(PING))
        checks.add(client)

    checks = _DelayQueue(server, server.ping_timeout + 0.1, lambda client: client.check_ping_timeout())
    pings = _DelayQueue(server, server.ping_interval, ping)
    return pings


def end_session(session: Any) -> None:
    """End an Engine.IO session without waiting for its client."""
    session.close(wait=False, abort=True)
    session.queue.drop()

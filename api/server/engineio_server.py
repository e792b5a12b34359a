"""Engine.IO on a diet: what waits for a client goes out in one write, and a connection keeps little alive.

python-engineio takes its green threads, queues and WebSockets from a table, its async mode. The entries of
that table are replaced here, and so is the queue that it makes for each client; all else is its own. What is
relied on beyond that table is named where it is used; the acceptance tests with stock clients guard it.
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
from engineio.payload import Payload
from engineio.socket import Socket

from api.limits.refusal_log import refusals
from api.limits.token_bucket import BURST, TokenBucket
from api.relay.encoded_event import EncodedEvent, socketio_packet
from api.relay.send_queue import SendQueue
from api.server.message_limits import UNJOINED_PACKETS
from api.server.websocket_transport import WebSocketFactory

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.server.poller import Poller
    from api.server.websocket_transport import Take

log = logging.getLogger(__name__)

# Of a request, for the handler of Socket.IO's CONNECT and for the log.
KEPT = ("HTTP_AUTHORIZATION", "QUERY_STRING", "REMOTE_ADDR")
MAX_PAYLOAD_PACKETS = 16  # engineio.payload.Payload.max_decode_packets of a stock Python client


def install_engine(server: Any, take: Take, poller: Poller) -> None:
    """Put a server on this diet, before its first client comes.

    ``take`` detaches a request's connection: see :class:`~api.server.websocket_transport.WebSocketFactory`.
    """
    mode = server._async  # noqa: SLF001 - the table; there is no public way to give another
    pings = _pings(server, mode["thread"])
    server.create_queue = PacketQueue
    Socket.handle_post_request = _take_in
    server.on("connect", partial(_connect, server.handlers["connect"]))
    server.on("disconnect", partial(_disconnect, server, server.handlers["disconnect"]))
    server._async = {  # noqa: SLF001
        **mode,
        "thread": partial(_task, mode["thread"], pings),
        "websocket": WebSocketFactory(take, poller, mode["thread"]),
    }


class _UnjoinedPayload(Payload):  # type: ignore[misc]  # engineio ships no types
    """What a session may post at once before it has joined the namespace."""

    max_decode_packets = UNJOINED_PACKETS


class _JoinedPayload(Payload):  # type: ignore[misc]
    """The same after that: a client that comes back joins all its rooms at once."""

    max_decode_packets = BURST


def _take_in(session: Socket, environ: dict[str, Any]) -> None:
    """Receive what a client posts. Others run between its packets.

    Raises ``EngineIOError``, which ends the session, when there are too many or they cannot be read.
    """
    try:
        for number, packet in enumerate(_posted(session, environ)):
            if number:
                time.sleep(0)  # green threads run only when the running one lets them
            if session.closed:
                return
            if packet.packet_type != MESSAGE and not session.queue.joined:
                _spend(session.queue.allowance)
            session.receive(packet)
    except (KeyError, RecursionError, ValueError) as error:
        reason = "posted too many packets, or none that can be read"
        refusals.note("cut off a client", environ.get("REMOTE_ADDR"), reason)
        raise EngineIOError("these are not Engine.IO packets, or too many") from error


def _posted(session: Socket, environ: dict[str, Any]) -> list[Packet]:
    length = int(environ.get("CONTENT_LENGTH", "0"))
    if length > session.server.max_http_buffer_size:
        raise ContentTooLongError
    form = _JoinedPayload if session.queue.joined else _UnjoinedPayload
    packets: list[Packet] = form(encoded_payload=environ["wsgi.input"].read(length).decode()).packets
    return packets


def _spend(allowance: TokenBucket) -> None:
    if not allowance.spend():
        raise ValueError("too many packets before the session has joined")


def _connect(connect: Callable[[str, dict[str, Any]], Any], sid: str, environ: dict[str, Any]) -> Any:
    """Connect, with as little of the request as is needed, for python-socketio keeps it."""
    return connect(sid, {name: environ[name] for name in KEPT if name in environ})


def _disconnect(server: Any, disconnect: Callable[[str, str], Any], sid: str, reason: str) -> Any:
    """Disconnect, and keep no session that is polled no more; Engine.IO's own look for it comes 5 s later."""
    try:
        return disconnect(sid, reason)
    finally:
        session = server.sockets.get(sid)
        if session and not session.upgraded:
            del server.sockets[sid]


class PacketQueue(SendQueue):
    """An :class:`SendQueue`, as far as Engine.IO uses :class:`queue.Queue`, and how far its session has come.

    ``allowance`` is what the session may still send: a few packets until it has joined the namespace.
    """

    __slots__ = ("_close", "allowance", "busy", "joined")

    def __init__(self) -> None:
        super().__init__()
        self.busy = False  # whether a message of the client is being handled, so that it is not pinged
        self.joined = False
        self.allowance = TokenBucket(UNJOINED_PACKETS, per_second=0)
        self._close: Callable[[], object] | None = None

    @property
    def refused(self) -> bool:
        """Whether the session was refused, and ends."""
        return self._close is not None

    def note_joined(self) -> None:
        """Note that the session has joined the namespace."""
        self.joined = True
        self.allowance = TokenBucket()

    def refuse(self, close: Callable[[], object]) -> None:
        """Call ``close`` as soon as the refusal that waits here is sent.

        A client that polls gets the refusal in one answer and the end in the next: stock JavaScript clients
        would report a lost connection before the refusal if both came in one.
        """
        self._close = close
        if self.writes_at_once:
            close()

    def begin(self, write_now: Callable[[], bytes], start: Callable[[], object], first: bytes = b"") -> None:
        """Do what an :class:`SendQueue` does; a session that was refused meanwhile ends."""
        super().begin(write_now, start, first)
        if self._close:
            self._close()

    def get(self, block: bool = True, timeout: float | None = None) -> _Batch | None:  # noqa: FBT001, FBT002
        """Return all that waits as one packet; ``None`` says that nothing follows.

        Raises ``queue.Empty``, upon which Engine.IO ends the session, also for a second poll beside a first.
        """
        if not block or self.sleeps:
            raise queue.Empty
        if self._close and not self.waits:
            self._close()
        if not self.wait(timeout):
            raise queue.Empty
        return None if self.ends_now() else _Batch(self)

    def task_done(self) -> None:
        """Do nothing: nobody waits for a queue to be worked off."""

    join = task_done


class _Batch:
    """What waits for a client that polls, as the one packet that it is answered."""

    __slots__ = ("_send_queue",)

    def __init__(self, send_queue: SendQueue) -> None:
        self._send_queue = send_queue

    def encode(self, b64: bool = True) -> str:  # noqa: FBT001, FBT002 - as engineio.packet.Packet has it
        """Return the payload of an answer to polling."""
        return "\x1e".join(
            socketio_packet(item).decode() if isinstance(item, EncodedEvent) else item.encode(b64=b64)
            for item in self._send_queue.take(MAX_PAYLOAD_PACKETS)
        )


class _PingLater:
    """Engine.IO's task that waits for the time of a client's next ping, as an entry in a list."""

    __slots__ = ("start",)

    def __init__(self, start: Callable[[], None]) -> None:
        self.start = start


class _Later:
    """One thread for what happens to every client after the same time, instead of one each."""

    def __init__(self, server: Any, thread: Any, after_s: float, act: Callable[[Any], object]) -> None:
        self._server, self._thread, self._after_s, self._act = server, thread, after_s, act
        self._due: deque[tuple[float, Any]] = deque()  # all wait equally long, so the first is due first
        self._runs = False

    def add(self, client: Any) -> None:
        """Let it happen to this client when the time is over."""
        self._due.append((time.monotonic() + self._after_s, client))
        if not self._runs:
            self._runs = True
            self._thread(target=self._run).start()

    def _run(self) -> None:
        while True:
            while not self._due:
                self._server.sleep(self._after_s)
            due_s, client = self._due.popleft()
            self._server.sleep(max(0.0, due_s - time.monotonic()))
            if not client.closing and not client.closed:
                try:
                    self._act(client)
                except Exception:
                    log.exception("a ping broke")  # one client's, and nobody else's


def _pings(server: Any, thread: Any) -> _Later:
    """Pings, and the look for their answers: Engine.IO itself looks only now and then."""

    def ping(client: Any) -> None:
        if client.queue.busy:  # its answer would lie unread behind the message that is handled
            pings.add(client)
            return
        client.last_ping = time.time()
        client.send(Packet(PING))
        answers.add(client)

    answers = _Later(server, thread, server.ping_timeout + 0.1, lambda client: client.check_ping_timeout())
    pings = _Later(server, thread, server.ping_interval, ping)
    return pings


def _task(thread: Any, pings: _Later, target: Any, args: Any = (), kwargs: Any = None) -> Any:
    """Return what Engine.IO starts and joins in place of a green thread."""
    if getattr(target, "__func__", None) is Socket._send_ping:  # noqa: SLF001 - to know one task from another
        return _PingLater(partial(pings.add, target.__self__))
    return thread(target=target, args=args, kwargs=kwargs)

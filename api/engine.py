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

from engineio.packet import PING, Packet
from engineio.socket import Socket

from api.frames import Frame, socketio_message, socketio_packet, text_frame
from api.outbox import Outbox, cut_off

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

MAX_PAYLOAD_PACKETS = 16  # engineio.payload.Payload.max_decode_packets: what a stock Python client takes
_WRITER = "Socket._websocket_handler.<locals>.writer"  # engineio's name for what writes to a WebSocket


def lean(server: Any) -> None:
    """Put a server on this diet, before its first client comes."""
    mode = server._async  # noqa: SLF001 - the table; there is no public way to give another
    pings = _pings(server, mode["thread"])
    server.create_queue = PacketQueue
    server._async = {  # noqa: SLF001
        **mode,
        "thread": partial(_task, mode["thread"], pings),
        "websocket": _lean_websocket(mode["websocket"]),
    }


class PacketQueue(Outbox):
    """An :class:`Outbox`, as far as Engine.IO uses :class:`queue.Queue`."""

    __slots__ = ("busy",)

    def __init__(self) -> None:
        super().__init__()
        self.busy = False  # whether a message of the client is being handled, so that it is not pinged

    def get(self, block: bool = True, timeout: float | None = None) -> _Batch | None:  # noqa: FBT001, FBT002
        """Return all that waits as one packet; ``None`` says that nothing follows.

        Raises ``queue.Empty``, upon which Engine.IO ends the session, also for a second poll beside a first.
        """
        # A writer that is asleep while flush() writes for it is no sign that the client is gone.
        if not block or self.sleeps or not self.wait(None if self.written_directly else timeout):
            raise queue.Empty
        return None if self.ends_now() else _Batch(self)

    def task_done(self) -> None:
        """Do nothing: nobody waits for a queue to be worked off."""

    join = task_done


class _Batch:
    """All that waits for a client, as the one packet that Engine.IO writes next."""

    __slots__ = ("_outbox",)

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def encode(self, b64: bool = False) -> Any:  # noqa: FBT001, FBT002 - as engineio.packet.Packet has it
        """Return the payload of an answer to polling (``b64``), or WebSocket messages to be written."""
        if b64:
            items = self._outbox.take(MAX_PAYLOAD_PACKETS)
            return "\x1e".join(
                socketio_packet(item).decode() if isinstance(item, Frame) else item.encode(b64=True)
                for item in items
            )
        return _messages(self._outbox)


def _messages(outbox: Outbox) -> bytes:
    return b"".join([_message(item) for item in outbox.take()])


def _message(item: Any) -> bytes:
    if isinstance(item, Frame):
        return item.form(socketio_message)
    return item if isinstance(item, bytes) else text_frame(item.encode().encode())


class _Writer:
    """A WebSocket of eventlet's, as Engine.IO uses it; a batch is written as it is."""

    __slots__ = ("_half_written", "_lock", "_websocket", "close", "outbox", "socket", "wait")

    def __init__(self, websocket: Any, outbox: Outbox) -> None:
        self._websocket, self.outbox = websocket, outbox
        self._lock = websocket._sendlock  # noqa: SLF001 - eventlet answers a client's pings by itself
        self._half_written = False  # whether a frame is, and so the lock is ours
        self.socket, self.wait, self.close = websocket.socket, websocket.wait, websocket.close

    def send(self, message: str | bytes) -> None:
        """Send one text, or messages that are framed already."""
        if isinstance(message, str):
            self._websocket.send(message)
            return
        if not self._half_written:
            self._lock.acquire()
        self._half_written = False
        try:
            self.socket.sendall(message)
        finally:
            self._lock.release()

    def write_now(self) -> bytes:
        """Write what can be written at once while Engine.IO's own writer sleeps. Returns what could not."""
        messages = _messages(self.outbox)
        if not messages or not self._lock.acquire(blocking=False):
            return messages
        try:
            left = messages[self.socket.fd.send(messages) :]
        except OSError:  # also when there is no room: the writer waits for it, or finds the connection gone
            left = messages
        self._half_written = 0 < len(left) < len(messages)
        if not self._half_written:
            self._lock.release()
        return left


def _lean_websocket(base: Any) -> Any:
    """Return the async mode's WebSocket class, changed so that it writes batches as they are."""

    class LeanWebSocket(base):  # type: ignore[misc]
        def __init__(self, handler: Any, server: Any) -> None:
            def handle(websocket: Any) -> Any:
                outbox = handler.__self__.queue  # of the engineio.socket.Socket whose method the handler is
                outbox.drop = partial(cut_off, websocket.socket)
                return handler(_Writer(websocket, outbox))

            super().__init__(handle, server)

    return LeanWebSocket


class _LazyWriter:
    """Engine.IO's writer of a WebSocket, as a task that runs only when a write cannot be done at once."""

    __slots__ = ("_make", "_task", "_writer")

    def __init__(self, make: Callable[[], Any], writer: _Writer) -> None:
        self._make, self._writer = make, writer
        self._task: Any = None

    def start(self) -> None:
        """Begin to write: once an upgrade is through, for before the client takes no events here."""
        self._writer.outbox.begin(self._writer.write_now, self._run)

    def join(self) -> None:
        """Have it write what is left, and close the connection."""
        self._run()
        self._task.join()

    def _run(self) -> None:
        if self._task is None:
            self._task = self._make()
            self._task.start()


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
    make = partial(thread, target=target, args=args, kwargs=kwargs)
    if getattr(target, "__func__", None) is Socket._send_ping:  # noqa: SLF001 - to know one task from another
        return _PingLater(partial(pings.add, target.__self__))
    if target.__qualname__ == _WRITER:
        held = [cell.cell_contents for cell in target.__closure__]
        return _LazyWriter(make, next(value for value in held if isinstance(value, _Writer)))
    return make()

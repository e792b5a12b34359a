"""eventlet, and all that knows it. Importing this patches the standard library, so it comes first.

It serves WSGI in green threads; what is wanted of it beyond that is changed here (docs/decisions/0004).
"""

from __future__ import annotations

import io
import warnings

warnings.filterwarnings("ignore", "\nEventlet is deprecated")  # docs/decisions/0004 answers it
import eventlet  # noqa: E402

eventlet.monkey_patch()

# Everything below must be imported after the patch.
import logging  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import threading  # noqa: E402
from contextlib import suppress  # noqa: E402
from functools import partial  # noqa: E402
from types import SimpleNamespace  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

import eventlet.wsgi  # noqa: E402
from dns.exception import DNSException  # noqa: E402
from eventlet.hubs import get_hub  # noqa: E402
from eventlet.support import greendns  # noqa: E402
from eventlet.support.greenlets import greenlet  # noqa: E402
from eventlet.wsgi import WSGI_LOCAL, HttpProtocol, Input  # noqa: E402

from api.errors import HeadError  # noqa: E402
from api.server.chunked_body import ChunkError, Chunks  # noqa: E402
from api.server.http_head import MAX_LINE_BYTES, error_response, read_head  # noqa: E402
from api.server.poller import Poller  # noqa: E402
from api.server.websocket import wants_upgrade  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ASYNC_MODE = "eventlet"  # as Flask-SocketIO calls it
IDLE_S = 5.0  # a connection may be without a request so long, from its beginning or since its last one
STALL_S = 20.0  # within a request; longer than the 15 s in which a WebSocket's client must answer a ping
MAX_SENT_BYTES = 16 * 1024 * 1024  # after a head: who sends too large a body still gets to read that it is
LEAST_BYTES = 128  # what each read counts for: many small chunks are as much work
MAX_CHUNK_LINE_BYTES = 4_096  # of what is between chunks
MAX_URL_BYTES = 32_768  # 500 job ids and room to spare
Pool = eventlet.GreenPool  # in which connections are served; ``running()`` tells how many there are


log = logging.getLogger(__name__)


def serve(listener: Any, app: Any, pool: Any, *, keep_alive: bool) -> Any:
    """Serve in a green thread, which is returned, each connection in another one of the pool."""
    return eventlet.spawn(
        eventlet.wsgi.server,
        listener,
        app,
        custom_pool=pool,
        keepalive=IDLE_S if keep_alive else False,
        socket_timeout=STALL_S,
        protocol=Protocol,
        minimum_chunk_size=1,  # a stream's events go out when they come
        url_length_limit=MAX_URL_BYTES,
        log_output=False,
        log=log,
        debug=False,
    )


def clear_dns_cache() -> None:
    """Have every name looked up again.

    eventlet keeps an answer for as long as its name server says, which with Docker is ten minutes: a store
    that was made anew may have another address by then.
    """
    with suppress(DNSException):  # where there is no name server, there is nothing to forget
        greendns.resolver.clear()


def finish(serving: Any, within_s: float) -> None:
    """Wait for the requests under way, once the listener is closed, for ``within_s`` seconds at most."""
    with eventlet.Timeout(within_s, False):
        serving.wait()


def wait_for_signal(serving: Any) -> None:
    """Return when the process is told to end, or when the server has ended by itself.

    A green thread that waits for bytes is woken at once, where a signal's handler would find eventlet asleep.
    """
    waking, woken = socket.socketpair()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno())
    ends = threading.Event()

    def hear() -> None:
        waking.recv(1)
        ends.set()

    threading.Thread(target=hear, name="signals", daemon=True).start()
    serving.link(lambda _: ends.set())
    ends.wait()
    signal.set_wakeup_fd(-1)


class Protocol(HttpProtocol):  # type: ignore[misc]  # eventlet ships no types
    """A connection that can be given away: then it outlives its request, of which nothing else does."""

    rbufsize = 1_024
    has_served = False

    def setup(self) -> None:
        """Send what is written at once: Nagle's algorithm would hold the second of two writes for 40 ms."""
        super().setup()
        with suppress(OSError):  # the client is gone
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def parse_request(self) -> bool:
        """Read the rest of the head. Returns whether there is a request; else the client has been told."""
        if self.has_served:
            # Who sends requests without waiting for answers would be served for ever: reading does not wait.
            eventlet.sleep(0)
        self.has_served = True
        try:
            lines = iter(partial(self.rfile.fp.readline, MAX_LINE_BYTES), b"")
            head = read_head(self.raw_requestline, lines)
        except HeadError as error:
            return self._refuse(error)
        self.command, self.path, self.request_version, self.headers, self.close_connection = head
        self.requestline = self.command  # what eventlet logs of a request: an address may hold a token
        return True

    def _read_request_line(self) -> bytes:
        """Return the request line, or nothing when the connection is to end.

        An empty line before it is skipped (RFC 9112, section 2.2): some clients send one after a body.
        """
        line: bytes = super()._read_request_line()
        if line == b"\r\n":
            line = super()._read_request_line()
        if len(line) >= MAX_URL_BYTES:
            self.raw_requestline = line
            self._refuse(HeadError(f"the request line has {MAX_URL_BYTES} bytes or more: shorten it", 414))
            return b""
        return line

    def _refuse(self, error: HeadError) -> bool:
        """Answer what is no request, and end the connection: what follows may be no request either."""
        self.wfile.write(error_response(error, self.raw_requestline))
        self.close_connection = True
        return False

    def get_environ(self) -> dict[str, Any]:
        """Return the request's environment, in which this object is found."""
        environ: dict[str, Any] = super().get_environ()
        environ[_PROTOCOL] = self
        environ["SERVER_PROTOCOL"] = self.request_version  # eventlet says HTTP/1.0 of all
        body = environ["eventlet.input"]
        if body.content_length != 0 or body.wfile:  # else there is nothing to read, and nothing is promised
            environ["wsgi.input"] = environ["eventlet.input"] = _Body(self, body)
        return environ

    def handle_one_response(self) -> None:
        """Answer the request. Once the listener is closed, the answer also closes the connection."""
        self.close_connection = self.close_connection or self.server.socket.closed
        super().handle_one_response()

    def detach_socket(self) -> Any:
        """Return the connection: eventlet answers nothing then, and closes nothing."""
        connection = self.conn_state[1]
        self.conn_state[1] = self.connection = _NOTHING
        WSGI_LOCAL.already_handled = True
        return connection

    def give_buffer_back(self) -> None:
        """Keep no memory for writing: nothing is written through it any more."""
        self.wfile.close()  # type: ignore[has-type]
        self.wfile = self.connection.makefile("wb", 1)

    def finish(self) -> None:
        """End the connection, unless it was given away, and what keeps this object and its request alive."""
        super().finish()
        self.environ = None


class _Body(Input):  # type: ignore[misc]  # eventlet ships no types
    """A request's body. A connection whose body cannot be read to its end ends after the response."""

    def __init__(self, protocol: Protocol, body: Any) -> None:
        subscriber = _BodyReader(body.rfile)
        # A client of HTTP/1.0 does not know 100 Continue (RFC 9110, section 10.1.1).
        wfile = body.wfile if protocol.request_version == "HTTP/1.1" else None
        super().__init__(
            subscriber, body.content_length, body.get_socket(), wfile, body.wfile_line, body.chunked_input
        )
        self._protocol = protocol
        self._chunks: Any = io.BufferedReader(Chunks(subscriber)) if body.chunked_input else None

    def _chunked_read(self, _: Any, length: int | None = None, use_readline: bool = False) -> bytes:  # noqa: FBT001, FBT002
        if self.should_send_hundred_continue:
            self.send_hundred_continue_response()
            self.is_hundred_continue_response_sent = True
        size = -1 if length is None else length
        try:
            data: bytes = self._chunks.readline(size) if use_readline else self._chunks.read(size)
        except ChunkError:
            self._protocol.close_connection = True
            raise
        return data

    def discard(self, buffer_size: int = 16_384) -> None:
        """Read to the end what the application has not read."""
        try:
            super().discard(buffer_size)
        except (ChunkError, OSError):  # the response has been sent
            self._protocol.close_connection = True


class _BodyReader:
    """What follows a head: no more of it than a body may have, however chunked, and others run meanwhile.

    eventlet reads to its end also a body that nobody wants, and a chunk's length from a line of any length.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MAX_SENT_BYTES

    def read(self, size: int) -> bytes:
        """Return so many bytes, or what there is. Raises ``ConnectionAbortedError`` when it is too much."""
        return self._counted(self._file.read(size))

    def readline(self, size: int = -1) -> bytes:
        """Return a line; of a longer one as much as a line may have. Raises as :meth:`read`."""
        most = MAX_CHUNK_LINE_BYTES
        return self._counted(self._file.readline(most if size < 0 else min(size, most)))

    def _counted(self, data: bytes) -> bytes:
        self._left -= max(len(data), LEAST_BYTES)
        if self._left < 0:
            raise ConnectionAbortedError("the client sends too much")
        eventlet.sleep(0)
        return data


_PROTOCOL = "gateway.protocol"
_NOTHING = SimpleNamespace(shutdown=lambda _: None, close=lambda: None)  # a connection that is closed


def detach_socket(environ: dict[str, Any]) -> Any:
    """Return a request's connection: eventlet answers nothing then, and closes nothing."""
    return environ[_PROTOCOL].detach_socket()


def take_over(environ: dict[str, Any]) -> Any:
    """Return the connection of a request that lasts as long as the connection is used."""
    environ[_PROTOCOL].give_buffer_back()
    return detach_socket(environ)


def poller() -> Poller:
    """Return a doorbell that rings by itself.

    eventlet's hub looks at its files with one system call for each wait, and another one after it; so it is
    given one file that stands for all. Who answers runs at once, as those who wait for the hub do.
    """
    epoll = eventlet.patcher.original("select").epoll()
    rings = Poller(epoll, lambda answer: greenlet(answer).switch())
    hub = get_hub()
    hub.add(hub.READ, epoll.fileno(), lambda _: rings.ring(), None, None)
    return rings


def adapted(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Tell Werkzeug and the streams what eventlet knows.

    Werkzeug takes a body that comes in chunks for empty unless told that it ends. eventlet's input does end:
    it puts the chunks together. Werkzeug still counts the bytes. The connection has Werkzeug's name for it.
    """

    def adapt_and_serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "HTTP_UPGRADE" in environ and not wants_upgrade(environ):
            del environ["HTTP_UPGRADE"]  # it is for another connection (RFC 9110, section 7.8)
        environ["werkzeug.socket"] = environ["eventlet.input"].get_socket()
        if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":  # as eventlet asks
            environ["wsgi.input_terminated"] = True
        return app(environ, start_response)

    return adapt_and_serve


def log_failures() -> None:
    """Have eventlet log what has ended a green thread; it would print that."""
    hub = get_hub()
    hub.squelch_generic_exception = lambda failure: log.error("a green thread broke", exc_info=failure)
    hub.squelch_timer_exception = lambda _, failure: hub.squelch_generic_exception(failure)

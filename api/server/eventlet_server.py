"""The only module that uses eventlet. Importing it patches the standard library, so it must come first.

eventlet serves WSGI in green threads. This module also changes its behaviour where needed
(docs/decisions/0004).
"""

from __future__ import annotations

import io
import warnings

warnings.filterwarnings("ignore", "\nEventlet is deprecated")  # see docs/decisions/0004
import eventlet  # noqa: E402

eventlet.monkey_patch()

# Everything below must be imported after the patch.
import logging  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import ssl  # noqa: E402
import threading  # noqa: E402
from contextlib import suppress  # noqa: E402
from functools import partial  # noqa: E402
from types import SimpleNamespace  # noqa: E402
from typing import TYPE_CHECKING, Any, TypeVar  # noqa: E402

import eventlet.wsgi  # noqa: E402
from dns.exception import DNSException  # noqa: E402
from eventlet import tpool  # noqa: E402
from eventlet.hubs import get_hub  # noqa: E402
from eventlet.support import greendns  # noqa: E402
from eventlet.support.greenlets import getcurrent, greenlet  # noqa: E402
from eventlet.wsgi import WSGI_LOCAL, HttpProtocol, Input  # noqa: E402

from api import library_patches  # noqa: E402
from api.errors import HeadError  # noqa: E402
from api.limits.client_network import network_of  # noqa: E402
from api.relay.socket_reader import BlockingReader, HubReader  # noqa: E402
from api.server.fair_queueing import CALLER  # noqa: E402
from api.server.http_head_parser import MAX_LINE_BYTES, error_response, read_head  # noqa: E402
from api.server.request_body_readers import ChunkError, Chunks, LimitedReader  # noqa: E402
from api.server.socket_poller import CallbackThreads, SocketPoller  # noqa: E402
from api.server.websocket_handshake import wants_upgrade  # noqa: E402
from api.server.websocket_transport import WebSocketEngine  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.relay.socket_reader import SocketReader
    from api.server.fair_queueing import FairQueue

ASYNC_MODE = "eventlet"  # Flask-SocketIO's name
IDLE_TIMEOUT_S = 5.0  # of a connection without a request
READ_TIMEOUT_S = 20.0  # within a request; a WebSocket client must answer a ping within 15 s
MAX_URL_BYTES = 32_768  # fits 500 job ids
BLOCKING_SELECT = eventlet.patcher.original("select")  # the module as it was before the patch
Pool = eventlet.GreenPool  # serves connections; ``running()`` returns their number

T = TypeVar("T")
tpool.set_num_threads(1)  # SQL libraries must not be used by several threads: see run_in_os_thread
_PROTOCOL = "gateway.protocol"  # the key of the protocol object in a request's environment
_CLOSED = SimpleNamespace(shutdown=lambda _: None, close=lambda: None)  # in place of a detached connection

log = logging.getLogger(__name__)


def serve(listener: Any, app: Any, pool: Any, *, keep_alive: bool, heads: FairQueue | None = None) -> Any:
    """Serve in a green thread, and return it. ``pool`` serves the connections; ``heads`` paces parsing."""
    return eventlet.spawn(
        eventlet.wsgi.server,
        listener,
        app,
        custom_pool=pool,
        keepalive=IDLE_TIMEOUT_S if keep_alive else False,
        socket_timeout=READ_TIMEOUT_S,
        protocol=type("PacedProtocol", (Protocol,), {"heads": heads}),
        minimum_chunk_size=1,  # sends a stream's events at once
        url_length_limit=MAX_URL_BYTES,
        log_output=False,
        log=log,
        debug=False,
    )


def run_in_os_thread(function: Callable[[], T], timeout_s: float) -> T:
    """Run a function that may block. See :class:`api.history.archive_reader.ThreadRunner`."""
    with eventlet.Timeout(timeout_s, TimeoutError()):
        return tpool.execute(function)  # type: ignore[no-any-return]


def clear_dns_cache() -> None:
    """Clear eventlet's DNS cache. With Docker it keeps an answer for ten minutes: a store may have moved."""
    with suppress(DNSException):  # no name server is configured
        greendns.resolver.clear()


def wait_for_requests(serving: Any, timeout_s: float) -> None:
    """Wait at most ``timeout_s`` seconds for the requests in flight. The listener must be closed."""
    with eventlet.Timeout(timeout_s, False):
        serving.wait()


def wait_for_signal(serving: Any) -> None:
    """Return at SIGTERM or SIGINT, or when the server has ended by itself.

    A signal handler would not run while eventlet waits for bytes, so the signal writes a byte instead.
    """
    receiver, sender = socket.socketpair()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno())
    stop = threading.Event()

    def wait_for_byte() -> None:
        receiver.recv(1)
        stop.set()

    threading.Thread(target=wait_for_byte, name="signals", daemon=True).start()
    serving.link(lambda _: stop.set())
    stop.wait()
    signal.set_wakeup_fd(-1)


@library_patches.wrap_request_line
class Protocol(HttpProtocol):  # type: ignore[misc]  # eventlet ships no types
    """A connection that can be detached from its request, and then outlives it."""

    rbufsize = 1_024
    has_served = False
    heads: FairQueue | None = None
    last_caller = ""  # of the last request on this connection

    def setup(self) -> None:
        """Disable Nagle's algorithm, which would delay the second of two writes by 40 ms."""
        super().setup()
        with suppress(OSError):  # the client is gone
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def parse_request(self) -> bool:
        """Read the rest of the head. Return whether it is valid; if not, an error response has been sent."""
        if self.has_served:
            # A client that pipelines requests would otherwise keep this thread: its reads return at once.
            eventlet.sleep(0)
        self.has_served = True
        if self.heads:
            # By the last caller: users behind one address do not wait for each other's requests.
            self.heads.wait(self.last_caller or network_of(self.client_address[0]))
        try:
            lines = iter(partial(self.rfile.fp.readline, MAX_LINE_BYTES), b"")
            head = read_head(self.raw_requestline, lines)
        except HeadError as error:
            return self._refuse(error)
        self.command, self.path, self.request_version, self.headers, self.close_connection = head
        self.requestline = self.command  # for eventlet's log: the URL may contain a token
        return True

    def read_request_line(self, read: Callable[[], bytes]) -> bytes:
        """Return the request line, or ``b""`` to end the connection.

        An empty line before it is skipped (RFC 9112, section 2.2): some clients send one after a body.
        """
        line = read()
        if line == b"\r\n":
            line = read()
        if len(line) >= MAX_URL_BYTES:
            self.raw_requestline = line
            self._refuse(
                HeadError(f"the request line has {MAX_URL_BYTES} bytes or more: shorten the URL", 414)
            )
            return b""
        return line

    def _refuse(self, error: HeadError) -> bool:
        """Send an error response, and end the connection: the start of the next request is unknown."""
        self.wfile.write(error_response(error, self.raw_requestline))
        self.close_connection = True
        return False

    def get_environ(self) -> dict[str, Any]:
        """Return the request's environment, with a reference to this object."""
        environ: dict[str, Any] = super().get_environ()
        environ[_PROTOCOL] = self
        environ["SERVER_PROTOCOL"] = self.request_version  # eventlet always sets HTTP/1.0
        body = environ["eventlet.input"]
        if body.content_length != 0 or body.wfile:  # else there is no body
            environ["wsgi.input"] = environ["eventlet.input"] = _Body(self, body)
        return environ

    def handle_one_response(self) -> None:
        """Answer the request. If the listener is closed, close the connection after the response."""
        self.close_connection = self.close_connection or self.server.socket.closed
        super().handle_one_response()
        if self.environ:
            self.last_caller = self.environ.get(CALLER, "")

    def detach_socket(self) -> Any:
        """Return the connection. eventlet then neither answers the request nor closes the connection."""
        return library_patches.detach_connection(self, WSGI_LOCAL, _CLOSED)

    def finish(self) -> None:
        """End the connection unless it was detached, and release the request's memory."""
        super().finish()
        self.environ = None


class _Body(Input):  # type: ignore[misc]  # eventlet ships no types
    """The body of a request. If it cannot be read to its end, the connection ends after the response."""

    def __init__(self, protocol: Protocol, body: Any) -> None:
        reader = LimitedReader(body.rfile)
        # A client of HTTP/1.0 does not understand 100 Continue (RFC 9110, section 10.1.1).
        wfile = body.wfile if protocol.request_version == "HTTP/1.1" else None
        super().__init__(
            reader, body.content_length, body.get_socket(), wfile, body.wfile_line, body.chunked_input
        )
        self._protocol = protocol
        self._chunks: Any = io.BufferedReader(Chunks(reader)) if body.chunked_input else None

    def read(self, length: int | None = None) -> bytes:
        """Read ``length`` bytes, or all. Raises :class:`ChunkError`."""
        return self._decoded(self._chunks.read, length) if self.chunked_input else super().read(length)

    def readline(self, size: int | None = None) -> bytes:
        """Read a line of at most ``size`` bytes. Raises :class:`ChunkError`."""
        return self._decoded(self._chunks.readline, size) if self.chunked_input else super().readline(size)

    def _decoded(self, read: Callable[[int], bytes], size: int | None) -> bytes:
        if self.should_send_hundred_continue:
            self.send_hundred_continue_response()
            self.is_hundred_continue_response_sent = True
        try:
            return read(-1 if size is None else size)
        except ChunkError:
            self._protocol.close_connection = True
            raise

    def discard(self, buffer_size: int = 16_384) -> None:
        """Read the rest that the application has not read."""
        try:
            super().discard(buffer_size)
        except (ChunkError, OSError):  # the response has been sent
            self._protocol.close_connection = True


def websocket_engine() -> WebSocketEngine:
    """Return the parts of eventlet that WebSockets need.

    After a connection has been detached, eventlet neither answers its request nor closes it.
    """
    return WebSocketEngine(
        detach_socket=lambda environ: environ[_PROTOCOL].detach_socket(),
        poller=_poller(),
        spawn=eventlet.spawn_n,
    )


def _poller() -> SocketPoller:
    """Return a poller that eventlet's hub calls.

    For each wait the hub makes one system call to watch its file and another one after it. So the hub watches
    one file that stands for all connections. Callbacks run at once, like green threads that wait for the hub.
    """
    epoll = BLOCKING_SELECT.epoll()
    hub = get_hub()
    connections = SocketPoller(epoll, CallbackThreads(hub, greenlet, getcurrent).run)
    hub.add(hub.READ, epoll.fileno(), lambda _: connections.poll(), None, None)
    return connections


def socket_reader(sock: Any) -> SocketReader:
    """Return the cheapest reader of a socket. TLS may have decrypted bytes, which the hub would not see."""
    return BlockingReader(sock) if isinstance(sock, ssl.SSLSocket) else HubReader(sock, get_hub(), getcurrent)


def adapt_environ(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Return the application with eventlet's environment adapted to Werkzeug and the SSE streams.

    Werkzeug treats a chunked body as empty unless the server declares that its input ends. eventlet's does,
    for it decodes the chunks. Werkzeug still counts the bytes. The connection gets Werkzeug's key.
    """

    def adapt_and_serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "HTTP_UPGRADE" in environ and not wants_upgrade(environ):
            del environ["HTTP_UPGRADE"]  # it is for another connection (RFC 9110, section 7.8)
        environ["werkzeug.socket"] = environ["eventlet.input"].get_socket()
        if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":  # the condition of eventlet
            environ["wsgi.input_terminated"] = True
        return app(environ, start_response)

    return adapt_and_serve


def log_failures() -> None:
    """Make eventlet log the exceptions that end green threads, instead of printing them."""
    library_patches.report_failures(
        get_hub(), lambda failure: log.error("unexpected error in a green thread", exc_info=failure)
    )

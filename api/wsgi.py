"""The gateway's composition root: ``python -m api.wsgi``. The only place that knows eventlet."""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore", "\nEventlet is deprecated")  # docs/decisions/0004 answers it
import eventlet  # noqa: E402

eventlet.monkey_patch()

# Everything below must be imported after the patch.
import argparse  # noqa: E402
import gc  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from contextlib import suppress  # noqa: E402
from types import SimpleNamespace  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

import eventlet.wsgi  # noqa: E402
from eventlet.hubs import get_hub  # noqa: E402
from eventlet.support.greenlets import greenlet  # noqa: E402
from eventlet.websocket import (  # noqa: E402
    FailedConnectionError,
    RFC6455WebSocket,
    WebSocketWSGI,
)
from eventlet.wsgi import WSGI_LOCAL, HttpProtocol  # noqa: E402

from api import metrics, streams, websockets  # noqa: E402
from api.admission import Capacity, SilenceWatch, Turns, close_all  # noqa: E402
from api.app import create_app  # noqa: E402
from api.auth import Gate, check_startable  # noqa: E402
from api.connections import Connections  # noqa: E402
from api.doorbell import Doorbell  # noqa: E402
from api.engine import lean  # noqa: E402
from api.floods import Knocks  # noqa: E402
from api.head import HeadError, fields, request_line  # noqa: E402
from api.listeners import HandedListener, OwnListener, allow_descriptors, listen  # noqa: E402
from api.lobby import Lobby  # noqa: E402
from api.relay import Relay  # noqa: E402
from api.revocations import Revocations  # noqa: E402
from api.sockets import MAX_MESSAGE_BYTES, NAMESPACE, make_socketio, register  # noqa: E402
from cto_worker import logs  # noqa: E402
from cto_worker.broker import celery_app, make_producer  # noqa: E402
from cto_worker.config import Settings  # noqa: E402
from cto_worker.errors import ConfigError  # noqa: E402
from cto_worker.history import History  # noqa: E402
from cto_worker.redis_journal import RedisJournal  # noqa: E402
from cto_worker.store import connect  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Flask

REST_CONNECTIONS = 1_000  # beside CTO_MAX_SOCKETS: eventlet's own limit counts every connection
OTHER_DESCRIPTORS = 200  # the store's connections, logs, and what else a process has open
IDLE_S = 5.0  # a connection may be without a request so long, from its beginning or since its last one
STALL_S = 20.0  # within a request; longer than the 15 s in which a WebSocket's client must answer a ping
FLUSH_S, DRAIN_S = 1.0, 8.0  # on SIGTERM: to send what waits for clients; for the requests under way
MAX_URL_BYTES = 32_768  # 500 job ids and room to spare
# Half of what a client waits at most for "503": it may wait for a connection, and then for the store.
STORE_TIMEOUT_S = 2.5

log = logging.getLogger("api.wsgi")


def main() -> None:
    """Serve until a signal ends the process; a gateway with a number serves what the front hands over."""
    parser = argparse.ArgumentParser(description="Serve REST, Socket.IO and the live page.")
    parser.add_argument("--number", type=int, help="which of several gateways behind the front this is")
    number = parser.parse_args().number
    try:
        settings = Settings.from_env()
        check_startable(settings)
    except ConfigError as error:
        sys.stderr.write(f"The gateway does not start: {error}\n")
        sys.exit(os.EX_CONFIG)
    logs.configure(settings)
    store = connect(settings, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False)
    history, revocations = History(store), Revocations(store)
    gate = Gate(settings, revocations.revoked)
    app = create_app(
        settings,
        gate,
        store,
        RedisJournal(store, settings),
        make_producer(settings, store, celery_app(settings)),
    )
    socketio = make_socketio(app, settings, async_mode="eventlet")
    app.wsgi_app = _adapted(app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents it
    # Of its own, for what others ask of the store at once must not look to it as if the store were lost.
    own_store = connect(settings, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False)
    relay = Relay(own_store, History(own_store))
    lean(socketio.server.eio, lambda environ: environ[_PROTOCOL].give_away(), _doorbell())
    connections = Connections(revocations, settings.max_user_sockets)
    lobby = Lobby(gate, connections, Turns(), relay, history)
    register(socketio, lobby, settings)
    _bound_messages()
    app.register_blueprint(streams.blueprint(lobby, settings))
    app.register_blueprint(websockets.blueprint(lobby, settings, _upgrade))
    threading.Thread(target=relay.run, name="relay", daemon=True).start()
    threading.Thread(target=connections.run, name="connections", daemon=True).start()
    _collect_rarely()
    _serve(app, socketio.server, connections, settings, number)


def _serve(app: Flask, server: Any, connections: Connections, settings: Settings, number: int | None) -> None:
    """Serve until SIGTERM or SIGINT, and then until what is under way has ended."""
    most = _connections(settings)
    pool = eventlet.GreenPool(most + REST_CONNECTIONS)
    knocks = () if settings.auth == "off" else (Knocks(most).spend,)  # then all is one machine
    capacity = Capacity(app.wsgi_app, lambda: len(server.eio.sockets), most, *knocks)
    app.wsgi_app = capacity  # type: ignore[method-assign]
    app.register_blueprint(metrics.blueprint(number or 1, capacity.open))
    threading.Thread(target=SilenceWatch(server, NAMESPACE).run, name="silence", daemon=True).start()
    listener = (
        OwnListener(listen(settings, "gateway"))
        if number is None
        else HandedListener(settings.front_path, number, lambda: pool.running() + len(server.eio.sockets))
    )
    if number is not None:
        _name_sessions(server.eio, number)
    serving = eventlet.spawn(
        eventlet.wsgi.server,
        listener,
        app,
        custom_pool=pool,
        # Behind the front a client's next request may be for a session of another gateway.
        keepalive=IDLE_S if number is None else False,
        socket_timeout=STALL_S,
        protocol=_Protocol,
        minimum_chunk_size=1,  # a stream's events go out when they come
        url_length_limit=MAX_URL_BYTES,
        log_output=False,
        debug=False,
    )
    log.info("serving on %s, process %d", settings.base_url, os.getpid())
    _wait_for_signal(serving)
    if serving.dead:
        sys.exit("The gateway can accept no more connections.")
    log.info("draining %d connections", pool.running())
    if number is not None:
        listener.close()
    connections.end_all()
    close_all(server, FLUSH_S)
    log.info("waiting for what is under way")
    with eventlet.Timeout(DRAIN_S, False):
        if number is None:  # else its listener has ended it already
            serving.kill(SystemExit)
        serving.wait()  # eventlet's server accepts no more, and waits for what is under way
    os._exit(0)  # whoever is still there does not read


def _connections(settings: Settings) -> int:
    """How many connections for events fit into CTO_MAX_SOCKETS and this process's limit of open files."""
    others = REST_CONNECTIONS + OTHER_DESCRIPTORS
    room = allow_descriptors(settings.max_sockets + others) - others
    if room < settings.max_sockets:
        log.info("the limit of open files leaves room for %d of CTO_MAX_SOCKETS connections", room)
    return min(settings.max_sockets, max(room, 1))


def _name_sessions(server: Any, number: int) -> None:
    """Have the ids of Engine.IO sessions begin with the number by which the front finds their gateway."""
    generate_id = server.generate_id
    server.generate_id = lambda: f"{number}.{generate_id()}"


def _wait_for_signal(serving: Any) -> None:
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


class _Protocol(HttpProtocol):  # type: ignore[misc]  # eventlet ships no types
    """A connection that can be given away: then it outlives its request, of which nothing else does."""

    rbufsize = 1_024

    def setup(self) -> None:
        """Send what is written at once: Nagle's algorithm would hold the second of two writes for 40 ms."""
        super().setup()
        with suppress(OSError):  # the client is gone
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def parse_request(self) -> bool:
        """Read the rest of the head. Returns whether there is a request; else the client has been told."""
        try:
            self.command, self.path, self.request_version = request_line(self.raw_requestline)
            self.headers = fields(iter(self.rfile.readline, b""))
        except HeadError:
            self.wfile.write(_BAD_REQUEST)  # type: ignore[has-type]
            self.close_connection = True
            return False
        if self.path.startswith("//"):
            self.path = "/" + self.path.lstrip("/")  # else it would name a host when it is redirected to
        wish = self.headers.get("Connection", "").lower()
        self.close_connection = wish == "close" or (
            self.request_version == "HTTP/1.0" and wish != "keep-alive"
        )
        return True

    def get_environ(self) -> dict[str, Any]:
        """Return the request's environment, in which this object is found."""
        environ: dict[str, Any] = super().get_environ()
        environ[_PROTOCOL] = self
        return environ

    def give_away(self) -> Any:
        """Return the connection: eventlet answers nothing then, and closes nothing."""
        connection = self.conn_state[1]
        self.conn_state[1] = self.connection = _NOTHING
        WSGI_LOCAL.already_handled = True
        return connection

    def give_buffer_back(self) -> None:
        """Keep no room for writing, where nothing is written through it any more."""
        self.wfile.close()  # type: ignore[has-type]
        self.wfile = self.connection.makefile("wb", 1)

    def finish(self) -> None:
        """End the connection, unless it was given away, and what keeps this object and its request alive."""
        super().finish()
        self.environ = None


_PROTOCOL = "gateway.protocol"
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_NOTHING = SimpleNamespace(shutdown=lambda _: None, close=lambda: None)  # a connection that is closed


def _doorbell() -> Doorbell:
    """Return a doorbell that rings by itself.

    eventlet's hub looks at its files with one system call for each wait, and another one after it; so it is
    given one file that stands for all. Who answers runs at once, as those who wait for the hub do.
    """
    epoll = eventlet.patcher.original("select").epoll()
    doorbell = Doorbell(epoll, lambda answer: greenlet(answer).switch())
    hub = get_hub()
    hub.add(hub.READ, epoll.fileno(), lambda _: doorbell.ring(), None, None)
    return doorbell


def _collect_rarely() -> None:
    """Keep the garbage collector from looking through every connection each time a few more objects live.

    What a gateway makes in quantity, events and their frames, has no cycles and goes by itself.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _adapted(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Tell Werkzeug and the streams what eventlet knows.

    Werkzeug takes a body that comes in chunks for empty unless told that it ends. eventlet's input does end:
    it puts the chunks together. Werkzeug still counts the bytes. The connection has Werkzeug's name for it.
    No WebSocket is offered compression (docs/decisions/0006).
    """

    def adapted(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        # eventlet cuts idle connections off when it stops; who has a WebSocket is told first.
        environ["eventlet.set_idle"] = lambda: None
        environ["werkzeug.socket"] = environ["eventlet.input"].get_socket()
        if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":  # as eventlet asks
            environ["wsgi.input_terminated"] = True
        return app(environ, start_response)

    return adapted


def _upgrade(handle: Callable[[Any], None]) -> Callable[..., Iterable[bytes]]:
    """A WSGI application that accepts a WebSocket."""
    accept: Callable[..., Iterable[bytes]] = WebSocketWSGI(handle, MAX_MESSAGE_BYTES)
    accept.support_legacy_versions = False  # type: ignore[attr-defined]

    def upgrade(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[_PROTOCOL].give_buffer_back()
        return accept(environ, start_response)

    return upgrade


def _bound_messages() -> None:
    """Have eventlet's limit hold for a message of many frames too, and text that is none closed with 1007."""

    class Message(RFC6455WebSocket.Message):  # type: ignore[misc]
        size = 0

        def push(self, data: bytes, final: bool = False) -> None:  # noqa: FBT001, FBT002
            self.size += len(data)
            if self.size > self.max_frame_length:
                raise FailedConnectionError(1009, f"A message has at most {self.max_frame_length} bytes")
            super().push(data, final)

        def getvalue(self) -> str | bytes:
            try:
                return super().getvalue()  # type: ignore[no-any-return]
            except UnicodeDecodeError:
                raise FailedConnectionError(1007, "Text must be UTF-8") from None

    RFC6455WebSocket.Message = Message


if __name__ == "__main__":
    main()

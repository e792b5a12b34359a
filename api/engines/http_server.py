"""The gateway's HTTP server. Each connection has a green thread until it is detached."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from api.engines.http_connection import HttpConnection, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.engines.engine import Engine
    from api.server.fair_queueing import FairQueue

CHECK_INTERVAL_S = 0.01

log = logging.getLogger(__name__)


class HttpServer:
    """Serves the connections that a listener accepts, at most ``limit`` at the same time."""

    def __init__(  # noqa: PLR0913 - the parts of a server
        self,
        engine: Engine,
        listener: Any,
        app: Callable[..., Iterable[bytes]],
        limit: int,
        *,
        keep_alive: bool,
        heads: FairQueue | None = None,
    ) -> None:
        """``heads`` paces the parsing of heads. A closed listener's ``accept`` raises ``OSError``."""
        self._engine, self._listener, self._limit = engine, listener, limit
        self._service = Service(app, keep_alive, heads, lambda: listener.closed)
        self._connections: set[HttpConnection] = set()
        self._freed = threading.Event()
        self._accept_ended = threading.Event()

    @property
    def count(self) -> int:
        """The number of connections, without detached ones."""
        return len(self._connections)

    @property
    def failed(self) -> bool:
        """Whether the listener failed, so that no more connections are accepted."""
        return self._accept_ended.is_set() and not self._listener.closed

    def start(self) -> None:
        """Begin to serve."""
        threading.Thread(target=self._accept, name="http server", daemon=True).start()

    def wait_for_end(self) -> None:
        """Wait until the listener is closed or has failed."""
        self._accept_ended.wait()

    def wait_for_signal(self) -> None:
        """Return at SIGTERM or SIGINT, or when the listener has failed.

        A signal handler might not run while the engine waits, so the signal writes a byte instead.
        """
        receiver, sender = socket.socketpair()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        sender.setblocking(False)
        signal.set_wakeup_fd(sender.fileno())
        stop = threading.Event()
        for wait in (lambda: receiver.recv(1), self.wait_for_end):
            threading.Thread(target=_then_set, args=(wait, stop), name="signals", daemon=True).start()
        stop.wait()
        signal.set_wakeup_fd(-1)

    def wait_for_requests(self, timeout_s: float) -> None:
        """Wait at most ``timeout_s`` seconds for the requests in flight. The listener must be closed."""
        ends_s = time.monotonic() + timeout_s
        while (self._connections or not self._accept_ended.is_set()) and time.monotonic() < ends_s:
            time.sleep(CHECK_INTERVAL_S)

    def _accept(self) -> None:
        try:
            while True:
                self._accept_one()
        except OSError as error:
            if not self._listener.closed:
                log.error("the listener failed: %s", error)  # noqa: TRY400 - the traceback shows only accept
        finally:
            self._accept_ended.set()
            for connection in list(self._connections):
                connection.end_if_idle()

    def _accept_one(self) -> None:
        while len(self._connections) >= self._limit:
            self._freed.clear()
            self._freed.wait()
        connection = HttpConnection(self._service, *self._listener.accept())
        self._connections.add(connection)
        self._engine.spawn(self._serve, connection)

    def _serve(self, connection: HttpConnection) -> None:
        try:
            connection.serve()
        except Exception:
            log.exception("unexpected error in a connection")  # the others must be served
        finally:
            self._connections.discard(connection)
            self._freed.set()


def _then_set(wait: Callable[[], object], event: threading.Event) -> None:
    wait()
    event.set()

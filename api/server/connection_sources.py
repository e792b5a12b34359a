"""The two sources of a gateway's connections: its own port, or the dispatcher that hands them over."""

from __future__ import annotations

import errno
import logging
import resource
import select
import socket
import struct
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from api.limits.client_address_prefix import network_of
from api.server.fair_queueing import newest_and_oldest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cto_worker.config import Settings

log = logging.getLogger(__name__)

REPORT = struct.Struct("!I")  # a gateway sends the dispatcher its number once, then repeatedly its load
REPORT_INTERVAL_S = 0.5
RETRY_S = 0.1
CLOSE_TIMEOUT_S = 0.5  # for the dispatcher to notice that a gateway is stopping
LINGER_S = 0.2  # for requests on the accepted connections of a stopping gateway
BACKLOG = 4_096  # connections that may wait while thousands of clients reconnect at once
ACCEPT_BATCH = 16  # connections that are served before other threads run
DRAIN_BATCH = 64  # connections that are accepted for each that is served
_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def listen(settings: Settings, process: str) -> socket.socket:
    """Listen on the configured address, or exit with a message that names this ``process``."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        sys.exit(
            f"The {process} cannot listen on {settings.host}:{settings.port}: {error}. Is CTO_PORT taken?"
        )
    return listener


class PortListener:
    """A listening socket that serves client addresses in turn: a burst from one does not delay the others.

    Among connections of one address, the newest and the oldest are served in turn. The listener also retries
    when no file descriptor is left, which would end eventlet's server.
    """

    def __init__(self, listener: Any) -> None:
        self._listener, self.family = listener, listener.family
        self.getsockname = listener.getsockname
        listener.setblocking(False)
        self._accepted: dict[str, deque[tuple[Any, Any]]] = {}  # by network
        self._take = newest_and_oldest()
        self._accept_ended = threading.Event()
        self.closed = False
        self._count = 0

    def accept(self) -> tuple[Any, Any]:
        """Return the next connection and its peer's address. Raises :class:`OSError` once it is closed."""
        while True:
            if not self.closed:
                self._drain(DRAIN_BATCH)
            if self._accepted:
                return self._next()
            if self.closed:
                self._end()
            select.select([self._listener], [], [])

    def close(self) -> None:
        """Refuse new connections, and wait for requests on those accepted just before.

        Connections that the kernel has accepted are still returned: no other process could answer them.
        """
        if self.closed:
            return
        self._drain(BACKLOG)
        self.closed = True
        self._listener.shutdown(socket.SHUT_RD)  # refuses new connections, and wakes accept
        self._accept_ended.wait(CLOSE_TIMEOUT_S)

    def _drain(self, count: int) -> None:
        """Accept at most ``count`` connections from the kernel's queue, which is in order of arrival."""
        try:
            for _ in range(count):
                connection, address = self._listener.accept()
                self._accepted.setdefault(network_of(address[0]), deque()).append((connection, address))
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno not in {*_OUT_OF_RESOURCES, errno.ECONNABORTED}:
                raise
            log.warning("cannot accept a connection: %s", error)
            if not self._accepted:
                time.sleep(RETRY_S)

    def _next(self) -> tuple[Any, Any]:
        """Return a connection of the network whose turn is next."""
        self._count += 1
        if self._count % ACCEPT_BATCH == 0:
            time.sleep(0)  # connected clients are served
        network = next(iter(self._accepted))
        waiting = self._accepted.pop(network)
        connection, address = self._take(waiting)
        if waiting:
            self._accepted[network] = waiting  # at the end
        # A socket of the patched module: a non-blocking listener returns one that would block the process.
        family, kind, protocol = connection.family, connection.type, connection.proto
        return socket.socket(family, kind, protocol, connection.detach()), address

    def _end(self) -> None:
        time.sleep(LINGER_S)
        self._accept_ended.set()
        self._listener.close()
        raise OSError(errno.ESHUTDOWN, "closed")  # ends eventlet's server


class DispatchedListener:
    """A listener of connections that the dispatcher (:mod:`api.server.dispatcher`) accepts and hands over.

    It reconnects to the dispatcher whenever the link breaks. Through the link the gateway also reports its
    number of connections. So the dispatcher can tell which gateways are alive, and which one has the lowest
    load.
    """

    family = socket.AF_UNIX

    def __init__(self, path: Path, number: int, load: Callable[[], int]) -> None:
        self._path, self._number, self._load = path, number, load
        self._link: socket.socket | None = None
        self.closed = False
        self._accept_ended = threading.Event()
        threading.Thread(target=self._report, name="load", daemon=True).start()

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection and its peer's address. Raises :class:`OSError` once it is closed."""
        while True:
            link = self._link or self._connect()
            select.select([link], [], [])
            try:
                data, descriptors, _, _ = socket.recv_fds(link, 1, 1)
            except BlockingIOError:
                continue
            except OSError:
                data, descriptors = b"", []
            if not data:
                self._disconnect()
            for descriptor in descriptors:  # empty if this process had no descriptor left
                connection = socket.socket(fileno=descriptor)
                with suppress(OSError):  # the client is gone already
                    return connection, connection.getpeername()
                connection.close()

    def getsockname(self) -> str:
        """Return the path of the dispatcher's socket."""
        return str(self._path)

    def close(self) -> None:
        """Disconnect from the dispatcher, which then uses other gateways, and wait until it has noticed.

        Connections that it sent before are still accepted: no other process could answer these clients.
        """
        self.closed = True
        if self._link:
            _shut_down_writes(self._link)
        self._accept_ended.wait(CLOSE_TIMEOUT_S)

    def _connect(self) -> socket.socket:
        while not self.closed:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(str(self._path))
                link.sendall(REPORT.pack(self._number))
            except OSError:  # the dispatcher is starting or restarting
                link.close()
                time.sleep(RETRY_S)
            else:
                self._link = link
                if self.closed:  # meanwhile
                    _shut_down_writes(link)
                return link
        self._accept_ended.set()
        raise OSError(errno.ESHUTDOWN, "closed")  # ends eventlet's server

    def _disconnect(self) -> None:
        link, self._link = self._link, None
        if link:
            link.close()

    def _report(self) -> None:
        while not self.closed:
            if link := self._link:
                with suppress(OSError):
                    link.sendall(REPORT.pack(self._load()))
            time.sleep(REPORT_INTERVAL_S)


def _shut_down_writes(link: socket.socket) -> None:
    """Make the dispatcher close its end. What it has sent before can still be read."""
    with suppress(OSError):  # it has closed already
        link.shutdown(socket.SHUT_WR)


def allow_descriptors(wanted: int) -> int:
    """Raise this process's limit of open files to ``wanted`` if possible. Return the resulting limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        return limit
    return wanted if soft == resource.RLIM_INFINITY else soft

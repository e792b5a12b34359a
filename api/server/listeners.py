"""Where a gateway's connections come from: a port of its own, or the front process that hands them over."""

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

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cto_worker.config import Settings

log = logging.getLogger(__name__)

REPORT = struct.Struct("!I")  # what a gateway tells the front: its number, then, again and again, its load
REPORT_EVERY_S = 0.5
RETRY_S = 0.1
LEAVE_S = 0.5  # how long the front may take to notice that a gateway is leaving
LINGER_S = 0.2  # a stopping gateway waits so long for a request on the connections that it has
BACKLOG = 4_096  # connections that may wait while thousands come back at once
IN_A_ROW = 16  # connections that are accepted before those that are there are served
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def listen(settings: Settings, who: str) -> socket.socket:
    """Listen on the system's address, or end this process, which is called ``who``."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        sys.exit(f"The {who} cannot listen on {settings.host}:{settings.port}: {error}. Is CTO_PORT taken?")
    return listener


class PortListener:
    """A listening socket. It outlives what ends eventlet's server: no file descriptor being left."""

    def __init__(self, listener: Any) -> None:
        self._listener, self.family = listener, listener.family
        self.getsockname = listener.getsockname
        self._accepted: deque[tuple[socket.socket, Any]] = deque()  # by close
        self._left = threading.Event()
        self.closed = False
        self._in_a_row = 0

    def accept(self) -> tuple[Any, Any]:
        """Return the next connection and its peer's address. Raises :class:`OSError` once it is closed."""
        while True:
            try:
                connection, address = self._listener.accept()
            except OSError as error:
                if self._accepted:
                    return self._accepted.popleft()
                if self.closed:
                    self._leave()
                if error.errno not in {*_NO_ROOM, errno.ECONNABORTED}:
                    raise
                log.warning("cannot accept: %s", error)
                time.sleep(RETRY_S)
            else:
                self._in_a_row += 1
                if self._in_a_row % IN_A_ROW == 0:
                    time.sleep(0)  # who is connected already is looked at
                return connection, address

    def close(self) -> None:
        """Refuse new connections, and wait until those that are there have had time to send a request.

        Connections that the kernel has accepted are still returned: nobody else could answer them.
        """
        if self.closed:
            return
        self._listener.setblocking(False)
        with suppress(OSError):  # the queue is empty, or no file descriptor is left
            while True:
                connection, address = self._listener.accept()
                self._accepted.append((socket.socket(fileno=connection.detach()), address))
        self.closed = True
        self._listener.shutdown(socket.SHUT_RD)  # refuses new connections, and wakes accept
        self._left.wait(LEAVE_S)

    def _leave(self) -> None:
        time.sleep(LINGER_S)
        self._left.set()
        self._listener.close()
        raise OSError(errno.ESHUTDOWN, "closed")  # by which eventlet's server knows that it has to end


class DispatchedListener:
    """A listener of connections that the dispatcher (:mod:`api.server.dispatcher`) accepts and hands over.

    The link to the front is made again whenever it breaks. Through it the gateway also tells how many
    connections it has; so the front knows who is alive, and who has the least to do.
    """

    family = socket.AF_UNIX

    def __init__(self, path: Path, number: int, load: Callable[[], int]) -> None:
        self._path, self._number, self._load = path, number, load
        self._link: socket.socket | None = None
        self.closed = False
        self._left = threading.Event()
        threading.Thread(target=self._report, name="load", daemon=True).start()

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection and its peer's address. Raises :class:`OSError` once it is closed."""
        while True:
            link = self._link or self._connect()
            select.select([link], [], [])
            try:
                sign, descriptors, _, _ = socket.recv_fds(link, 1, 1)
            except BlockingIOError:
                continue
            except OSError:
                sign, descriptors = b"", []
            if not sign:
                self._disconnect()
            for descriptor in descriptors:  # none if this process had no room for it
                connection = socket.socket(fileno=descriptor)
                with suppress(OSError):  # it is gone already
                    return connection, connection.getpeername()
                connection.close()

    def getsockname(self) -> str:
        """Return where connections are handed over."""
        return str(self._path)

    def close(self) -> None:
        """Leave the front, which gives new connections to others, and wait until it has noticed.

        What it has sent until then goes on to be accepted: nobody else could answer these clients any more.
        """
        self.closed = True
        if self._link:
            _say_nothing_more(self._link)
        self._left.wait(LEAVE_S)

    def _connect(self) -> socket.socket:
        while not self.closed:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(str(self._path))
                link.sendall(REPORT.pack(self._number))
            except OSError:  # the front is being started, again or for the first time
                link.close()
                time.sleep(RETRY_S)
            else:
                self._link = link
                if self.closed:  # meanwhile
                    _say_nothing_more(link)
                return link
        self._left.set()
        raise OSError(errno.ESHUTDOWN, "closed")  # by which eventlet's server knows that it has to end

    def _disconnect(self) -> None:
        link, self._link = self._link, None
        if link:
            link.close()

    def _report(self) -> None:
        while not self.closed:
            if link := self._link:
                with suppress(OSError):
                    link.sendall(REPORT.pack(self._load()))
            time.sleep(REPORT_EVERY_S)


def _say_nothing_more(link: socket.socket) -> None:
    """Have the front close its end, and read what it has sent before."""
    with suppress(OSError):  # it has closed already
        link.shutdown(socket.SHUT_WR)


def allow_descriptors(wanted: int) -> int:
    """Raise this process's limit of open files as far as it may be, and return how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        return limit
    return wanted if soft == resource.RLIM_INFINITY else soft

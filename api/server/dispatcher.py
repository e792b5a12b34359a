"""The dispatcher, one address for several gateways: ``python -m api.server.dispatcher``.

It accepts connections, peeks at the first line of each without reading it, and hands the connection itself
over to a gateway. From then on client and gateway are connected directly.

A first line that names an Engine.IO session (``sid=2.…``) goes to the gateway of that session; any other to
the living gateway with the fewest connections. docs/decisions/0008 explains why.
"""

from __future__ import annotations

from cto_worker.process_imports import end_of_imports  # isort: skip - it must be the first import

import logging
import os
import re
import selectors
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.auth.startup_settings import settings_or_exit
from api.server.connection_sources import REPORT, allow_descriptors, listen
from cto_worker.observability import logging_setup

if TYPE_CHECKING:
    from pathlib import Path

end_of_imports()

log = logging.getLogger("api.server.dispatcher")

FIRST_LINE_S = 5.0  # for a connection to send its first line, and to get a gateway
FIRST_LINE_BYTES = 8_192  # of it are looked at
SILENCE_TIMEOUT_S = 3.0  # a gateway that has not reported its load for this long gets no new sessions
RETRY_S = 0.02
ACCEPT_BATCH = 100  # connections that are accepted before the gateways' reports are read
DESCRIPTORS, OTHER_DESCRIPTORS = 4_200, 200  # wanted for this process; those that are not connections
_SESSION = re.compile(rb"[?&]sid=(\d{1,4})\.")


@dataclass(eq=False, slots=True)
class _Gateway:
    link: socket.socket
    number: int | None = None  # until it has reported it
    load: int = 0  # the connections that it reported last, and those handed over since
    reported_s: float = field(default_factory=time.monotonic)
    partial_report: bytes = b""
    full: bool = False  # whether the link's buffer is full


class ConnectionDispatcher:
    """Hands the connections of ``listener`` over to the gateways that connect to ``gateway_listener``.

    At most ``max_waiting`` connections wait for a gateway; beyond that the oldest is closed.
    """

    def __init__(
        self, listener: socket.socket, gateway_listener: socket.socket, max_waiting: int = 4_000
    ) -> None:
        self._max_waiting = max_waiting
        self._gateways: dict[int, _Gateway] = {}
        self._waiting: dict[socket.socket, float] = {}  # connection → its deadline; oldest first
        self._lines: dict[socket.socket, bytes] = {}  # of those that wait for a gateway, the first lines
        self._selector = selectors.DefaultSelector()
        for opened, callback in ((listener, self._accept_clients), (gateway_listener, self._accept_gateway)):
            opened.setblocking(False)
            self._selector.register(opened, selectors.EVENT_READ, callback)

    def run_once(self, timeout_s: float = 1.0) -> None:
        """Wait for work, at most ``timeout_s`` seconds, and do it."""
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj.fileno() >= 0:  # type: ignore[union-attr]  # a socket, which may be closed by now
                key.data(key.fileobj)
        now_s = time.monotonic()
        while self._waiting and (
            len(self._waiting) > self._max_waiting or next(iter(self._waiting.values())) < now_s
        ):
            self._close_oldest()

    def close(self) -> None:
        """Close the sockets of this process. Connections that were handed over stay open."""
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]  # a socket
        for connection in self._lines:
            connection.close()
        self._selector.close()

    def _accept(self, listener: socket.socket) -> socket.socket | None:
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:  # probably no file descriptor is left
            log.warning("cannot accept a connection: %s", error)
            if self._waiting:
                self._close_oldest()
            else:
                time.sleep(RETRY_S)
            return None
        connection.setblocking(False)
        return connection

    def _accept_clients(self, listener: socket.socket) -> None:
        for _ in range(ACCEPT_BATCH):
            connection = self._accept(listener)
            if connection is None:
                return
            self._waiting[connection] = time.monotonic() + FIRST_LINE_S
            self._selector.register(connection, selectors.EVENT_READ, self._peek)
            self._peek(connection)

    def _accept_gateway(self, gateway_listener: socket.socket) -> None:
        link = self._accept(gateway_listener)
        if link:
            gateway = _Gateway(link)
            self._selector.register(link, selectors.EVENT_READ, lambda _: self._serve_gateway(gateway))

    def _serve_gateway(self, gateway: _Gateway) -> None:
        """Read a gateway's reports, and offer the waiting connections again: its state may have changed."""
        self._watch(gateway, selectors.EVENT_READ)
        self._read_reports(gateway)
        for connection in list(self._lines):
            self._offer(connection)

    def _watch(self, gateway: _Gateway, events: int) -> None:
        gateway.full = bool(events & selectors.EVENT_WRITE)
        key = self._selector.get_key(gateway.link)
        if key.events != events:
            self._selector.modify(gateway.link, events, key.data)

    def _read_reports(self, gateway: _Gateway) -> None:
        try:
            data = gateway.link.recv(4_096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._remove(gateway)
            return
        gateway.reported_s = time.monotonic()
        gateway.partial_report += data
        size = len(gateway.partial_report) - len(gateway.partial_report) % REPORT.size
        numbers = [number for (number,) in REPORT.iter_unpack(gateway.partial_report[:size])]
        gateway.partial_report = gateway.partial_report[size:]
        if numbers and gateway.number is None:
            gateway.number = numbers.pop(0)
            self._gateways[gateway.number] = gateway
            log.info("gateway %d is connected", gateway.number)
        if numbers:
            gateway.load = numbers[-1]

    def _remove(self, gateway: _Gateway) -> None:
        self._selector.unregister(gateway.link)
        gateway.link.close()
        if gateway.number is not None and self._gateways.get(gateway.number) is gateway:
            del self._gateways[gateway.number]
            log.info("gateway %d is disconnected", gateway.number)

    def _peek(self, connection: socket.socket) -> None:
        """Offer a connection to the gateways once its first line has arrived."""
        try:
            start = connection.recv(FIRST_LINE_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            start = b""
        line, end, _ = start.removeprefix(b"\r\n").partition(b"\n")  # the gateways skip an empty line as well
        if end or len(start) == FIRST_LINE_BYTES:
            self._selector.unregister(connection)
            _wake_at(connection, 1)  # the default, which the gateway needs
            self._lines[connection] = line
            self._offer(connection)
        elif len(start) < connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT):
            self._release(connection)  # it woke this process without more bytes: it has ended
        else:
            _wake_at(connection, len(start) + 1)  # otherwise the unread bytes would wake it at once

    def _offer(self, connection: socket.socket) -> None:
        for gateway in self._candidates(self._lines[connection]):
            try:
                socket.send_fds(gateway.link, [b"+"], [connection.fileno()])
            except BlockingIOError:  # it has not received earlier ones
                self._watch(gateway, selectors.EVENT_READ | selectors.EVENT_WRITE)
            except OSError:
                self._remove(gateway)
            else:
                gateway.load += 1
                self._release(connection)
                return

    def _candidates(self, line: bytes) -> list[_Gateway]:
        """Return the gateway of the line's session, or all gateways, the best first."""
        session = _SESSION.search(line)
        owner = self._gateways.get(int(session[1])) if session else None
        oldest_s = time.monotonic() - SILENCE_TIMEOUT_S
        gateways = [owner] if owner else self._gateways.values()
        available = [gateway for gateway in gateways if not gateway.full]
        return sorted(available, key=lambda gateway: (gateway.reported_s < oldest_s, gateway.load))

    def _close_oldest(self) -> None:
        self._release(next(iter(self._waiting)))

    def _release(self, connection: socket.socket) -> None:
        """Close this process's descriptor. The connection ends, unless it has been handed over."""
        del self._waiting[connection]
        if self._lines.pop(connection, None) is None:
            self._selector.unregister(connection)
        connection.close()


def _wake_at(connection: socket.socket, size: int) -> None:
    """Make a selector report a connection when ``size`` bytes can be read or the connection has ended."""
    with suppress(OSError):  # the client is gone
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


def listen_for_gateways(path: Path) -> socket.socket:
    """Listen on a Unix socket. Only this user can open it, because a process that connects gets clients."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    listener.bind(str(path))
    os.umask(before)
    listener.listen()
    return listener


def main() -> None:
    """Serve until a signal ends the process."""
    settings = settings_or_exit("dispatcher")
    logging_setup.configure(settings)
    max_waiting = max(1, allow_descriptors(DESCRIPTORS) - OTHER_DESCRIPTORS)
    listener = listen(settings, "dispatcher")
    try:
        dispatcher = ConnectionDispatcher(
            listener, listen_for_gateways(settings.dispatcher_path), max_waiting
        )
    except OSError as error:
        sys.exit(
            f"The dispatcher cannot listen on {settings.dispatcher_path}: {error}. Is CTO_DATA_DIR writable?"
        )
    log.info("handing over the connections of %s, process %d", settings.base_url, os.getpid())
    try:
        while True:
            dispatcher.run_once()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()

"""The front: one address for several gateways, ``python -m api.server.dispatcher`` (docs/decisions/0008).

It accepts each connection, looks at its first line without taking it, and hands the connection itself over to
a gateway. From then on client and gateway talk to each other with nobody between them.

A first line that names an Engine.IO session (``sid=2.…``) goes to the gateway that has it; any other to the
living gateway with the fewest connections.
"""

from __future__ import annotations

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

from api.auth.authentication import validate_auth_settings
from api.server.listeners import REPORT, allow_descriptors, listen
from cto_worker.config import Settings
from cto_worker.errors import ConfigError
from cto_worker.observability import logs

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("api.server.dispatcher")

FIRST_LINE_S = 5.0  # a connection has so long to send its first line, and to find a gateway
FIRST_LINE_BYTES = 8_192  # of it are looked at
SILENCE_S = 3.0  # a gateway that has not told its load for so long gets no new sessions
RETRY_S = 0.02
DESCRIPTORS, OTHER_DESCRIPTORS = 4_200, 200  # as far as this process may have them; not for connections
_SESSION = re.compile(rb"[?&]sid=(\d{1,4})\.")


@dataclass(eq=False, slots=True)
class _Gateway:
    link: socket.socket
    number: int | None = None  # until it has said it
    load: int = 0  # connections it told of last, and those handed over since
    heard_s: float = field(default_factory=time.monotonic)
    partial: bytes = b""
    full: bool = False  # whether its link takes no more for now


class ConnectionDispatcher:
    """Hands the connections that ``listener`` gets over to the gateways that call at ``door``.

    ``most_waiting`` connections may be without a gateway; for one more the oldest is closed.
    """

    def __init__(self, listener: socket.socket, door: socket.socket, most_waiting: int = 4_000) -> None:
        self._most_waiting = most_waiting
        self._gateways: dict[int, _Gateway] = {}
        self._waiting: dict[socket.socket, float] = {}  # connection → when it is given up; oldest first
        self._lines: dict[socket.socket, bytes] = {}  # of these, the first lines that nobody has taken yet
        self._selector = selectors.DefaultSelector()
        for one, take in ((listener, self._welcome), (door, self._meet)):
            one.setblocking(False)
            self._selector.register(one, selectors.EVENT_READ, take)

    def run_once(self, timeout_s: float = 1.0) -> None:
        """Do what there is to do, and wait for it so long at most."""
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj.fileno() >= 0:  # type: ignore[union-attr]  # sockets all; it may be closed by now
                key.data(key.fileobj)
        now_s = time.monotonic()
        while self._waiting and (
            len(self._waiting) > self._most_waiting or next(iter(self._waiting.values())) < now_s
        ):
            self._let_oldest_go()

    def close(self) -> None:
        """Close what is still open here. Connections that were handed over stay."""
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]  # sockets all
        for connection in self._lines:
            connection.close()
        self._selector.close()

    def _accept(self, listener: socket.socket) -> socket.socket | None:
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:  # most likely, no file descriptor is left
            log.warning("cannot accept: %s", error)
            if self._waiting:
                self._let_oldest_go()
            else:
                time.sleep(RETRY_S)
            return None
        connection.setblocking(False)
        return connection

    def _welcome(self, listener: socket.socket) -> None:
        for _ in range(100):  # then the gateways' reports are read again
            connection = self._accept(listener)
            if connection is None:
                return
            self._waiting[connection] = time.monotonic() + FIRST_LINE_S
            self._selector.register(connection, selectors.EVENT_READ, self._look)
            self._look(connection)

    def _meet(self, door: socket.socket) -> None:
        link = self._accept(door)
        if link:
            gateway = _Gateway(link)
            self._selector.register(link, selectors.EVENT_READ, lambda _: self._attend(gateway))

    def _attend(self, gateway: _Gateway) -> None:
        """Hear a gateway. Whatever has become of it, connections that wait may find their gateway now."""
        self._watch(gateway, selectors.EVENT_READ)
        self._hear(gateway)
        for connection in list(self._lines):
            self._offer(connection)

    def _watch(self, gateway: _Gateway, events: int) -> None:
        gateway.full = bool(events & selectors.EVENT_WRITE)
        key = self._selector.get_key(gateway.link)
        if key.events != events:
            self._selector.modify(gateway.link, events, key.data)

    def _hear(self, gateway: _Gateway) -> None:
        try:
            data = gateway.link.recv(4_096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose(gateway)
            return
        gateway.heard_s = time.monotonic()
        gateway.partial += data
        whole = len(gateway.partial) - len(gateway.partial) % REPORT.size
        told = [number for (number,) in REPORT.iter_unpack(gateway.partial[:whole])]
        gateway.partial = gateway.partial[whole:]
        if told and gateway.number is None:
            gateway.number = told.pop(0)
            self._gateways[gateway.number] = gateway
            log.info("gateway %d is there", gateway.number)
        if told:
            gateway.load = told[-1]

    def _lose(self, gateway: _Gateway) -> None:
        self._selector.unregister(gateway.link)
        gateway.link.close()
        if gateway.number is not None and self._gateways.get(gateway.number) is gateway:
            del self._gateways[gateway.number]
            log.info("gateway %d is gone", gateway.number)

    def _look(self, connection: socket.socket) -> None:
        """Offer a connection to the gateways once its first line is there."""
        try:
            start = connection.recv(FIRST_LINE_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            start = b""
        line, end, _ = start.removeprefix(b"\r\n").partition(b"\n")  # the gateways skip an empty line, too
        if end or len(start) == FIRST_LINE_BYTES:
            self._selector.unregister(connection)
            _wake_at(connection, 1)  # as the gateway expects it
            self._lines[connection] = line
            self._offer(connection)
        elif len(start) < connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT):
            self._let_go(connection)  # it was to wake us with more: nothing more will come
        else:
            _wake_at(connection, len(start) + 1)  # what stays unread would wake us again and again

    def _offer(self, connection: socket.socket) -> None:
        for gateway in self._candidates(self._lines[connection]):
            try:
                socket.send_fds(gateway.link, [b"+"], [connection.fileno()])
            except BlockingIOError:  # it has not taken in those before
                self._watch(gateway, selectors.EVENT_READ | selectors.EVENT_WRITE)
            except OSError:
                self._lose(gateway)
            else:
                gateway.load += 1
                self._let_go(connection)
                return

    def _candidates(self, line: bytes) -> list[_Gateway]:
        """The gateway that has the session, or, when there is none, all of them: the best first."""
        session = _SESSION.search(line)
        owner = self._gateways.get(int(session[1])) if session else None
        heard_s = time.monotonic() - SILENCE_S
        able = [one for one in ([owner] if owner else self._gateways.values()) if not one.full]
        return sorted(able, key=lambda one: (one.heard_s < heard_s, one.load))

    def _let_oldest_go(self) -> None:
        self._let_go(next(iter(self._waiting)))

    def _let_go(self, connection: socket.socket) -> None:
        """Close this process's end of a connection: the only one, unless it has been handed over."""
        del self._waiting[connection]
        if self._lines.pop(connection, None) is None:
            self._selector.unregister(connection)
        connection.close()


def _wake_at(connection: socket.socket, size: int) -> None:
    """Have a selector report a connection once so many bytes can be read, or it has ended."""
    with suppress(OSError):  # it is gone
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


def open_door(path: Path) -> socket.socket:
    """Listen for gateways on a Unix socket that only this user can open: who calls there gets the clients."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    door.bind(str(path))
    os.umask(before)
    door.listen()
    return door


def main() -> None:
    """Serve until a signal ends the process."""
    try:
        settings = Settings.from_env()
        validate_auth_settings(settings)
    except ConfigError as error:
        sys.stderr.write(f"The front does not start: {error}\n")
        sys.exit(os.EX_CONFIG)
    logs.configure(settings)
    room = max(1, allow_descriptors(DESCRIPTORS) - OTHER_DESCRIPTORS)
    listener = listen(settings, "front")
    try:
        front = ConnectionDispatcher(listener, open_door(settings.front_path), room)
    except OSError as error:
        sys.exit(f"The front cannot listen on {settings.front_path}: {error}. Is CTO_DATA_DIR writable?")
    log.info("handing over what comes to %s, process %d", settings.base_url, os.getpid())
    try:
        while True:
            front.run_once()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()

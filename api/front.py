"""The front: one address for several gateways, ``python -m api.front`` (docs/decisions/0008).

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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.auth import check_startable
from api.listeners import REPORT, allow_descriptors, listen
from cto_worker import logs
from cto_worker.config import Settings
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("api.front")

FIRST_LINE_S = 5.0  # a connection has so long to send its first line, and to find a gateway
FIRST_LINE_BYTES = 8_192  # of it are looked at
SILENCE_S = 3.0  # a gateway that has not told its load for so long gets no new sessions
RETRY_S = 0.02
MOST_WAITING = 4_000  # connections without a gateway yet; above that the oldest is closed
DESCRIPTORS = MOST_WAITING + 200
_SESSION = re.compile(rb"[?&]sid=(\d{1,4})\.")


@dataclass(eq=False, slots=True)
class _Gateway:
    link: socket.socket
    number: int | None = None  # until it has said it
    load: int = 0  # connections it told of last, and those handed over since
    heard_s: float = field(default_factory=time.monotonic)
    partial: bytes = b""


class Front:
    """Hands the connections that ``listener`` gets over to the gateways that call at ``door``."""

    def __init__(self, listener: socket.socket, door: socket.socket) -> None:
        self._listener = listener
        self._gateways: dict[int, _Gateway] = {}
        self._waiting: dict[socket.socket, float] = {}  # connection → when it is given up; oldest first
        self._undecided: set[socket.socket] = set()  # of these, those to be looked at again
        self._selector = selectors.DefaultSelector()
        for one, take in ((listener, self._welcome), (door, self._meet)):
            one.setblocking(False)
            self._selector.register(one, selectors.EVENT_READ, take)

    def run_once(self, timeout_s: float = 1.0) -> None:
        """Do what there is to do, and wait for it so long at most."""
        for key, _ in self._selector.select(RETRY_S if self._undecided else timeout_s):
            key.data(key.fileobj)
        for connection in list(self._undecided):
            self._look(connection)
        now_s = time.monotonic()
        while self._waiting and (
            len(self._waiting) > MOST_WAITING or next(iter(self._waiting.values())) < now_s
        ):
            self._let_go(next(iter(self._waiting)))

    def close(self) -> None:
        """Close what is still open here. Connections that were handed over stay."""
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]  # sockets all
        for connection in self._undecided:
            connection.close()
        self._selector.close()

    def _welcome(self, listener: socket.socket) -> None:
        for _ in range(100):  # then the gateways' reports are read again
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                log.warning("cannot accept: %s", error)
                time.sleep(RETRY_S)
                return
            connection.setblocking(False)
            self._waiting[connection] = time.monotonic() + FIRST_LINE_S
            self._selector.register(connection, selectors.EVENT_READ, self._look)
            self._look(connection)

    def _meet(self, door: socket.socket) -> None:
        link, _ = door.accept()
        link.setblocking(False)
        gateway = _Gateway(link)
        self._selector.register(link, selectors.EVENT_READ, lambda _: self._hear(gateway))

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
        if gateway.link.fileno() < 0:
            return  # it was noticed in another way
        self._selector.unregister(gateway.link)
        gateway.link.close()
        if gateway.number is not None and self._gateways.get(gateway.number) is gateway:
            del self._gateways[gateway.number]
            log.info("gateway %d is gone", gateway.number)

    def _look(self, connection: socket.socket) -> None:
        """Hand a connection over if its first line is there and somebody takes it."""
        try:
            start = connection.recv(FIRST_LINE_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            start = b""
        if not start:
            self._let_go(connection)
            return
        line, end, _ = start.partition(b"\n")
        if (end or len(start) == FIRST_LINE_BYTES) and self._hand_over(connection, line):
            self._let_go(connection)
        elif connection not in self._undecided:
            self._undecided.add(connection)
            self._selector.unregister(connection)  # which would report the same bytes again and again

    def _hand_over(self, connection: socket.socket, line: bytes) -> bool:
        for gateway in self._candidates(line):
            try:
                socket.send_fds(gateway.link, [b"+"], [connection.fileno()])
            except BlockingIOError:
                continue  # it has not taken in those before
            except OSError:
                self._lose(gateway)
            else:
                gateway.load += 1
                return True
        return False

    def _candidates(self, line: bytes) -> list[_Gateway]:
        """The gateway that has the session, or, when there is none, all of them: the best first."""
        session = _SESSION.search(line)
        owner = self._gateways.get(int(session[1])) if session else None
        if owner:
            return [owner]
        heard_s = time.monotonic() - SILENCE_S
        return sorted(self._gateways.values(), key=lambda one: (one.heard_s < heard_s, one.load))

    def _let_go(self, connection: socket.socket) -> None:
        """Close this process's end of a connection: the only one, unless it has been handed over."""
        del self._waiting[connection]
        if connection in self._undecided:
            self._undecided.discard(connection)
        else:
            self._selector.unregister(connection)
        connection.close()


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
        check_startable(settings)
    except ConfigError as error:
        sys.stderr.write(f"The front does not start: {error}\n")
        sys.exit(os.EX_CONFIG)
    logs.configure(settings)
    allow_descriptors(DESCRIPTORS)
    listener = listen(settings, "front")
    try:
        front = Front(listener, open_door(settings.front_path))
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

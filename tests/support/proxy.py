"""A proxy between a worker and its store: it cuts, black-holes and delays their links."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Proxy:
    """Listens on one Unix socket and forwards to another."""

    def __init__(self, listen_at: Path, forward_to: Path):
        self.forward_to = forward_to
        self.delay_s = 0.0
        self.black_hole = threading.Event()  # while set, bytes are read and not forwarded
        self.links = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(listen_at))
        self.listener.listen(200)
        self.carriers = []
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def cut(self):
        """Close every link."""
        self._close(self._forget())

    def _forget(self):
        links, self.links = self.links, []
        return links

    def _close(self, links):
        for link in links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def broken(self):
        """Forward nothing during the block, and close every link at its end."""
        self.black_hole.set()
        yield
        links = self._forget()  # first: bytes that were read during the block must not be forwarded
        self.black_hole.clear()
        self._close(links)

    def close(self):
        """Close everything, and wait for the threads."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.cut()
        for carrier in self.carriers:
            carrier.join()

    def _accept(self):
        with self.listener, contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                self.links.append(near)
                carrier = threading.Thread(target=self._carry, args=(near,), daemon=True)
                self.carriers.append(carrier)
                carrier.start()

    def _carry(self, near):
        # If the store is down, the connection fails, and this link is closed too.
        with contextlib.suppress(OSError), near, socket.socket(socket.AF_UNIX) as far:
            far.connect(str(self.forward_to))
            back = threading.Thread(target=self._pump, args=(far, near, near), daemon=True)
            back.start()
            self._pump(near, far, near)
            back.join()

    def _pump(self, one, other, link):
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                if self.delay_s:
                    time.sleep(self.delay_s)
                if link in self.links and not self.black_hole.is_set():
                    other.sendall(data)
        self._close((one, other))

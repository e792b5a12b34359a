"""A proxy between a client and the gateway: it cuts links, refuses requests and drops responses."""

from __future__ import annotations

import contextlib
import re
import socket
import threading

HEAD = re.compile(rb"(?:GET|POST|OPTIONS) \S+ HTTP/1\.1\r\n")


class TcpProxy:
    """Listens on a port of 127.0.0.1 and forwards to another. ``url`` is its address."""

    def __init__(self, port):
        self.forward_to = ("127.0.0.1", port)
        self.refused = None  # heads of requests that are not forwarded
        self.links = {}  # each with the socket that it is linked to
        self.sockets = set()  # those of them that are WebSockets
        self.dead = set()  # those whose bytes are read and not forwarded
        self.heads = []  # of every request
        self.unanswered = None  # heads of requests whose responses are dropped
        self.muted = set()  # links whose next response is dropped
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def refuse(self, pattern=None):
        """Refuse requests whose head matches, and cut all links. ``None``: forward all requests again."""
        self.refused = pattern and re.compile(pattern.encode(), re.IGNORECASE)
        if pattern:
            self.cut()

    def lose_answers(self, pattern=None):
        """Forward requests whose head matches, and cut their link before the response."""
        self.unanswered = pattern and re.compile(pattern.encode(), re.IGNORECASE)

    def cut(self):
        """Close every link."""
        for link in list(self.links):
            if link in self.dead:
                continue
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def sleep(self):
        """Stop forwarding on WebSockets without closing them, and cut the other links."""
        self.dead |= self.sockets
        self.cut()

    def asked(self, pattern):
        """Return the number of requests so far whose head matches."""
        return sum(bool(re.search(pattern.encode(), head, re.IGNORECASE)) for head in list(self.heads))

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.dead.clear()
        self.cut()
        for thread in self.threads:
            thread.join()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                self.threads.append(threading.Thread(target=self._carry, args=(near,), daemon=True))
                self.threads[-1].start()

    def _carry(self, near):
        with near, contextlib.suppress(OSError), socket.create_connection(self.forward_to) as far:
            self.links.update({near: far, far: near})
            back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
            back.start()
            self._pump(near, far)
            back.join()
            for link in (near, far):
                self.links.pop(link)

    def _pump(self, one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                if HEAD.match(data):
                    self.heads.append(data.partition(b"\r\n\r\n")[0])
                    if b"Upgrade: websocket" in data:
                        self.sockets |= {one, other}
                    if self.unanswered and self.unanswered.search(self.heads[-1]):
                        self.muted.add(other)
                    if self.refused and self.refused.search(self.heads[-1]):
                        break
                if one in self.muted:
                    break
                if one not in self.dead:
                    other.sendall(data)
        for link in (one, other):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

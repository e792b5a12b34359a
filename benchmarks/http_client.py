"""An HTTP client that costs next to nothing: whole requests as bytes, on connections kept alive."""

from __future__ import annotations

import re
import socket
import time

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class Connections:
    """Some connections to one server, each with one request under way at a time."""

    def __init__(self, port: int, count: int) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(count)]
        for connection in self._sockets:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Close them."""
        for connection in self._sockets:
            connection.close()

    def requests_per_s(self, path: str, count: int) -> float:
        """Ask for one path ``count`` times, on all connections at once. Raises unless every answer is 200."""
        request = _request(path)
        turns = count // len(self._sockets)
        begun_s = time.perf_counter()
        for connection in self._sockets:
            connection.sendall(request)
        for turn in range(turns):
            for connection in self._sockets:
                _read_answer(connection)
                if turn < turns - 1:
                    connection.sendall(request)
        return turns * len(self._sockets) / (time.perf_counter() - begun_s)

    def ms(self, path: str) -> float:
        """How long one answer takes. Raises unless it is 200."""
        begun_s = time.perf_counter()
        self._sockets[0].sendall(_request(path))
        _read_answer(self._sockets[0])
        return (time.perf_counter() - begun_s) * 1000

    def get(self, path: str) -> bytes:
        """The body of one answer. Raises unless it is 200."""
        self._sockets[0].sendall(_request(path))
        return _read_answer(self._sockets[0])


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def _read_answer(connection: socket.socket) -> bytes:
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += _more(connection)
    length = _LENGTH.search(received, 0, end + 2)
    if not received.startswith(b"HTTP/1.1 200 ") or not length:
        raise RuntimeError(f"not the answer asked for: {received[:500]!r}")
    whole = end + 4 + int(length[1])
    while len(received) < whole:
        received += _more(connection)
    return received[end + 4 :]


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise RuntimeError("the server closed the connection")
    return received

"""A minimal HTTP client with little overhead: prepared requests as bytes, on persistent connections."""

from __future__ import annotations

import re
import select
import socket
import time

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class ConnectionRegistry:
    """Connections to one server, each with at most one request in flight."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._sockets = [self._connect() for _ in range(count)]

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _reopen_closed(self) -> None:
        """Replace the connections that the server closed because they were idle."""
        # No response is outstanding, so a readable connection is a closed one.
        readable, _, _ = select.select(self._sockets, [], [], 0)
        for connection in readable:
            connection.close()
            self._sockets[self._sockets.index(connection)] = self._connect()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._sockets:
            connection.close()

    def requests_per_s(self, path: str, count: int) -> float:
        """Request a path ``count`` times, on all connections at once. Raises if a status is not 200."""
        self._reopen_closed()
        request = _request(path)
        rounds = count // len(self._sockets)
        start_s = time.perf_counter()
        for connection in self._sockets:
            connection.sendall(request)
        for number in range(rounds):
            for connection in self._sockets:
                _read_response(connection)
                if number < rounds - 1:
                    connection.sendall(request)
        return rounds * len(self._sockets) / (time.perf_counter() - start_s)

    def ms(self, path: str) -> float:
        """Return the ms until the response to one request. Raises if its status is not 200."""
        self._reopen_closed()
        start_s = time.perf_counter()
        self._sockets[0].sendall(_request(path))
        _read_response(self._sockets[0])
        return (time.perf_counter() - start_s) * 1000

    def get(self, path: str) -> bytes:
        """Return the body of one response. Raises if its status is not 200."""
        self._reopen_closed()
        self._sockets[0].sendall(_request(path))
        return _read_response(self._sockets[0])


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def _read_response(connection: socket.socket) -> bytes:
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += _read(connection)
    length = _LENGTH.search(received, 0, end + 2)
    if not received.startswith(b"HTTP/1.1 200 ") or not length:
        raise RuntimeError(f"unexpected response: {received[:500]!r}")
    size = end + 4 + int(length[1])
    while len(received) < size:
        received += _read(connection)
    return received[end + 4 :]


def _read(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise RuntimeError("the server closed the connection")
    return received

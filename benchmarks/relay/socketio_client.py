"""One Socket.IO client as raw bytes on a non-blocking socket: a handshake, and then bytes that are counted.

Engine.IO 4 over a WebSocket from the start (https://socket.io/docs/v4/engine-io-protocol/). Once the client
has what it asked for, nothing is decoded any more: that is what keeps a thousand of them cheap.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass

MARKER = b'"workerType":"cto_operation"'  # once in every event, however it is packed
_TAIL = len(MARKER) - 1
_SENT = re.compile(rb"sent (\d+)")
_PING, _PONG = b"\x81\x012", b"3"
_UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_PID, _OFFSET = re.compile(r'"pid":"([^"]+)"'), re.compile(rb',"([^"]+)"\]\Z')


@dataclass(frozen=True, slots=True)
class Visit:
    """What a client does when it is there: what it says with CONNECT, and what it asks then."""

    asks: tuple[str, ...] = ()  # each an event as a JSON array; numbered from 0, and answered
    auth: str = ""  # JSON


class Buffer:
    """Where all the clients of a process read into; the first bytes are for the end of what came before."""

    def __init__(self, size: int = 1 << 18) -> None:
        self.bytes = bytearray(_TAIL + size)
        self.view = memoryview(self.bytes)


class Client:
    """One client. ``greeted`` once every question has its answer; ``events`` counts from the beginning."""

    __slots__ = (
        "_buffer", "_rest", "_tail", "_upgraded", "_visit", "_waiting_for",
        "answers", "events", "greeted", "greeting", "socket",
    )  # fmt: skip

    def __init__(self, buffer: Buffer, visit: Visit) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.events = 0
        self.greeted = False
        self.greeting = ""  # what CONNECT was answered
        self.answers: list[bytes] = []
        self._buffer = buffer
        self._visit = visit
        self._waiting_for = len(visit.asks)
        self._upgraded = False
        self._rest = b""
        self._tail = bytes(_TAIL)

    def connect(self, port: int) -> None:
        """Begin to connect; the socket becomes readable or writable when there is something to do."""
        with suppress(BlockingIOError):
            self.socket.connect(("127.0.0.1", port))

    def connected(self, port: int) -> None:
        """Say hello."""
        if error := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, "cannot connect")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(_UPGRADE % port)

    def receive(self) -> int:
        """Read what there is; how many bytes. Raises when the server has closed the connection."""
        size = self.socket.recv_into(self._buffer.view[_TAIL:])
        if not size:
            raise ConnectionError("the server closed the connection")
        if self.greeted:
            self._count(size)
        else:
            self._greet(bytes(self._buffer.view[_TAIL : _TAIL + size]))
        return size

    def sent_ns(self, size: int) -> list[int]:
        """When the events among the last ``size`` bytes read were sent, as they say."""
        return [int(text) for text in _SENT.findall(self._buffer.bytes, _TAIL, _TAIL + size)]

    @property
    def pid(self) -> str:
        """The private id that Node gives for recovery."""
        found = _PID.search(self.greeting)
        return found[1] if found else ""

    @property
    def offset(self) -> str:
        """Where in Node's history this client is: the last thing in the latest event."""
        found = _OFFSET.search(self._tail)
        return found[1].decode() if found else ""

    def _count(self, size: int) -> None:
        # Only counted, in place: an event or a ping that arrives in two pieces is found with the old tail.
        buffer, end = self._buffer.bytes, _TAIL + size
        buffer[:_TAIL] = self._tail
        self.events += buffer.count(MARKER, 0, end)
        if buffer.find(_PING, _TAIL + 1 - len(_PING), end) >= 0:
            self._send(_PONG)
        self._tail = bytes(buffer[size:end])

    def _greet(self, received: bytes) -> None:
        self._rest += received
        if not self._upgraded:
            head, end, self._rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                raise ConnectionError(f"no WebSocket: {head[:200]!r}")
            self._upgraded = True
        while not self.greeted and (message := self._message()) is not None:
            self._take(message)
        if self.greeted and self._rest:
            self._buffer.view[_TAIL : _TAIL + len(self._rest)] = self._rest
            self._count(len(self._rest))

    def _message(self) -> bytes | None:
        """Cut one message off what has been read; ``None``: it is not whole yet."""
        rest = self._rest
        if len(rest) < 2:
            return None
        length, begin = rest[1], 2
        if length >= 126:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(rest[2:begin])
        if len(rest) < begin + length:
            return None
        self._rest = rest[begin + length :]
        return rest[begin : begin + length]

    def _take(self, message: bytes) -> None:
        self.events += message.count(MARKER)
        if message.startswith(b"0"):
            self._send(b"40" + self._visit.auth.encode())
        elif message.startswith(b"40"):
            self.greeting = message.decode()
            for number, ask in enumerate(self._visit.asks):
                self._send(b"42%d%b" % (number, ask.encode()))
        elif message.startswith(b"43"):
            if b'"success":true' not in message:
                raise ConnectionError(f"refused: {message[:200]!r}")
            self._waiting_for -= 1
        elif message == b"2":
            self._send(_PONG)
        elif not message.startswith(b"42"):
            raise ConnectionError(f"not expected: {message[:200]!r}")
        self.greeted = bool(self.greeting) and not self._waiting_for

    def _send(self, message: bytes) -> None:
        # A client must mask what it sends (RFC 6455); with zeros that changes nothing.
        length = len(message)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2)
        self.socket.sendall(b"\x81" + size + bytes(4) + message)

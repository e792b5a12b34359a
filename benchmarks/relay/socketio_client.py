"""A Socket.IO client as raw bytes on a non-blocking socket: a handshake, then a count of events.

Engine.IO 4 over WebSocket from the start (https://socket.io/docs/v4/engine-io-protocol/). After the handshake
nothing is decoded, so a thousand clients need little CPU.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass

MARKER = b'"workerType":"cto_operation"'  # exactly once in every event, in any encoding
_TAIL = len(MARKER) - 1
_SENT = re.compile(rb"sent (\d+)")
_PING, _PONG = b"\x81\x012", b"3"
_UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_PID, _OFFSET = re.compile(r'"pid":"([^"]+)"'), re.compile(rb',"([^"]+)"\]\Z')


@dataclass(frozen=True, slots=True)
class Script:
    """A client's address, and its handshake: the payload of CONNECT, then events to send."""

    requests: tuple[str, ...] = ()  # events as JSON arrays, with acknowledgement ids from 0
    auth: str = ""  # JSON
    address: str = ""  # of this machine; by default the system chooses it


class Buffer:
    """The read buffer of all clients of a process. Its first bytes are for the end of the previous read."""

    def __init__(self, size: int = 1 << 18) -> None:
        self.bytes = bytearray(_TAIL + size)
        self.view = memoryview(self.bytes)


class Client:
    """One client. It is ``ready`` when its requests are acknowledged. ``events`` counts from the start."""

    __slots__ = (
        "_buffer", "_rest", "_script", "_tail", "_unacknowledged", "_upgraded",
        "connect_reply", "events", "ready", "socket",
    )  # fmt: skip

    def __init__(self, buffer: Buffer, script: Script) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.events = 0
        self.ready = False
        self.connect_reply = ""
        self._buffer = buffer
        self._script = script
        self._unacknowledged = len(script.requests)
        self._upgraded = False
        self._rest = b""
        self._tail = bytes(_TAIL)

    def connect(self, port: int) -> None:
        """Start to connect. The socket becomes writable when it is connected."""
        if self._script.address:
            self.socket.bind((self._script.address, 0))
        with suppress(BlockingIOError):
            self.socket.connect(("127.0.0.1", port))

    def connected(self, port: int) -> None:
        """Send the WebSocket handshake."""
        if error := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, "cannot connect")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(_UPGRADE % port)

    def receive(self) -> int:
        """Read once. Returns the number of bytes. Raises if the server closed the connection."""
        size = self.socket.recv_into(self._buffer.view[_TAIL:])
        if not size:
            raise ConnectionError("the server closed the connection")
        if self.ready:
            self._count(size)
        else:
            self._handshake(self.last_read(size))
        return size

    def sent_ns(self, size: int) -> list[int]:
        """Return the send times in the events of the last ``size`` bytes read."""
        return [int(text) for text in _SENT.findall(self._buffer.bytes, _TAIL, _TAIL + size)]

    def last_read(self, size: int) -> bytes:
        """Return the last ``size`` bytes read."""
        return bytes(self._buffer.view[_TAIL : _TAIL + size])

    @property
    def pid(self) -> str:
        """Return the private id that Node assigns for recovery."""
        found = _PID.search(self.connect_reply)
        return found[1] if found else ""

    @property
    def offset(self) -> str:
        """Return this client's offset in Node's history: the last element of the latest event."""
        found = _OFFSET.search(self._tail)
        return found[1].decode() if found else ""

    def _count(self, size: int) -> None:
        # Counts in place. The previous tail finds events and pings that arrive in two reads.
        buffer, end = self._buffer.bytes, _TAIL + size
        buffer[:_TAIL] = self._tail
        self.events += buffer.count(MARKER, 0, end)
        if buffer.find(_PING, _TAIL + 1 - len(_PING), end) >= 0:
            self._send(_PONG)
        self._tail = bytes(buffer[size:end])

    def _handshake(self, received: bytes) -> None:
        self._rest += received
        if not self._upgraded:
            head, end, self._rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                raise ConnectionError(f"no WebSocket: {head[:200]!r}")
            self._upgraded = True
        while not self.ready and (message := self._message()) is not None:
            self._handle(message)
        if self.ready and self._rest:
            self._buffer.view[_TAIL : _TAIL + len(self._rest)] = self._rest
            self._count(len(self._rest))

    def _message(self) -> bytes | None:
        """Remove one message from the bytes read. Returns ``None`` if it is incomplete."""
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

    def _handle(self, message: bytes) -> None:
        self.events += message.count(MARKER)
        if message.startswith(b"0"):
            self._send(b"40" + self._script.auth.encode())
        elif message.startswith(b"40"):
            self.connect_reply = message.decode()
            for number, request in enumerate(self._script.requests):
                self._send(b"42%d%b" % (number, request.encode()))
        elif message.startswith(b"43"):
            if b'"success":true' not in message:
                raise ConnectionError(f"refused: {message[:200]!r}")
            self._unacknowledged -= 1
        elif message == b"2":
            self._send(_PONG)
        elif not message.startswith(b"42"):
            raise ConnectionError(f"unexpected message: {message[:200]!r}")
        self.ready = bool(self.connect_reply) and not self._unacknowledged

    def _send(self, message: bytes) -> None:
        # Clients must mask frames (RFC 6455). A mask of zeros leaves the bytes unchanged.
        length = len(message)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2)
        self.socket.sendall(b"\x81" + size + bytes(4) + message)

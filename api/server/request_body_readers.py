"""The body of a request: its reader, a decoder of chunks (RFC 9112, section 7.1), and a limit on its cost."""

from __future__ import annotations

import io
import re
import time
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest

from api.server.http_head_parser import parse_fields
from api.server.protocol_errors import HeadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from api.server.http_head_parser import Head

# The server reads up to this many bytes after a head, also of a body that is too large, so that the client
# can read the error response.
MAX_SENT_BYTES = 16 * 1024 * 1024
MIN_COUNTED_BYTES = 128  # a read counts for at least this many bytes, because each small chunk is work, too
MAX_CHUNK_LINE_BYTES = 4_096  # of the lines between chunks
DISCARD_BYTES = 16_384  # at once

# Only this form of a size is accepted, because a proxy could parse another form differently.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t -~\x80-\xff]*)?\r\n")


class ChunkError(BadRequest):
    """Invalid chunks. The start of the next request on the connection is unknown."""


class Chunks(io.RawIOBase):
    """A stream of the decoded body.

    ``file`` has ``read`` and ``readline``, and is positioned at the first chunk.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = 0  # unread bytes of the chunk
        self._ended = False
        self._error: ChunkError | None = None

    def readable(self) -> bool:
        """Return ``True``, as :mod:`io` requires."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``. Return the number of bytes; 0 after the end.

        Raises :class:`ChunkError`, also at every later read: what follows must not look like a body.
        """
        if self._error:
            raise self._error
        try:
            return self._read(memoryview(buffer))
        except ChunkError as error:
            self._error = error
            raise

    def _read(self, buffer: memoryview) -> int:
        if not self._left and not self._ended:
            self._start_chunk()
        if self._ended:
            return 0
        data = self._file.read(min(len(buffer), self._left))
        if not data:
            raise ChunkError("the connection ended within a chunk")
        buffer[: len(data)] = data
        self._left -= len(data)
        if not self._left and self._file.readline(2) != b"\r\n":
            raise ChunkError("a chunk is longer than its declared size: end it with CRLF")
        return len(data)

    def _start_chunk(self) -> None:
        """Read a chunk's size. After the last chunk, read the trailer fields, which are not used."""
        match = _SIZE.fullmatch(self._file.readline())
        if not match:
            raise ChunkError("a chunk has no valid size: send up to 8 hexadecimal digits and CRLF")
        self._left = int(match[1], 16)
        if not self._left:
            self._read_trailers()
            self._ended = True

    def _read_trailers(self) -> None:
        try:
            parse_fields(iter(self._file.readline, b""))
        except HeadError as error:
            raise ChunkError(f"in the trailer fields: {error}") from error


class LimitedReader:
    """Reads the bytes after a head, within :data:`MAX_SENT_BYTES`. Other threads run between reads."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MAX_SENT_BYTES

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, or fewer at the end. Raises ``ConnectionAbortedError`` above the limit."""
        return self._counted(self._file.read(size))

    def readline(self, size: int = -1) -> bytes:
        """Return a line, cut at :data:`MAX_CHUNK_LINE_BYTES`. Raises as :meth:`read`."""
        limit = MAX_CHUNK_LINE_BYTES
        return self._counted(self._file.readline(limit if size < 0 else min(size, limit)))

    def _counted(self, data: bytes) -> bytes:
        self._left -= max(len(data), MIN_COUNTED_BYTES)
        if self._left < 0:
            raise ConnectionAbortedError(f"the client sent more than {MAX_SENT_BYTES} bytes after a head")
        time.sleep(0)  # a green thread runs only when the current one yields
        return data


class RequestBody:
    """The body of a request: WSGI's input stream. It ends where the request ends."""

    def __init__(self, file: Any, head: Head, send: Callable[[bytes], object]) -> None:
        """``file`` is positioned after the head.

        ``send`` sends ``100 Continue`` to a client that waits for it.
        """
        reader = LimitedReader(file)
        self.chunked = "transfer-encoding" in head.fields
        self._left = int(head.fields.get("content-length", 0))  # unread bytes, unless chunked
        self._stream: Any = io.BufferedReader(Chunks(reader)) if self.chunked else reader
        self._broken = False  # whether its end cannot be found
        # A client of HTTP/1.0 does not understand 100 Continue (RFC 9110, section 10.1.1).
        expects = head.version == "HTTP/1.1" and head.fields.get("expect", "").lower() == "100-continue"
        self._allow = send if expects and (self.chunked or self._left) else None

    def read(self, size: int | None = -1) -> bytes:
        """Read ``size`` bytes, or all. Raises :class:`ChunkError`."""
        return self._read(self._stream.read, size)

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line of at most ``size`` bytes. Raises :class:`ChunkError`."""
        return self._read(self._stream.readline, size)

    def readlines(self, _: int | None = None) -> list[bytes]:
        """Read all lines. Raises :class:`ChunkError`."""
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def note_response(self) -> bool:
        """Record that the response begins. Return whether the connection must end after the response.

        It must end if the end of the body cannot be found, or if the client may still wait to send the body.
        """
        waits, self._allow = self._allow is not None, None
        return waits or self._broken

    def discard(self) -> bool:
        """Read the rest. Return whether the next request on the connection can be found."""
        try:
            while self.read(DISCARD_BYTES):
                pass
        except (ChunkError, OSError):  # the response has been sent
            return False
        return not self._broken

    def _read(self, read: Callable[[int], bytes], size: int | None) -> bytes:
        if self._allow:
            self._allow(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._allow = None
        size = -1 if size is None else size
        if self.chunked:
            return self._decoded(read, size)
        size = self._left if size < 0 else min(size, self._left)
        data = read(size) if size else b""
        self._left -= len(data)
        return data

    def _decoded(self, read: Callable[[int], bytes], size: int) -> bytes:
        try:
            return read(size)
        except ChunkError:
            self._broken = True
            raise

"""Readers of request bodies: one decodes chunks (RFC 9112, section 7.1), one limits what a body may cost."""

from __future__ import annotations

import io
import re
import time
from typing import Any

from werkzeug.exceptions import BadRequest

from api.protocol_errors import HeadError
from api.server.http_head_parser import parse_fields

# A client with too large a body can still read the error response.
MAX_SENT_BYTES = 16 * 1024 * 1024  # after a head
MIN_COUNTED_BYTES = 128  # a read counts for at least this many bytes, for many small chunks are as much work
MAX_CHUNK_LINE_BYTES = 4_096  # of the lines between chunks

# No other spelling of a size: a proxy in front might read it as another size.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t -~\x80-\xff]*)?\r\n")


class ChunkError(BadRequest):
    """Invalid chunks. The start of the next request on the connection is unknown."""


class Chunks(io.RawIOBase):
    """A stream of the decoded body. ``file``, with ``read`` and ``readline``, is at its first chunk."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = 0  # unread bytes of the chunk
        self._ended = False
        self._error: ChunkError | None = None

    def readable(self) -> bool:
        """Return ``True``, as :mod:`io` requires."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``. Return the number of bytes, which is 0 after the end.

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
    """Reads the bytes after a head, within :data:`MAX_SENT_BYTES`. Other threads run between reads.

    eventlet reads a body to its end even if the application does not use it, and accepts a chunk size in a
    line of any length.
    """

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

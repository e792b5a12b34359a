"""A request body that comes in chunks (RFC 9112, section 7.1)."""

from __future__ import annotations

import io
import re
from typing import Any

from werkzeug.exceptions import BadRequest

from api.errors import HeadError
from api.server.http_head import fields

# No other spelling of a size: a proxy in front may read that as another size.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t -~\x80-\xff]*)?\r\n")


class ChunkError(BadRequest):
    """Chunks that cannot be read. It is unknown where the next request on the connection begins."""


class Chunks(io.RawIOBase):
    """Reads a body out of its chunks, of which ``file``, with ``read`` and ``readline``, has the rest."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = 0  # bytes of the chunk that have not been read
        self._ended = False
        self._error: ChunkError | None = None

    def readable(self) -> bool:
        """Return ``True``, as :mod:`io` wants to know."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer`` and return how many bytes; 0 after the end.

        Raises :class:`ChunkError`, and then again at every later read: the rest must not look like a body.
        """
        if self._error:
            raise self._error
        try:
            return self._read(memoryview(buffer))
        except ChunkError as error:
            self._error = error
            raise

    def _read(self, room: memoryview) -> int:
        if not self._left and not self._ended:
            self._begin()
        if self._ended:
            return 0
        data = self._file.read(min(len(room), self._left))
        if not data:
            raise ChunkError("the connection ended within a chunk")
        room[: len(data)] = data
        self._left -= len(data)
        if not self._left and self._file.readline(2) != b"\r\n":
            raise ChunkError("a chunk is longer than its size says")
        return len(data)

    def _begin(self) -> None:
        """Read a chunk's size; after the last chunk, the trailer fields, which nobody uses."""
        match = _SIZE.fullmatch(self._file.readline())
        if not match:
            raise ChunkError("a chunk does not begin with its size: send up to 8 hexadecimal digits and CRLF")
        self._left = int(match[1], 16)
        if not self._left:
            self._read_trailers()
            self._ended = True

    def _read_trailers(self) -> None:
        try:
            fields(iter(self._file.readline, b""))
        except HeadError as error:
            raise ChunkError(f"after the chunks: {error}") from error

"""A reader for request bodies that limits how much of a connection is read for one body."""

from __future__ import annotations

import time
from typing import Any

MAX_SENT_BYTES = (
    16 * 1024 * 1024
)  # after a head; a client with too large a body can still read the error response
MIN_COUNTED_BYTES = 128  # a read counts for at least this many bytes, for many small chunks are as much work
MAX_CHUNK_LINE_BYTES = 4_096  # of the lines between chunks


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

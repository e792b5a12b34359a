"""The compression of the archive's documents."""

from __future__ import annotations

import zlib

_LEVEL = 6


def packed(document: bytes) -> bytes:
    """Return a JSON document as the archive stores it."""
    return zlib.compress(document, _LEVEL)


def unpacked(stored: bytes) -> bytes:
    """Return the JSON document that :func:`packed` has compressed."""
    return zlib.decompress(stored)

"""The head of an HTTP request: its first line and its header fields (RFC 9112, sections 3 and 5).

The standard library reads header fields as those of a mail, at a quarter of what it costs to accept a client,
and takes for text what is no field at all. Here that is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FIELDS = 100

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"[!-~\x80-\xff]+")
_VERSION = re.compile(r"HTTP/1\.[0-9]")


class HeadError(Exception):
    """A client that speaks no HTTP that is understood here."""


class Fields:
    """The header fields, as eventlet asks for them."""

    type = "text/plain"  # what a body is taken for when its type is not told

    __slots__ = ("_first", "_headers")

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._headers = fields
        self._first = {name.lower(): value for name, value in reversed(fields)}

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of the first field of that name."""
        return self._first.get(name.lower(), default)


def request_line(line: bytes) -> tuple[str, str, str]:
    """Return method, target and version. Raises :class:`HeadError`."""
    method, _, rest = _text(line).partition(" ")
    target, _, version = rest.partition(" ")
    if not (_TOKEN.fullmatch(method) and _TARGET.fullmatch(target) and _VERSION.fullmatch(version)):
        raise HeadError("no request")
    return method, target, version


def fields(lines: Iterable[bytes]) -> Fields:
    """Read header fields up to the empty line. Raises :class:`HeadError`, also when there is none."""
    found: list[tuple[str, str]] = []
    for line in lines:
        text = _text(line)
        if not text:
            return Fields(found)
        name, colon, value = text.partition(":")
        if not (colon and _TOKEN.fullmatch(name)) or len(found) == MAX_FIELDS:
            raise HeadError("no header field")
        found.append((name, value.strip(" \t")))
    raise HeadError("no end")


def _text(line: bytes) -> str:
    text = line.decode("latin-1").removesuffix("\n").removesuffix("\r")
    if "\r" in text or "\0" in text:
        raise HeadError("a line in a line")
    return text

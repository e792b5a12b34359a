"""The head of an HTTP request: its request line and its header fields (RFC 9112, sections 2 to 6).

A proxy in front may read an ambiguous head in another way, and then takes a part of one request for another
request. So this is stricter than eventlet: an ambiguous head is refused, and the connection ends.
"""

from __future__ import annotations

import json
import re
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, NamedTuple

from api.errors import HeadError
from api.server.security_headers import SECURITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FIELDS = 100
MAX_LINE_BYTES = 8_192  # of a header field
MAX_FIELDS_BYTES = 65_536  # of all header fields

_REQUEST_LINE = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!\"$-~\x80-\xff]+) HTTP/([0-9])\.([0-9])\r?\n"  # no "#" in a target
)
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t -~\x80-\xff]*)\r?\n")
_EMPTY = (b"\r\n", b"\n")
_ONCE = {"host", "content-length", "transfer-encoding"}
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~-]+)(?::[0-9]{0,5})?")
_LENGTH = re.compile(r"[0-9]{1,18}")
_ABSOLUTE = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE)
_SHOWN = 60  # characters of a wrong value that an error message contains
_TOO_LARGE = (
    f"the header fields are too large: send {MAX_FIELDS} of {MAX_LINE_BYTES - 1} bytes each at most, "
    f"and {MAX_FIELDS_BYTES} bytes of all"
)
_REASONS = {
    400: "Bad Request",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    505: "HTTP Version Not Supported",
}


class HeaderFields:
    """The header fields, as eventlet reads them."""

    type = "text/plain"  # the media type of a body that declares none

    __slots__ = ("_first", "_headers")

    def __init__(self, headers: list[tuple[str, str]], first: dict[str, str]) -> None:
        """``first`` has the value of the first field of each name, which is in lower case."""
        self._headers, self._first = headers, first

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of the first field of that name."""
        return self._first.get(name.lower(), default)

    def set_host(self, value: str) -> None:
        """Replace the field ``Host``."""
        self._headers = [field for field in self._headers if field[0].lower() != "host"] + [("Host", value)]
        self._first["host"] = value

    def decide_end(self, version: str) -> bool:
        """Return whether the connection ends after the response. ``Connection`` then says just that."""
        if "connection" not in self._first:
            return version == "HTTP/1.0"
        options = {option.strip(" \t") for option in self._first["connection"].lower().split(",")}
        keeps = "keep-alive" in options
        ends = "close" in options or (version == "HTTP/1.0" and not keeps)
        # When eventlet writes the response, it compares the value as a whole.
        self._first["connection"] = "close" if ends else "keep-alive" if keeps else ""
        return ends


class Head(NamedTuple):
    """A request's head. ``target`` is ``*`` or begins with one ``/``; ``version`` is HTTP/1.0 or HTTP/1.1."""

    method: str
    target: str
    version: str
    fields: HeaderFields
    ends: bool  # whether the connection ends after the response


def read_head(line: bytes, lines: Iterable[bytes]) -> Head:
    """Read a head: its request line and the lines up to the empty one. Raises :class:`HeadError`."""
    method, target, version = request_line(line)
    found = fields(lines)
    _check_host(found.get("host"), version)
    _check_framing(found.get("content-length"), found.get("transfer-encoding"), version)
    return Head(method, _resource(method, target, found), version, found, found.decide_end(version))


def request_line(line: bytes) -> tuple[str, str, str]:
    """Return method, target and version. Raises :class:`HeadError`."""
    match = _REQUEST_LINE.fullmatch(line.decode("latin-1"))
    if not match:
        raise HeadError("the first line is no request line: send 'METHOD target HTTP/1.1'")
    method, target, major, minor = match.groups()
    if major != "1":
        raise HeadError(f"HTTP/{major}.{minor} is not supported: use HTTP/1.1", 505)
    if method == "CONNECT" or method != method.upper():
        raise HeadError(f"the method {_shown(method)} is not implemented: use GET, for example", 501)
    return method, target, "HTTP/1.0" if minor == "0" else "HTTP/1.1"


def fields(lines: Iterable[bytes]) -> HeaderFields:
    """Read header fields up to the empty line. Raises :class:`HeadError`, also when there is none."""
    headers: list[tuple[str, str]] = []
    first: dict[str, str] = {}
    left = MAX_FIELDS_BYTES
    for line in lines:
        if line in _EMPTY:
            return HeaderFields(headers, first)
        left -= len(line)
        if len(line) >= MAX_LINE_BYTES or left < 0 or len(headers) == MAX_FIELDS:
            raise HeadError(_TOO_LARGE, 431)
        match = _FIELD.fullmatch(line.decode("latin-1"))
        if not match:
            raise HeadError("a line of the head is no header field: send 'Name: value'")
        name, value = match[1], match[2].strip(" \t")
        headers.append((name, value))
        key = name.lower()
        first[key] = value if key not in first else _repeated(key, first[key], value)
    raise HeadError("the head has no end: send an empty line after it")


def _repeated(key: str, first: str, value: str) -> str:
    """Return the value by which a repeated field is known. Raises :class:`HeadError` if it must be one."""
    if key in _ONCE:
        raise HeadError(f"the header field {key} is repeated: send it once")
    return f"{first},{value}" if key == "connection" else first


def error_response(error: HeadError, line: bytes) -> bytes:
    """Return the whole response to a refused head whose request line is ``line``."""
    reason = _REASONS[error.status]
    failure = {"code": error.code, "message": str(error)}
    body = json.dumps({"success": False, "error": failure}).encode()
    head = [
        f"HTTP/1.1 {error.status} {reason}",
        f"Date: {formatdate(usegmt=True)}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "Cache-Control: no-store",
        *(f"{name}: {value}" for name, value in SECURITY_HEADERS),
    ]
    return "\r\n".join([*head, "", ""]).encode() + (b"" if line.startswith(b"HEAD ") else body)


def _check_host(host: str | None, version: str) -> None:
    """Refuse a request that does not name one host (RFC 9112, section 3.2). HTTP/1.0 may name none."""
    if host is None:
        if version == "HTTP/1.1":
            raise HeadError("the header field Host is missing: send the host of the address")
    elif not _HOST.fullmatch(host):
        raise HeadError(f"Host {_shown(host)} is no host: send a name or address, and a port if need be")


def _check_framing(length: str | None, coding: str | None, version: str) -> None:
    """Refuse a request whose body might end in two places (RFC 9112, section 6.3)."""
    if length is not None and not _LENGTH.fullmatch(length):
        raise HeadError(f"Content-Length {_shown(length)} is no length: send the body's bytes in digits")
    if coding is None:
        return
    if length is not None:
        raise HeadError("Content-Length and Transfer-Encoding exclude each other: send one of them")
    if version == "HTTP/1.0":
        raise HeadError("HTTP/1.0 has no Transfer-Encoding: use HTTP/1.1, or send Content-Length")
    *others, last = (name.strip(" \t") for name in coding.lower().split(","))
    if last != "chunked" or "chunked" in others:
        raise HeadError(f"Transfer-Encoding {_shown(coding)} does not tell where the body ends: send chunked")
    if others:
        raise HeadError(f"Transfer-Encoding {_shown(coding)} is not implemented: send chunked", 501)


def _resource(method: str, target: str, found: HeaderFields) -> str:
    """Return the path and query of a target; a host in it replaces ``Host`` (RFC 9112, section 3.2.2)."""
    if not target.startswith("/"):
        if target == "*" and method == "OPTIONS":
            return target
        absolute = _ABSOLUTE.fullmatch(target)
        if not absolute or not _HOST.fullmatch(absolute[1]):
            raise HeadError("the request target is no path and no http address: begin it with '/'")
        found.set_host(absolute[1])
        target = absolute[2]
    if not target.startswith("/") or target.startswith("//"):
        return "/" + target.lstrip("/")  # two would name a host when a redirect repeats them
    return target


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")

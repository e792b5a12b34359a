"""The head of an HTTP request: its request line and its header fields (RFC 9112, sections 2 to 6).

A proxy in front may read an ambiguous head differently, and mistake a part of one request for another
request. So this parser refuses an ambiguous head, and the connection ends.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, NamedTuple

from api.errors import HeadError, error_body
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
_NOT_REPEATABLE = {"host", "content-length", "transfer-encoding"}
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~-]+)(?::[0-9]{0,5})?")
_LENGTH = re.compile(r"[0-9]{1,18}")
_ABSOLUTE = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE)
_UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}  # in WSGI's environment
_SHOWN = 60  # characters of an invalid value that an error message contains
_TOO_LARGE = (
    f"the header fields are too large: send at most {MAX_FIELDS}, of {MAX_LINE_BYTES - 1} bytes each "
    f"and {MAX_FIELDS_BYTES} bytes in total"
)
_REASONS = {
    400: "Bad Request",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    505: "HTTP Version Not Supported",
}


class HeaderFields:
    """The header fields of a head."""

    __slots__ = ("_first", "_headers")

    def __init__(self, headers: list[tuple[str, str]], first: dict[str, str]) -> None:
        """``first`` maps each name, in lower case, to the value of its first field."""
        self._headers, self._first = headers, first

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of the first field with this name."""
        return self._first.get(name.lower(), default)

    def __contains__(self, name: str) -> bool:
        """Return whether there is a field with this name in lower case."""
        return name in self._first

    def variables(self) -> dict[str, str]:
        """Return the fields as variables of WSGI's environment.

        Values of repeated fields are joined by a comma. Names with an underscore are left out: another name
        could give the same variable.
        """
        found = {key: self._first[name] for name, key in _UNPREFIXED.items() if name in self._first}
        for name, value in self._headers:
            if "_" not in name and name.lower() not in _UNPREFIXED:
                key = f"HTTP_{name.upper().replace('-', '_')}"
                found[key] = f"{found[key]},{value}" if key in found else value
        return found

    def set_host(self, value: str) -> None:
        """Replace the field ``Host`` by one with this value."""
        self._headers = [field for field in self._headers if field[0].lower() != "host"] + [("Host", value)]
        self._first["host"] = value

    def resolve_connection(self, version: str) -> bool:
        """Return whether the connection closes after the response, and reduce ``Connection`` to that."""
        if "connection" not in self._first:
            return version == "HTTP/1.0"
        options = {option.strip(" \t") for option in self._first["connection"].lower().split(",")}
        keeps_alive = "keep-alive" in options
        closes = "close" in options or (version == "HTTP/1.0" and not keeps_alive)
        self._first["connection"] = "close" if closes else "keep-alive" if keeps_alive else ""
        return closes


class Head(NamedTuple):
    """A request's head. ``target`` is ``*`` or begins with one ``/``; ``version`` is HTTP/1.0 or HTTP/1.1."""

    method: str
    target: str
    version: str
    fields: HeaderFields
    closes: bool  # whether the connection closes after the response


def read_head(line: bytes, lines: Iterable[bytes]) -> Head:
    """Read a head: its request line and the lines up to the empty one. Raises :class:`HeadError`."""
    method, target, version = parse_request_line(line)
    found = parse_fields(lines)
    _check_host(found.get("host"), version)
    _check_framing(found.get("content-length"), found.get("transfer-encoding"), version)
    return Head(method, _resource(method, target, found), version, found, found.resolve_connection(version))


def parse_request_line(line: bytes) -> tuple[str, str, str]:
    """Return the method, target and version of a request line. Raises :class:`HeadError`."""
    match = _REQUEST_LINE.fullmatch(line.decode("latin-1"))
    if not match:
        raise HeadError("the first line is not a request line: send 'METHOD target HTTP/1.1'")
    method, target, major, minor = match.groups()
    if major != "1":
        raise HeadError(f"HTTP/{major}.{minor} is not supported: use HTTP/1.1", 505)
    if method == "CONNECT" or method != method.upper():
        raise HeadError(f"the method {_shown(method)} is not implemented: use GET or POST, for example", 501)
    return method, target, "HTTP/1.0" if minor == "0" else "HTTP/1.1"


def parse_fields(lines: Iterable[bytes]) -> HeaderFields:
    """Read header fields up to the empty line. Raises :class:`HeadError`, also when that line is missing."""
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
            raise HeadError("a line of the head is not a header field: send 'Name: value'")
        name, value = match[1], match[2].strip(" \t")
        headers.append((name, value))
        key = name.lower()
        first[key] = value if key not in first else _repeated(key, first[key], value)
    raise HeadError("the head is incomplete: end it with an empty line")


def _repeated(key: str, first: str, value: str) -> str:
    """Return the combined value of a repeated field. Raises :class:`HeadError` if it must not be repeated."""
    if key in _NOT_REPEATABLE:
        raise HeadError(f"the header field {key} is repeated: send it once")
    return f"{first},{value}" if key == "connection" else first


def error_response(error: HeadError, line: bytes) -> bytes:
    """Return the complete response to a refused head. ``line`` is its request line."""
    reason = _REASONS[error.status]
    body = error_body(error.code, str(error))
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
    """Refuse a request without a valid ``Host`` (RFC 9112, section 3.2), which HTTP/1.0 may omit."""
    if host is None:
        if version == "HTTP/1.1":
            raise HeadError("the header field Host is missing: send the host of the URL")
    elif not _HOST.fullmatch(host):
        raise HeadError(f"invalid Host {_shown(host)}: send a name or an address, with a port if needed")


def _check_framing(length: str | None, coding: str | None, version: str) -> None:
    """Refuse a request whose body has an ambiguous end (RFC 9112, section 6.3)."""
    if length is not None and not _LENGTH.fullmatch(length):
        raise HeadError(f"invalid Content-Length {_shown(length)}: send the number of the body's bytes")
    if coding is None:
        return
    if length is not None:
        raise HeadError("both Content-Length and Transfer-Encoding are present: send one of them")
    if version == "HTTP/1.0":
        raise HeadError("HTTP/1.0 has no Transfer-Encoding: use HTTP/1.1, or send Content-Length")
    *others, last = (name.strip(" \t") for name in coding.lower().split(","))
    if last != "chunked" or "chunked" in others:
        raise HeadError(
            f"Transfer-Encoding {_shown(coding)} leaves the end of the body unclear: send chunked"
        )
    if others:
        raise HeadError(f"Transfer-Encoding {_shown(coding)} is not implemented: send chunked", 501)


def _resource(method: str, target: str, found: HeaderFields) -> str:
    """Return the path and query of a target. A host in it replaces ``Host`` (RFC 9112, section 3.2.2)."""
    if not target.startswith("/"):
        if target == "*" and method == "OPTIONS":
            return target
        absolute = _ABSOLUTE.fullmatch(target)
        if not absolute or not _HOST.fullmatch(absolute[1]):
            raise HeadError("the request target is neither a path nor an http URL: begin it with '/'")
        found.set_host(absolute[1])
        target = absolute[2]
    if not target.startswith("/") or target.startswith("//"):
        return "/" + target.lstrip("/")  # in a redirect, "//" would begin with a host
    return target


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")

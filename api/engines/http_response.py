"""The response to an HTTP request, from the parts of a WSGI application (PEP 3333)."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.server.http_head_parser import Head
    from api.server.request_body_readers import RequestBody

IDLE_TIMEOUT_S = 5  # of a connection without a request
_BODYLESS = ("1", "204", "304")  # statuses of responses without a body (RFC 9110, section 6.4.1)
_LAST_CHUNK = b"0\r\n\r\n"


class HttpResponse:
    """Sends a response. ``closes`` is whether the connection closes after it."""

    def __init__(
        self, send: Callable[[bytes], object], head: Head, body: RequestBody, *, closes: bool
    ) -> None:
        """``head`` and ``body`` are those of the request."""
        self._send, self._head, self._request_body, self.closes = send, head, body, closes
        self._status = ""
        self._fields: list[tuple[str, str]] = []
        self._begun = False  # whether its head has been sent
        self._chunked = False

    def start(
        self, status: str, fields: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Set the status and the header fields: WSGI's ``start_response``."""
        if exc_info and self._begun:
            raise exc_info[1].with_traceback(exc_info[2])
        self._status, self._fields = status, list(fields)
        return self._write

    def send(self, parts: Iterable[bytes]) -> None:
        """Send the parts of the body, each at once, and end the response."""
        whole = isinstance(parts, list | tuple) and not self._begun
        if whole and not (self._has("content-length") or self._is_bodyless()):
            self._fields.append(("Content-Length", str(sum(map(len, parts)))))
        for part in parts:
            if part:
                self._write(part)
        if not self._begun:
            self._write(b"")
        if self._chunked:
            self._send(_LAST_CHUNK)

    def fail(self) -> None:
        """End the response after an error, with status 500 if possible."""
        self.closes = True
        if not self._begun:
            self.start("500 Internal Server Error", [("Content-Length", "0")])
            self._write(b"")

    def _write(self, data: bytes) -> None:
        head = b"" if self._begun else self._encoded_head()
        if self._is_bodyless():
            data = b""
        elif self._chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if head or data:
            self._send(head + data)

    def _encoded_head(self) -> bytes:
        if not self._status:
            raise RuntimeError("the application sent a body before it called start_response")
        self._begun = True
        self.closes = self._request_body.note_response() or self.closes
        lines = [f"HTTP/1.1 {self._status}", *(f"{name}: {value}" for name, value in self._fields)]
        if not self._has("date"):
            lines.append(f"Date: {formatdate(usegmt=True)}")
        if not (self._has("content-length") or self._is_bodyless()):
            self._chunked = self._head.version == "HTTP/1.1"
            if self._chunked:
                lines.append("Transfer-Encoding: chunked")
            else:
                self.closes = True  # a client of HTTP/1.0 reads to the end
        lines += self._connection_fields()
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _connection_fields(self) -> list[str]:
        if self.closes:
            return ["Connection: close"]
        if self._head.fields.get("connection") == "keep-alive":
            return ["Connection: keep-alive", f"Keep-Alive: timeout={IDLE_TIMEOUT_S}"]
        return []

    def _has(self, name: str) -> bool:
        return any(field.lower() == name for field, _ in self._fields)

    def _is_bodyless(self) -> bool:
        return self._head.method == "HEAD" or self._status.startswith(_BODYLESS)

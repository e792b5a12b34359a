"""A connection of HTTP/1.1: reads its requests, and sends the responses of a WSGI application (PEP 3333)."""

from __future__ import annotations

import logging
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from api.engines.http_response import IDLE_TIMEOUT_S, HttpResponse
from api.limits.client_address_prefix import network_of
from api.server.fair_queueing import CALLER
from api.server.http_head_parser import MAX_LINE_BYTES, error_response, read_head
from api.server.protocol_errors import HeadError
from api.server.request_body_readers import RequestBody
from api.server.websocket_handshake import wants_upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.server.fair_queueing import FairQueue
    from api.server.http_head_parser import Head

READ_TIMEOUT_S = 20  # within a request; a WebSocket client must answer a ping within 15 s
MAX_URL_BYTES = 32_768  # fits 500 job ids
READ_BYTES = 1_024  # at once, of a head

_CONNECTION = "gateway.connection"  # the key of the connection in a request's environment

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """The application and the options that all connections of a server share."""

    app: Callable[..., Iterable[bytes]]
    keep_alive: bool  # whether a connection may have several requests
    heads: FairQueue | None  # paces the parsing of heads
    stopping: Callable[[], bool]  # whether connections end after their current request


class HttpConnection:
    """A client's connection. A request can detach it; the connection then remains open after the request."""

    def __init__(self, service: Service, connection: Any, address: Any) -> None:
        self._service, self._connection, self._address = service, connection, address
        self._idle = True  # whether it waits for a request
        self._detached = False
        self._last_caller = ""
        self._file: Any = None

    def serve(self) -> None:
        """Serve requests until either side closes the connection, or it is detached."""
        try:
            self._set_up()
            while self._serve_request():
                # A client that pipelines requests would otherwise keep this thread: its reads return at once.
                time.sleep(0)
        except OSError as error:
            log.debug("a connection ended: %s", error)
        finally:
            self._finish()

    def end_if_idle(self) -> None:
        """End the connection if it waits for a request."""
        if self._idle and not self._detached:
            self._shut_down()

    def detach(self) -> Any:
        """Return the client's socket. Its request gets no response from here, and does not close it."""
        self._detached = True
        self._file.close()
        return self._connection

    def _set_up(self) -> None:
        # Nagle's algorithm would delay the second of two writes by 40 ms.
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server_address = self._connection.getsockname()
        self._file = self._connection.makefile("rb", READ_BYTES)

    def _serve_request(self) -> bool:
        """Serve the next request. Return whether another one may follow."""
        line = self._read_request_line()
        self._idle = False
        head = self._read_head(line) if line else None
        if head is None:
            return False
        keeps = self._respond(head)
        self._idle = True
        return keeps and not self._service.stopping()

    def _read_request_line(self) -> bytes:
        """Return the request line, or ``b""`` at the end.

        An empty line before it is skipped (RFC 9112, section 2.2): some clients send one after a body.
        """
        self._connection.settimeout(IDLE_TIMEOUT_S if self._service.keep_alive else READ_TIMEOUT_S)
        line: bytes = self._file.readline(MAX_URL_BYTES)
        if line == b"\r\n":
            line = self._file.readline(MAX_URL_BYTES)
        self._connection.settimeout(READ_TIMEOUT_S)
        return line

    def _read_head(self, line: bytes) -> Head | None:
        """Read the rest of a head. An invalid one is answered; its connection ends."""
        try:
            return self._parsed_head(line)
        except HeadError as error:
            self._connection.sendall(error_response(error, line))
            return None

    def _parsed_head(self, line: bytes) -> Head:
        if len(line) >= MAX_URL_BYTES:
            raise HeadError(f"the request line has {MAX_URL_BYTES} bytes or more: shorten the URL", 414)
        if self._service.heads:
            # Queued by the last caller: users behind one address do not wait for each other's requests.
            self._service.heads.wait(self._last_caller or network_of(self._address[0]))
        return read_head(line, iter(partial(self._file.readline, MAX_LINE_BYTES), b""))

    def _respond(self, head: Head) -> bool:
        """Answer a request. Return whether another one may follow."""
        body = RequestBody(self._file, head, self._connection.sendall)
        environ = self._environ(head, body)
        closes = head.closes or not self._service.keep_alive or self._service.stopping()
        response = HttpResponse(self._connection.sendall, head, body, closes=closes)
        try:
            self._run_app(environ, response)
        except OSError as error:
            log.debug("a response was not sent: %s", error)
            return False
        except Exception:
            log.exception("unexpected error in the application")
            response.fail()
        self._last_caller = environ.get(CALLER, "")
        return not (self._detached or response.closes) and body.discard()

    def _run_app(self, environ: dict[str, Any], response: HttpResponse) -> None:
        parts = self._service.app(environ, response.start)
        try:
            if not self._detached:
                response.send(parts)
        finally:
            close = getattr(parts, "close", None)
            if close:
                close()

    def _environ(self, head: Head, body: RequestBody) -> dict[str, Any]:
        """Return the environment of a request, with keys of Werkzeug and of this module."""
        path, _, query = head.target.partition("?")
        environ = {
            "REQUEST_METHOD": head.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": self._server_address[0],
            "SERVER_PORT": str(self._server_address[1]),
            "SERVER_PROTOCOL": head.version,
            "REMOTE_ADDR": self._address[0],
            "REMOTE_PORT": str(self._address[1]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": body,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "werkzeug.socket": self._connection,
            _CONNECTION: self,
        }
        environ.update(head.fields.variables())
        if body.chunked:
            environ["wsgi.input_terminated"] = True  # else Werkzeug treats a chunked body as empty
        if "HTTP_UPGRADE" in environ and not wants_upgrade(environ):
            del environ["HTTP_UPGRADE"]  # it is for another connection (RFC 9110, section 7.8)
        return environ

    def _shut_down(self) -> None:
        with suppress(OSError):  # the client is gone
            self._connection.shutdown(socket.SHUT_RDWR)

    def _finish(self) -> None:
        if self._detached:
            return
        self._shut_down()
        if self._file:
            self._file.close()
        self._connection.close()


def detach_socket(environ: dict[str, Any]) -> Any:
    """Return the socket of a request's client. The server then sends no response and does not close it."""
    return environ[_CONNECTION].detach()

"""The signer's Unix socket. Processes of users that are not configured get a refusal."""

from __future__ import annotations

import logging
import os
import pwd
import socket
import socketserver
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from cto_worker.errors import ConfigError
from cto_worker.signer.protocol import MAX_BYTES, Failure, Refusal, Request

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cto_worker.signer.protocol import Response
    from cto_worker.signer.service import SigningService

_log = logging.getLogger(__name__)
_TIMEOUT_S = 2.0  # for each read or write of a client
_CREDENTIALS = struct.Struct("3i")  # process id, user id, group id
_PRIVATE, _SHARED = 0o600, 0o666


class SignerServer(socketserver.ThreadingUnixStreamServer):
    """Serves requests at a Unix socket, each connection in a thread. The caller holds the signer's lock.

    The socket's mode is 0600. If other users than the signer's are among ``client_uids``, it is 0666, and the
    kernel's credentials of the connected process decide alone.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, service: SigningService, client_uids: frozenset[int]) -> None:
        self.service = service
        self.client_uids = client_uids
        self._path = path
        super().__init__(str(path), _Connection)

    def server_bind(self) -> None:
        """Create the socket, in place of one that a killed signer has left."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o777 & ~_PRIVATE)  # from its creation on
        try:
            super().server_bind()
        except OSError as error:
            raise ConfigError(f"cannot create the socket {self._path} of the signer: {error}") from error
        finally:
            os.umask(before)
        if self.client_uids - {os.geteuid()}:
            self._path.chmod(_SHARED)

    def server_close(self) -> None:
        """Close and remove the socket."""
        super().server_close()
        self._path.unlink(missing_ok=True)


def uids(names: Iterable[str]) -> frozenset[int]:
    """Return this process's user id and those of ``names``: names or numbers of users.

    Raises :class:`ConfigError` for an unknown name.
    """
    return frozenset({os.geteuid(), *(_uid(name) for name in names)})


def _uid(name: str) -> int:
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError as error:
        raise ConfigError(f"CTO_SIGNER_CLIENTS: this system has no user {name!r}") from error


class _Connection(socketserver.BaseRequestHandler):
    server: SignerServer
    request: socket.socket

    def handle(self) -> None:
        self.request.settimeout(_TIMEOUT_S)
        with suppress(OSError):  # the client has gone, or is too slow
            self.request.sendall(msgspec.json.encode(self._response()))

    def _response(self) -> Response:
        pid, uid, _ = _CREDENTIALS.unpack(
            self.request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        if uid not in self.server.client_uids:
            _log.warning("refused: process %d of user %d is not in CTO_SIGNER_CLIENTS", pid, uid)
            return Refusal("client_not_allowed", f"user {uid} is not in CTO_SIGNER_CLIENTS of the signer")
        received = self._received()
        if len(received) > MAX_BYTES:
            return Failure(f"the request has more than {MAX_BYTES} bytes")
        try:
            request = msgspec.json.decode(received, type=Request)
        except msgspec.DecodeError as error:
            return Failure(f"the request is not valid: {error}")
        return self.server.service.respond(request)

    def _received(self) -> bytes:
        """Return the request, or its first ``MAX_BYTES + 1`` bytes."""
        received = bytearray()
        while len(received) <= MAX_BYTES and (part := self.request.recv(MAX_BYTES + 1)):
            received += part
        return bytes(received)

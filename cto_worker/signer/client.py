"""The signer's client, for a market. It blocks, and may be used by several threads at once."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec

from cto_worker.errors import SignerError, SignerRefusedError, SignerUnavailableError
from cto_worker.signer.protocol import (
    MAX_BYTES,
    Addresses,
    AddressesRequest,
    Failure,
    OpenWalletsRequest,
    Refusal,
    Response,
    Signatures,
    SignRequest,
    Unsigned,
    socket_path,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cto_worker.config import Settings
    from cto_worker.signer.protocol import Request

T = TypeVar("T", Addresses, Signatures)
_TIMEOUT_S = 5.0


class SignerClient:
    """A client of the signer at a Unix socket.

    Every method raises :class:`SignerUnavailableError` if the signer does not answer within ``timeout_s``
    seconds, and :class:`SignerError` if the response is not usable. Every request can be repeated: the same
    message has the same signature, and counts once.
    """

    def __init__(self, path: Path, timeout_s: float = _TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s

    @classmethod
    def from_settings(cls, settings: Settings) -> SignerClient:
        """Return a client of the signer at ``CTO_SIGNER_SOCKET``."""
        return cls(socket_path(settings))

    def sign(self, message: bytes, *, user_id: str, wallet: str) -> bytes:
        """Return the signature of a message by a user's wallet, 64 bytes.

        Raises :class:`SignerRefusedError` if the policy refuses the message.
        """
        (result,) = self.sign_all([(wallet, message)], user_id=user_id)
        if isinstance(result, SignerRefusedError):
            raise result
        return result

    def sign_all(
        self, messages: Sequence[tuple[str, bytes]], *, user_id: str
    ) -> list[bytes | SignerRefusedError]:
        """Return the signature of each message, or its refusal. ``messages`` are pairs of wallet and message.

        At most 50 messages (``MAX_MESSAGES``). They count in this order, so a limit refuses the last ones.
        """
        request = SignRequest(user_id, [Unsigned(wallet, message) for wallet, message in messages])
        results = self._call(request, Signatures).results
        if len(results) != len(messages):
            raise SignerError(f"the signer returned {len(results)} results for {len(messages)} messages")
        return [_refusal(each) if isinstance(each, Refusal) else each.signature for each in results]

    def addresses(self, user_id: str) -> list[str]:
        """Return a user's addresses, the funding wallet first. An unknown user has none."""
        return self._call(AddressesRequest(user_id), Addresses).addresses

    def open_wallets(self, user_id: str, count: int) -> list[str]:
        """Return a user's addresses, the funding wallet first, with at least ``count`` operation wallets.

        Missing ones are created. Raises :class:`SignerRefusedError`, with the code ``user_not_found`` or
        ``too_many_wallets``.
        """
        return self._call(OpenWalletsRequest(user_id, count), Addresses).addresses

    def _call(self, request: Request, expected: type[T]) -> T:
        try:
            received = self._exchange(msgspec.json.encode(request))
        except OSError as error:
            raise SignerUnavailableError(
                f"the signer at {self._path} does not answer: {error}. Start it with `cto signer run`"
            ) from error
        if not received:
            raise SignerUnavailableError(
                f"the signer at {self._path} closed the connection: repeat the request"
            )
        return _checked(received, expected)

    def _exchange(self, request: bytes) -> bytes:
        """Send a request, and return the response. Raises :class:`OSError`."""
        deadline_s = time.monotonic() + self._timeout_s
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self._timeout_s)
            connection.connect(str(self._path))
            with suppress(BrokenPipeError):  # a refusal does not wait for the request
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            received = bytearray()
            with suppress(ConnectionResetError):  # the same, after the response was read
                while part := connection.recv(MAX_BYTES):
                    received += part
                    remaining_s = deadline_s - time.monotonic()
                    if remaining_s <= 0 or len(received) > MAX_BYTES:
                        raise TimeoutError("the response is too slow or too long")
                    connection.settimeout(remaining_s)
        return bytes(received)


def _checked(received: bytes, expected: type[T]) -> T:
    try:
        response = msgspec.json.decode(received, type=Response)
    except msgspec.DecodeError as error:
        raise SignerError(f"the signer's response is not valid: {error}") from error
    if isinstance(response, Refusal):
        raise _refusal(response)
    if isinstance(response, Failure):
        raise SignerError(response.message)
    if not isinstance(response, expected):
        raise SignerError(f"the signer responded with {type(response).__name__}")
    return response


def _refusal(refusal: Refusal) -> SignerRefusedError:
    return SignerRefusedError(refusal.code, refusal.message)

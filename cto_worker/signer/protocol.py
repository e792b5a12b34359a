"""The messages between a client and the signer: one request and one response per connection, in JSON.

A client sends its request and closes its direction. No request imports a key, because a wallet whose key a
client knows would be a destination for the user's money; and no response contains a key.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from cto_worker.config import Settings

MAX_BYTES = 131_072  # of a request or a response
MAX_MESSAGES = 50  # of one request


class Unsigned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message to be signed by a wallet."""

    wallet: str
    message: bytes


class SignRequest(msgspec.Struct, frozen=True, tag="sign", forbid_unknown_fields=True):
    """Sign messages of one user. The response is :class:`Signatures`."""

    user_id: str
    messages: list[Unsigned]


class AddressesRequest(msgspec.Struct, frozen=True, tag="addresses", forbid_unknown_fields=True):
    """List a user's addresses. The response is :class:`Addresses`."""

    user_id: str


class OpenWalletsRequest(msgspec.Struct, frozen=True, tag="open_wallets", forbid_unknown_fields=True):
    """The same, with at least ``count`` operation wallets, of which missing ones are created."""

    user_id: str
    count: int


class Refusal(msgspec.Struct, frozen=True, tag="refused"):
    """The signer's policy refuses a request, or one message of it."""

    code: str
    message: str


class Signature(msgspec.Struct, frozen=True, tag="signed"):
    """The signature of one message, 64 bytes."""

    signature: bytes


class Signatures(msgspec.Struct, frozen=True, tag="signatures"):
    """A result for each message of the request, in its order."""

    results: list[Signature | Refusal]


class Addresses(msgspec.Struct, frozen=True, tag="addresses"):
    """A user's addresses in the order of their creation; the first is the funding wallet."""

    addresses: list[str]


class Failure(msgspec.Struct, frozen=True, tag="failed"):
    """A defect of the signer, which its log describes, or an invalid request."""

    message: str


Request: TypeAlias = SignRequest | AddressesRequest | OpenWalletsRequest
Response: TypeAlias = Signatures | Addresses | Refusal | Failure


def socket_path(settings: Settings) -> Path:
    """Return the path of the signer's Unix socket."""
    if settings.signer_socket:
        return Path(settings.signer_socket)
    return settings.data_dir.absolute() / "signer.sock"

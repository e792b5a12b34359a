"""Transactions and messages as they arrive at a node: decoded and checked."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import base58
from solders.message import from_bytes_versioned
from solders.transaction import VersionedTransaction

from cto_worker.markets.solana.local_chain.rpc.rpc_error import INVALID_PARAMS, SIGNATURE_FAILURE, RpcError
from cto_worker.markets.solana.local_chain.transaction_accounts import supported

if TYPE_CHECKING:
    from solders.message import Message, MessageV0

    from cto_worker.markets.solana.local_chain.rpc.request import Request

MAX_TRANSACTION_BYTES = 1_232


def transaction_of(request: Request) -> VersionedTransaction:
    """Return the transaction in the first parameter. Its signatures are not checked."""
    data = _decoded(request.parameter(0, str), request.config().get("encoding", "base58"))
    if len(data) > MAX_TRANSACTION_BYTES:
        raise RpcError(
            INVALID_PARAMS,
            f"the transaction has {len(data)} bytes: at most {MAX_TRANSACTION_BYTES} are possible",
        )
    try:
        transaction = VersionedTransaction.from_bytes(data)
        transaction.sanitize()
        supported(transaction.message)
    except Exception as error:  # solders raises several kinds
        raise RpcError(INVALID_PARAMS, f"the transaction cannot be decoded: {error}") from error
    return transaction


def check_signatures(transaction: VersionedTransaction) -> None:
    """Raise :class:`RpcError` if a signature is not that of the transaction's message."""
    if not all(transaction.verify_with_results()):
        raise RpcError(SIGNATURE_FAILURE, "Transaction signature verification failure")


def message_of(text: str) -> Message | MessageV0:
    """Return the message with these bytes in base64. Raises :class:`RpcError`."""
    try:
        return supported(from_bytes_versioned(_decoded(text, "base64")))
    except RpcError:
        raise
    except Exception as error:  # solders raises several kinds
        raise RpcError(INVALID_PARAMS, f"the message cannot be decoded: {error}") from error


def _decoded(text: str, encoding: Any) -> bytes:
    if encoding not in {"base58", "base64"}:
        raise RpcError(INVALID_PARAMS, f"encoding is {encoding!r}: use base64")
    try:
        return base64.b64decode(text, validate=True) if encoding == "base64" else base58.b58decode(text)
    except (ValueError, binascii.Error) as error:
        raise RpcError(INVALID_PARAMS, f"the parameter is not valid {encoding}: {error}") from error

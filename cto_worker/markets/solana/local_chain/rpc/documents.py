"""Transactions and accounts as documents of the JSON-RPC interface."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import base58
from solders.message import MessageV0
from solders.transaction import VersionedTransaction

from cto_worker.markets.solana import token_program
from cto_worker.markets.solana.local_chain.rpc.rpc_error import INVALID_PARAMS, RpcError
from cto_worker.markets.solana.local_chain.runtime import token_amount
from cto_worker.markets.solana.local_chain.transaction_accounts import supported

if TYPE_CHECKING:
    from solders.account import Account
    from solders.message import Message

    from cto_worker.markets.solana.local_chain.runtime import Runtime

_RENT_EPOCH = 2**64 - 1  # exempt


def account_document(account: Account, config: dict[str, Any], runtime: Runtime) -> dict[str, Any]:
    """Return an account, its data in the encoding that a request asks for."""
    return {
        "lamports": account.lamports,
        "owner": str(account.owner),
        "executable": account.executable,
        "rentEpoch": _RENT_EPOCH,
        "space": len(account.data),
        "data": _account_data(account, config, runtime),
    }


def _account_data(account: Account, config: dict[str, Any], runtime: Runtime) -> Any:
    encoding = config.get("encoding") or "base64"
    if encoding == "jsonParsed":
        parsed = _parsed_token_account(account, runtime)
        if parsed:
            return parsed
        encoding = "base64"  # as nodes do with accounts that they cannot parse
    part = config.get("dataSlice")
    data = account.data[part["offset"] : part["offset"] + part["length"]] if part else account.data
    if encoding == "base64":
        return [base64.b64encode(data).decode(), "base64"]
    if encoding == "base58":
        return [base58.b58encode(data).decode(), "base58"]
    raise RpcError(INVALID_PARAMS, f"encoding is {encoding!r}: use base64, base58 or jsonParsed")


def _parsed_token_account(account: Account, runtime: Runtime) -> dict[str, Any] | None:
    held = (
        token_program.token_account(account.data) if account.owner in token_program.TOKEN_PROGRAMS else None
    )
    if held is None:
        return None
    info = {
        "mint": str(held.mint),
        "owner": str(held.owner),
        "state": "initialized",
        "isNative": held.native,
        "tokenAmount": token_amount(held.amount, runtime.decimals(held.mint)),
        **({"delegate": str(held.delegate)} if held.delegate else {}),
    }
    program = "spl-token" if account.owner == token_program.TOKEN_PROGRAM else "spl-token-2022"
    return {
        "program": program,
        "parsed": {"type": "account", "info": info},
        "space": len(account.data),
    }


def transaction_document(data: bytes, encoding: str) -> Any:
    """Return a transaction in the encoding that a request asks for."""
    if encoding == "base64":
        return [base64.b64encode(data).decode(), "base64"]
    if encoding == "base58":
        return [base58.b58encode(data).decode(), "base58"]
    if encoding != "json":
        raise RpcError(
            INVALID_PARAMS, f"encoding is {encoding!r}: the local chain has json, base64 and base58"
        )
    transaction = VersionedTransaction.from_bytes(data)
    return {
        "signatures": [str(each) for each in transaction.signatures],
        "message": _message_document(supported(transaction.message)),
    }


def _message_document(message: Message | MessageV0) -> dict[str, Any]:
    document: dict[str, Any] = {
        "header": {
            "numRequiredSignatures": message.header.num_required_signatures,
            "numReadonlySignedAccounts": message.header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": message.header.num_readonly_unsigned_accounts,
        },
        "accountKeys": [str(each) for each in message.account_keys],
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [
            {
                "programIdIndex": each.program_id_index,
                "accounts": list(each.accounts),
                "data": base58.b58encode(bytes(each.data)).decode(),
                "stackHeight": 1,
            }
            for each in message.instructions
        ],
    }
    if isinstance(message, MessageV0):
        document["addressTableLookups"] = [
            {
                "accountKey": str(each.account_key),
                "writableIndexes": list(each.writable_indexes),
                "readonlyIndexes": list(each.readonly_indexes),
            }
            for each in message.address_table_lookups
        ]
    return document

"""JSON-RPC 2.0: finds the method of a request, and makes the answer."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from cto_worker.markets.solana.local_chain.rpc import (
    account_methods,
    block_methods,
    local_methods,
    transaction_methods,
)
from cto_worker.markets.solana.local_chain.rpc.request import Node, Request
from cto_worker.markets.solana.local_chain.rpc.rpc_error import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

METHODS: dict[str, Callable[[Request], Any]] = {
    "getAccountInfo": account_methods.get_account_info,
    "getBalance": account_methods.get_balance,
    "getBlockHeight": block_methods.get_block_height,
    "getEpochInfo": block_methods.get_epoch_info,
    "getFeeForMessage": block_methods.get_fee_for_message,
    "getFirstAvailableBlock": block_methods.get_first_available_block,
    "getGenesisHash": block_methods.get_genesis_hash,
    "getHealth": block_methods.get_health,
    "getLatestBlockhash": block_methods.get_latest_blockhash,
    "getMinimumBalanceForRentExemption": block_methods.get_minimum_balance_for_rent_exemption,
    "getMultipleAccounts": account_methods.get_multiple_accounts,
    "getRecentPrioritizationFees": block_methods.get_recent_prioritization_fees,
    "getSignatureStatuses": transaction_methods.get_signature_statuses,
    "getSignaturesForAddress": transaction_methods.get_signatures_for_address,
    "getSlot": block_methods.get_slot,
    "getTokenAccountBalance": account_methods.get_token_account_balance,
    "getTokenAccountsByOwner": account_methods.get_token_accounts_by_owner,
    "getTokenSupply": account_methods.get_token_supply,
    "getTransaction": transaction_methods.get_transaction,
    "getVersion": block_methods.get_version,
    "isBlockhashValid": block_methods.is_blockhash_valid,
    "requestAirdrop": local_methods.request_airdrop,
    "sendTransaction": transaction_methods.send_transaction,
    "simulateTransaction": transaction_methods.simulate_transaction,
    # Only a local chain has these:
    "localAdvance": local_methods.advance,
    "localConservation": local_methods.conservation,
    "localDemoTokens": local_methods.demo_tokens,
    "localMovePrice": local_methods.move_price,
    "localSetFaults": local_methods.set_faults,
    "localSetPriceStep": local_methods.set_price_step,
}


def answer(node: Node, body: bytes) -> Any:
    """Return the answer to the body of an HTTP request: one document, or a list to a list."""
    try:
        calls = json.loads(body)
    except ValueError as error:
        return _error(None, RpcError(PARSE_ERROR, f"the body is not JSON: {error}"))
    if isinstance(calls, list):
        return [_call(node, each) for each in calls]
    return _call(node, calls)


def is_control(body: bytes) -> bool:
    """Return whether a request controls the local chain: faults do not apply to it."""
    return b'"local' in body


def _call(node: Node, call: Any) -> dict[str, Any]:
    call = call if isinstance(call, dict) else {}
    name, params, number = call.get("method"), call.get("params", []), call.get("id")
    if not isinstance(name, str) or not isinstance(params, list):
        return _error(number, RpcError(INVALID_REQUEST, "give a method, and params as a list"))
    if name not in METHODS:
        return _error(number, RpcError(METHOD_NOT_FOUND, f"Method not found: the local chain has no {name}"))
    try:
        result = METHODS[name](Request(node, params))
    except RpcError as error:
        return _error(number, error)
    except (KeyError, TypeError, ValueError) as error:
        return _error(number, RpcError(INVALID_PARAMS, f"the parameters of {name} are not valid: {error!r}"))
    except Exception:
        logger.exception("the method %s failed", name)
        return _error(number, RpcError(INTERNAL_ERROR, f"{name} failed: see the log of the local chain"))
    return {"jsonrpc": "2.0", "result": result, "id": number}


def _error(number: Any, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": error.document(), "id": number}

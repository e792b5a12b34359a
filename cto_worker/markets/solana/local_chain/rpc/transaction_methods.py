"""Methods that send, simulate and report transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from solders.transaction import VersionedTransaction

from cto_worker.markets.solana.local_chain.blocks import VALID_BLOCKS, slot_of
from cto_worker.markets.solana.local_chain.faucet import MEMO_PROGRAM
from cto_worker.markets.solana.local_chain.rpc.documents import account_document, transaction_document
from cto_worker.markets.solana.local_chain.rpc.request import DEPTHS, address, signature
from cto_worker.markets.solana.local_chain.rpc.rpc_error import (
    INVALID_PARAMS,
    PREFLIGHT_FAILURE,
    UNSUPPORTED_TRANSACTION_VERSION,
    RpcError,
)
from cto_worker.markets.solana.local_chain.rpc.transaction_bytes import check_signatures, transaction_of
from cto_worker.markets.solana.local_chain.runtime import Simulation

if TYPE_CHECKING:
    from cto_worker.markets.solana.local_chain.chain_database import Receipt
    from cto_worker.markets.solana.local_chain.rpc.request import Request

_MAX_SIGNATURES = 256
_MAX_HISTORY = 1_000

_TEXTS = {
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
}


def send_transaction(request: Request) -> Any:
    """Send a transaction towards the next block. The answer proves nothing about its execution."""
    transaction = transaction_of(request)
    check_signatures(transaction)
    if not request.config().get("skipPreflight"):
        simulation = _simulate(request, transaction)
        if simulation.error is not None:
            raise RpcError(
                PREFLIGHT_FAILURE,
                f"Transaction simulation failed: {_text(simulation.error)}",
                _document(request, simulation),
            )
    request.node.mempool.send(transaction, request.node.faults)
    return str(transaction.signatures[0])


def _text(error: Any) -> str:
    """Return the text of a transaction's error, as far as clients read it."""
    match error:
        case {"InstructionError": [index, {"Custom": code}]}:
            return f"Error processing Instruction {index}: custom program error: {code:#x}"
        case {"InstructionError": [index, reason]}:
            return f"Error processing Instruction {index}: {reason}"
        case _:
            return _TEXTS.get(str(error), str(error))


def simulate_transaction(request: Request) -> Any:
    """Return what a transaction would do after the latest block."""
    config = request.config()
    transaction = transaction_of(request)
    if config.get("sigVerify"):
        check_signatures(transaction)
    replace = bool(config.get("replaceRecentBlockhash"))
    document = _document(request, _simulate(request, transaction, any_blockhash=replace))
    if replace:
        tip = request.chain.tip
        document["replacementBlockhash"] = {
            "blockhash": str(tip.hash),
            "lastValidBlockHeight": tip.height + VALID_BLOCKS,
        }
    return request.answer(document)


def _simulate(
    request: Request, transaction: VersionedTransaction, *, any_blockhash: bool = False
) -> Simulation:
    chain = request.chain
    if chain.database.status(bytes(transaction.signatures[0])):
        return Simulation.refused("AlreadyProcessed")
    if not any_blockhash and not chain.is_valid(transaction.message.recent_blockhash):
        return Simulation.refused("BlockhashNotFound")
    return chain.runtime.simulate(transaction)


def _document(request: Request, simulation: Simulation) -> dict[str, Any]:
    return {
        "err": simulation.error,
        "logs": simulation.logs,
        "accounts": _accounts(request, simulation),
        "unitsConsumed": simulation.units,
        "returnData": simulation.return_data,
        "innerInstructions": None,
        "replacementBlockhash": None,
        "fee": simulation.fee,
    }


def _accounts(request: Request, simulation: Simulation) -> list[Any] | None:
    """Return the accounts after a simulation that the request asks for."""
    wanted = request.config().get("accounts")
    if not isinstance(wanted, dict) or simulation.error is not None:
        return None
    runtime = request.chain.runtime
    accounts = [
        simulation.accounts.get(each) or runtime.account(each) for each in map(address, wanted["addresses"])
    ]
    return [
        account_document(account, wanted, runtime) if account and account.lamports else None
        for account in accounts
    ]


def get_signature_statuses(request: Request) -> Any:
    """Return what the node knows about transactions.

    Without ``searchTransactionHistory`` it knows those of the latest 150 blocks.
    """
    wanted = request.parameter(0, list)
    if len(wanted) > _MAX_SIGNATURES:
        raise RpcError(
            INVALID_PARAMS, f"{len(wanted)} signatures are too many: ask for {_MAX_SIGNATURES} at most"
        )
    request.block("processed")
    return request.answer([_status(request, signature(each)) for each in wanted])


def _status(request: Request, wanted: bytes) -> dict[str, Any] | None:
    found = request.chain.database.status(wanted)
    if found is None or found[0] > request.height:
        return None
    height, error = found
    depth = request.height - height
    if depth > VALID_BLOCKS and not request.config().get("searchTransactionHistory"):
        return None
    level = _level(depth)
    return {
        "slot": slot_of(height),
        "confirmations": None if level == "finalized" else depth,
        "err": error,
        "status": {"Ok": None} if error is None else {"Err": error},
        "confirmationStatus": level,
    }


def _level(depth: int) -> str:
    return max((level for level, least in DEPTHS.items() if depth >= least), key=DEPTHS.__getitem__)


def get_transaction(request: Request) -> Any:
    """Return a transaction with the balances before and after, ``null`` if no block contains it."""
    config = request.config()
    receipt = request.chain.database.receipt(request.signature(0))
    depth = DEPTHS[request.commitment()]
    if receipt is None or receipt.height > request.height - depth:
        return None
    encoding = config.get("encoding") or "json"
    version = _supported_version(VersionedTransaction.from_bytes(receipt.transaction), config)
    return {
        "slot": receipt.slot,
        "blockTime": receipt.time_s,
        "transaction": transaction_document(receipt.transaction, encoding),
        "meta": receipt.meta,
        "version": version,
    }


def _supported_version(transaction: VersionedTransaction, config: dict[str, Any]) -> int | str:
    """Return the version of a transaction. The client must say that it supports another than ``legacy``."""
    version = transaction.version()
    if not isinstance(version, int):
        return "legacy"
    supported = config.get("maxSupportedTransactionVersion")
    if supported is None or supported < version:
        raise RpcError(
            UNSUPPORTED_TRANSACTION_VERSION,
            f"Transaction version ({version}) is not supported by the requesting client. Please try the "
            "request again with the following configuration parameter: "
            f'"maxSupportedTransactionVersion": {version}',
        )
    return version


def get_signatures_for_address(request: Request) -> Any:
    """Return the transactions that name an address, newest first."""
    config = request.config()
    limit = config.get("limit") or _MAX_HISTORY
    if not (isinstance(limit, int) and 1 <= limit <= _MAX_HISTORY):
        raise RpcError(INVALID_PARAMS, f"limit is {limit!r}: give 1 to {_MAX_HISTORY}")
    highest = request.height - DEPTHS[request.commitment()]
    receipts = request.chain.database.receipts_of(
        request.address(0),
        highest=highest,
        before=signature(config["before"]) if config.get("before") else None,
        until=signature(config["until"]) if config.get("until") else None,
        limit=limit,
    )
    return [_history_entry(receipt, request.height) for receipt in receipts]


def _history_entry(receipt: Receipt, height: int) -> dict[str, Any]:
    transaction = VersionedTransaction.from_bytes(receipt.transaction)
    return {
        "signature": str(transaction.signatures[0]),
        "slot": receipt.slot,
        "err": receipt.error,
        "memo": _memo(transaction),
        "blockTime": receipt.time_s,
        "confirmationStatus": _level(height - receipt.height),
    }


def _memo(transaction: VersionedTransaction) -> str | None:
    """Return the memos of a transaction in the form of the JSON-RPC interface."""
    keys = transaction.message.account_keys
    memos = [
        bytes(each.data)
        for each in transaction.message.instructions
        if keys[each.program_id_index] == MEMO_PROGRAM
    ]
    return "; ".join(f"[{len(memo)}] {memo.decode(errors='replace')}" for memo in memos) or None

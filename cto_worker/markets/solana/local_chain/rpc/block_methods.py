"""Methods about blocks, fees and the chain itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from solders.hash import Hash

from cto_worker.markets.solana.local_chain.blocks import SLOTS_PER_EPOCH, VALID_BLOCKS
from cto_worker.markets.solana.local_chain.rpc.rpc_error import INVALID_PARAMS, RpcError
from cto_worker.markets.solana.local_chain.rpc.transaction_bytes import message_of

if TYPE_CHECKING:
    from cto_worker.markets.solana.local_chain.rpc.request import Request

SOFTWARE = "4.1.2-cto-local-chain"  # the release of the runtime, and that this is no node of a cluster
_FEATURE_SET = 0
_MAX_RENT_BYTES = 10_485_760  # the largest account


def get_latest_blockhash(request: Request) -> Any:
    """Return the hash of the latest block, and the height up to which it is valid."""
    block = request.block()
    value = {"blockhash": str(block.hash), "lastValidBlockHeight": block.height + VALID_BLOCKS}
    return {"context": {**request.context(), "slot": block.slot}, "value": value}


def is_blockhash_valid(request: Request) -> Any:
    """Return whether the next block may contain transactions with a blockhash."""
    text = request.parameter(0, str)
    try:
        blockhash = Hash.from_string(text)
    except ValueError as error:
        raise RpcError(INVALID_PARAMS, f"{text!r} is no blockhash: give 32 bytes in base58") from error
    return request.answer(request.chain.is_valid(blockhash))


def get_block_height(request: Request) -> Any:
    """Return the height of the latest block."""
    return request.block().height


def get_slot(request: Request) -> Any:
    """Return the slot of the latest block."""
    return request.block().slot


def get_epoch_info(request: Request) -> Any:
    """Return height and slot of the latest block together."""
    block = request.block()
    epoch, index = divmod(block.slot, SLOTS_PER_EPOCH)
    return {
        "absoluteSlot": block.slot,
        "blockHeight": block.height,
        "epoch": epoch,
        "slotIndex": index,
        "slotsInEpoch": SLOTS_PER_EPOCH,
        "transactionCount": request.chain.database.transaction_count(),
    }


def get_first_available_block(request: Request) -> Any:
    """Return the slot at which the history begins. The local chain keeps all of it."""
    del request
    return 0


def get_genesis_hash(request: Request) -> Any:
    """Return the identity of the chain."""
    return str(request.chain.genesis.hash)


def get_health(request: Request) -> Any:
    """Return that the node works."""
    del request
    return "ok"


def get_version(request: Request) -> Any:
    """Return the software, whose name says that this is a local chain."""
    del request
    return {"solana-core": SOFTWARE, "feature-set": _FEATURE_SET}


def get_minimum_balance_for_rent_exemption(request: Request) -> Any:
    """Return the lamports that an account of a size must hold."""
    size = request.parameter(0, int)
    if not 0 <= size <= _MAX_RENT_BYTES:
        raise RpcError(INVALID_PARAMS, f"the size is {size}: give 0 to {_MAX_RENT_BYTES} bytes")
    return request.chain.runtime.rent_exemption(size)


def get_fee_for_message(request: Request) -> Any:
    """Return the fee of a message, ``null`` if its blockhash has expired."""
    message = message_of(request.parameter(0, str))
    if not request.chain.is_valid(message.recent_blockhash):
        return request.answer(None)
    return request.answer(request.chain.runtime.fee(message))


def get_recent_prioritization_fees(request: Request) -> Any:
    """Return the priority fees of the latest block: there is no competition for space in local blocks."""
    return [{"slot": request.block("processed").slot, "prioritizationFee": 0}]

"""One request to a node: its parameters, and the node's view of the chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solders.pubkey import Pubkey
from solders.signature import Signature

from cto_worker.markets.solana.local_chain.blocks import CONFIRMED_DEPTH, FINALIZED_DEPTH, Block
from cto_worker.markets.solana.local_chain.rpc.rpc_error import (
    INVALID_PARAMS,
    MIN_CONTEXT_SLOT_NOT_REACHED,
    RpcError,
)

if TYPE_CHECKING:
    from cto_worker.markets.solana.local_chain.chain import Chain
    from cto_worker.markets.solana.local_chain.exchange.local_exchange import LocalExchange
    from cto_worker.markets.solana.local_chain.faults import FaultyNode
    from cto_worker.markets.solana.local_chain.mempool import Mempool

# The depth of a block below the latest one at which it has a commitment level.
DEPTHS = {"processed": 0, "confirmed": CONFIRMED_DEPTH, "finalized": FINALIZED_DEPTH}


@dataclass(frozen=True, slots=True)
class Node:
    """The parts of the chain that answer requests to one node."""

    chain: Chain
    mempool: Mempool
    exchange: LocalExchange
    faults: FaultyNode


class Request:
    """A request. Its view of the chain ends at ``height``, below the latest block if the node lags."""

    def __init__(self, node: Node, params: list[Any]) -> None:
        self.node, self.chain, self._params = node, node.chain, params
        self.height = max(0, node.chain.tip.height - node.faults.lag_blocks())

    def context(self) -> dict[str, Any]:
        """Return the member ``context`` of an answer."""
        return {"slot": self.chain.block_at(self.height).slot, "apiVersion": "local-chain"}

    def answer(self, value: Any) -> dict[str, Any]:
        """Return an answer with its context."""
        return {"context": self.context(), "value": value}

    def block(self, default: str = "finalized") -> Block:
        """Return the latest block of the commitment level in the request. Checks ``minContextSlot``."""
        block = self.chain.block_at(max(0, self.height - DEPTHS[self.commitment(default)]))
        lowest = self.config().get("minContextSlot")
        if lowest is not None and block.slot < lowest:
            raise RpcError(
                MIN_CONTEXT_SLOT_NOT_REACHED,
                f"minContextSlot {lowest} has not been reached: the slot is {block.slot}",
                {"contextSlot": block.slot},
            )
        return block

    def commitment(self, default: str = "finalized") -> str:
        """Return the commitment level in the request."""
        level = self.config().get("commitment") or default
        if level not in DEPTHS:
            raise RpcError(INVALID_PARAMS, f"commitment is {level!r}: use one of {', '.join(DEPTHS)}")
        return str(level)

    def config(self) -> dict[str, Any]:
        """Return the last parameter if it is an object, else an empty one."""
        last = self._params[-1] if self._params else None
        return last if isinstance(last, dict) else {}

    def parameter(self, index: int, kind: type) -> Any:
        """Return a required parameter of a type."""
        value = self._params[index] if index < len(self._params) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise RpcError(INVALID_PARAMS, f"parameter {index} is {value!r}: give a {kind.__name__}")
        return value

    def address(self, index: int) -> Pubkey:
        """Return a required address."""
        return address(self.parameter(index, str))

    def signature(self, index: int) -> bytes:
        """Return a required signature."""
        return signature(self.parameter(index, str))


def address(text: Any) -> Pubkey:
    """Return the address with this text. Raises :class:`RpcError`."""
    try:
        return Pubkey.from_string(text)
    except (TypeError, ValueError) as error:
        raise RpcError(INVALID_PARAMS, f"{text!r} is no address: give 32 bytes in base58") from error


def signature(text: Any) -> bytes:
    """Return the bytes of the signature with this text. Raises :class:`RpcError`."""
    try:
        return bytes(Signature.from_string(text))
    except (TypeError, ValueError) as error:
        raise RpcError(INVALID_PARAMS, f"{text!r} is no signature: give 64 bytes in base58") from error

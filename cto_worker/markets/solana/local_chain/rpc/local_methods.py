"""Methods that only a local chain has: the faucet, faults, and control of time and prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cto_worker.markets.solana.local_chain.exchange.price_curve import MAX_STEP_PPM
from cto_worker.markets.solana.local_chain.faucet import airdrop
from cto_worker.markets.solana.local_chain.faults import Faults
from cto_worker.markets.solana.local_chain.genesis import DEMO_TOKENS
from cto_worker.markets.solana.local_chain.rpc.rpc_error import INVALID_PARAMS, RpcError

if TYPE_CHECKING:
    from cto_worker.markets.solana.local_chain.rpc.request import Request

_MAX_ADVANCE = 1_000
_WHOLE_BPS = -10_000  # a price of nothing


def request_airdrop(request: Request) -> Any:
    """Send SOL from the faucet to an address. Returns the signature of the transaction."""
    address, lamports = request.address(0), request.parameter(1, int)
    left = request.chain.runtime.lamports(request.chain.genesis.faucet.pubkey())
    if not 0 < lamports < left:
        raise RpcError(INVALID_PARAMS, f"the amount is {lamports} lamports: the faucet has {left}")
    transaction = airdrop(request.chain, address, lamports)
    request.chain.submit(transaction)
    return str(transaction.signatures[0])


def set_faults(request: Request) -> Any:
    """Replace the faults of this node. ``{}`` ends them."""
    try:
        faults = msgspec.convert(request.parameter(0, dict), Faults)
    except msgspec.ValidationError as error:
        raise RpcError(INVALID_PARAMS, f"the faults are not valid: {error}") from error
    request.node.faults.set(faults)
    return msgspec.to_builtins(faults)


def advance(request: Request) -> Any:
    """Produce a number of blocks at once, and return the height."""
    count = request.parameter(0, int)
    if not 1 <= count <= _MAX_ADVANCE:
        raise RpcError(INVALID_PARAMS, f"the number of blocks is {count}: give 1 to {_MAX_ADVANCE}")
    for _ in range(count):
        request.node.mempool.produce_block()
    return request.chain.tip.height


def move_price(request: Request) -> Any:
    """Move the price of a demo token by hundredths of a percent."""
    mint, bps = request.address(0), request.parameter(1, int)
    if mint not in request.node.exchange.curves or bps <= _WHOLE_BPS:
        raise RpcError(INVALID_PARAMS, f"{mint} and {bps}: give a demo token, and more than -10000 bps")
    curve = request.node.exchange.curves[mint]
    curve.move(bps)
    return curve.reserve


def set_price_step(request: Request) -> Any:
    """Set how far prices move by themselves in each block, in millionths of a reserve: 0 holds them still."""
    step_ppm = request.parameter(0, int)
    if not 0 <= step_ppm <= MAX_STEP_PPM:
        raise RpcError(INVALID_PARAMS, f"the step is {step_ppm}: give 0 to {MAX_STEP_PPM} millionths")
    request.node.exchange.step_ppm = step_ppm
    return step_ppm


def demo_tokens(request: Request) -> Any:
    """Return the demo tokens."""
    del request
    return [{"label": token.label, "mint": str(token.mint)} for token in DEMO_TOKENS]


def conservation(request: Request) -> Any:
    """Return the lamports that were issued, are held and were burned as fees: issued = held + burned."""
    return request.chain.database.conservation()

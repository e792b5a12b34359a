"""The rule for swaps through Jupiter's program, version 6, with the instructions of its Swap API V2.

Buys only: wrapped SOL of the wallet goes in, and tokens come out into the wallet's own account. Pools and
other accounts of the route may be in lookup tables, because none of them can receive what the wallet gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cto_worker.signer.program_rules import (
    TOKEN,
    TOKEN_2022,
    WRAPPED_SOL,
    not_allowed,
    require,
    token_account,
)

if TYPE_CHECKING:
    from cto_worker.signer.message import Instruction
    from cto_worker.signer.program_rules import Context

JUPITER = "JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4"
_FEES_AND_PLAN = 18  # from the amount to the fees: the quoted amount and the slippage


@dataclass(frozen=True, slots=True)
class _Layout:
    """Positions in an instruction: of the amount in its data, and of its accounts."""

    amount: int
    authority: int
    source: int
    destination: int
    source_mint: int
    destination_mint: int
    source_program: int
    destination_program: int
    other_destination: int | None = None  # an account that gets the tokens instead; the program itself: none


_LAYOUTS = {
    bytes.fromhex("bb64facc31c4af14"): _Layout(8, 0, 1, 2, 3, 4, 5, 6, 7),  # route_v2
    bytes.fromhex("d19853937cfed8e9"): _Layout(9, 1, 2, 5, 6, 7, 8, 9),  # shared_accounts_route_v2
}


def check_jupiter(instruction: Instruction, context: Context) -> int:
    """Allow a swap of the wallet's wrapped SOL into its own token account, without a fee for others."""
    layout = _LAYOUTS.get(instruction.data[:8])
    if layout is None:
        raise not_allowed(instruction, "only route_v2 and shared_accounts_route_v2 are allowed")
    fees = instruction.data[layout.amount + _FEES_AND_PLAN :][:4]
    require(fees == bytes(4), instruction, "it has a platform fee or a fee on positive slippage")
    account, wallet = instruction.account, context.wallet
    require(account(layout.authority) == wallet, instruction, "the wallet that signs does not own the source")
    require(account(layout.source_mint) == WRAPPED_SOL, instruction, "it does not sell SOL")
    require(account(layout.source_program) == TOKEN, instruction, "its source is no account of SPL Token")
    require(
        account(layout.source) == token_account(wallet, WRAPPED_SOL),
        instruction,
        "its source is not the wallet's",
    )
    program = account(layout.destination_program)
    require(program in {TOKEN, TOKEN_2022}, instruction, f"{program} is not a token program")
    own = token_account(wallet, account(layout.destination_mint), program)
    require(
        account(layout.destination) == own, instruction, f"its tokens do not go to the wallet's account {own}"
    )
    if layout.other_destination is not None:
        other = account(layout.other_destination)
        require(other in {own, JUPITER}, instruction, f"its tokens go to {other}")
    return int.from_bytes(instruction.data[layout.amount :][:8], "little")

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
_AMOUNT_TO_FEES = 18  # bytes: the amount, the quoted amount and the slippage


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
    fees = instruction.data[layout.amount + _AMOUNT_TO_FEES :][:4]
    require(fees == bytes(4), instruction, "it has a platform fee or a fee on positive slippage")
    for position, allowed in _expected(layout, instruction, context.wallet).items():
        found = instruction.account(position)
        require(found in allowed, instruction, f"account {position} is {found}, not {' or '.join(allowed)}")
    return int.from_bytes(instruction.data[layout.amount :][:8], "little")


def _expected(layout: _Layout, instruction: Instruction, wallet: str) -> dict[int, tuple[str, ...]]:
    """Return the allowed accounts by position."""
    mint = instruction.account(layout.destination_mint)
    own = token_account(wallet, mint, instruction.account(layout.destination_program))
    expected: dict[int, tuple[str, ...]] = {
        layout.authority: (wallet,),
        layout.source: (token_account(wallet, WRAPPED_SOL),),
        layout.source_mint: (WRAPPED_SOL,),
        layout.source_program: (TOKEN,),
        layout.destination: (own,),
        layout.destination_program: (TOKEN, TOKEN_2022),
    }
    if layout.other_destination is not None:
        expected[layout.other_destination] = (own, JUPITER)
    return expected

"""The paper market's price: a constant-product bonding curve with pump.fun's published parameters.

Virtual reserves of 30 SOL and 1,073,000,000 tokens of 6 decimals; 793,100,000 of them are for sale; 1 % fee.
Source: the ``Global`` account in https://github.com/pump-fun/pump-public-docs (initial_virtual_sol_reserves,
initial_virtual_token_reserves, initial_real_token_reserves, fee_basis_points).

All arithmetic is exact, on integers: lamports and base units (a millionth of a token).
``lua/submit.lua`` executes by the same formula; a test holds the two together.
"""

from __future__ import annotations

VIRTUAL_LAMPORTS = 30 * 10**9
VIRTUAL_TOKENS = 1_073_000_000 * 10**6
TOKENS_FOR_SALE = 793_100_000 * 10**6
FEE_BPS = 100


def platform_fee(lamports: int) -> int:
    """The platform's part of what a buyer spends, rounded up."""
    return -(-lamports * FEE_BPS // 10_000)


def tokens_for(lamports: int, sol_gained: int, tokens_sold: int) -> int:
    """Base units that ``lamports`` (fee included) buy from a curve that has gained and sold so much.

    From ``x · y = k``: the buyer's net SOL grows x, and y shrinks to keep the product; rounded down.
    """
    net = lamports - platform_fee(lamports)
    return (VIRTUAL_TOKENS - tokens_sold) * net // (VIRTUAL_LAMPORTS + sol_gained + net)

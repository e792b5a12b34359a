"""The paper market's price: a constant-product bonding curve with pump.fun's published parameters.

The virtual reserves are 30 SOL and 1,073,000,000 tokens of 6 decimals. 793,100,000 tokens are for sale, and
the fee is 1 %. Source: the ``Global`` account in https://github.com/pump-fun/pump-public-docs
(initial_virtual_sol_reserves, initial_virtual_token_reserves, initial_real_token_reserves, fee_basis_points).

All arithmetic uses integers and is exact: lamports, and base units (a millionth of a token).
``lua/submit.lua`` implements the same formula; a test compares the two.
"""

from __future__ import annotations

TOKEN_UNITS = 10**6  # base units of a token
VIRTUAL_LAMPORTS = 30 * 10**9
VIRTUAL_TOKENS = 1_073_000_000 * TOKEN_UNITS
TOKENS_FOR_SALE = 793_100_000 * TOKEN_UNITS
FEE_BPS = 100


def platform_fee(lamports: int) -> int:
    """Return the platform's fee on an amount, in lamports, rounded up."""
    return -(-lamports * FEE_BPS // 10_000)


def tokens_for(lamports: int, sol_gained: int, tokens_sold: int) -> int:
    """Return the base units that a buyer gets for ``lamports``, fee included, rounded down.

    ``sol_gained`` (lamports) and ``tokens_sold`` (base units) are the curve's state. By ``x · y = k`` the
    buyer's net lamports increase x, and y decreases so that the product stays constant.
    """
    net = lamports - platform_fee(lamports)
    return (VIRTUAL_TOKENS - tokens_sold) * net // (VIRTUAL_LAMPORTS + sol_gained + net)

"""Conversion between SOL and lamports. 1 SOL = 1,000,000,000 lamports.

Inside the system money is an integer number of lamports. SOL occurs only in requests and events.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

LAMPORTS_PER_SOL = 1_000_000_000


def to_lamports(amount_sol: float) -> int:
    """Return a finite SOL amount in lamports. The shortest decimal form of the float counts: 0.1 is 0.1."""
    return int((Decimal(str(amount_sol)) * LAMPORTS_PER_SOL).to_integral_value(ROUND_HALF_EVEN))


def to_sol(lamports: int) -> float:
    """Return an amount of lamports in SOL, as the nearest float."""
    return lamports / LAMPORTS_PER_SOL


def format_sol(lamports: int) -> str:
    """Return an amount in SOL with all its decimals, and without trailing zeros: ``1234.5678``."""
    return f"{Decimal(lamports) / LAMPORTS_PER_SOL:.9f}".rstrip("0").rstrip(".")


def split_evenly(lamports: int, count: int) -> list[int]:
    """Return ``count`` parts whose sum is exactly ``lamports`` and that differ by at most one lamport."""
    part, rest = divmod(lamports, count)
    return [part + 1] * rest + [part] * (count - rest)

"""Lamports inside, SOL at the edge. 1 SOL = 1,000,000,000 lamports."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

LAMPORTS_PER_SOL = 1_000_000_000


def to_lamports(amount_sol: float) -> int:
    """Return a finite SOL amount as whole lamports, the decimal digits taken as written (0.1 is 0.1)."""
    return int((Decimal(str(amount_sol)) * LAMPORTS_PER_SOL).to_integral_value(ROUND_HALF_EVEN))


def to_sol(lamports: int) -> float:
    """Return lamports as the SOL number nearest to it, for the wire."""
    return lamports / LAMPORTS_PER_SOL


def split_evenly(lamports: int, count: int) -> list[int]:
    """Split an amount into ``count`` parts that differ by one lamport at most and add up to it exactly."""
    part, rest = divmod(lamports, count)
    return [part + 1] * rest + [part] * (count - rest)

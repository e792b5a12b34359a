"""Amounts of SOL as text."""

from __future__ import annotations

import math

from cto_worker.domain.lamports import format_sol, to_lamports


def sol(amount: float) -> str:
    """Return an amount of SOL, rounded to lamports, without an exponent and without trailing zeros.

    The amount may be an invalid input: ``nan`` or ``inf``.
    """
    return format_sol(to_lamports(amount)) if math.isfinite(amount) else str(amount)

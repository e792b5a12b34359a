"""The limits on what a user's signed messages may spend, kept in the database over restarts."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cto_worker.domain.lamports import to_sol
from cto_worker.errors import SignerRefusedError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in lamports, fees included."""

    order_lamports: int  # of one message
    daily_lamports: int  # of one user's messages within 24 hours


class SpendingLimits:
    """Counts what messages may spend. A message counts when it is signed, even if it never executes.

    The same bytes count once: they can execute only once.
    """

    def __init__(
        self, database: sqlite3.Connection, limits: Limits, now_s: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._limits = limits
        self._now_s = now_s

    def charge(self, user_id: str, message: bytes, lamports: int) -> None:
        """Count a message, inside the caller's transaction.

        Raises :class:`SignerRefusedError` ``order_limit_exceeded`` or ``daily_limit_exceeded``.
        """
        if lamports > self._limits.order_lamports:
            raise SignerRefusedError(
                "order_limit_exceeded",
                f"the transaction may spend {to_sol(lamports):.9f} SOL, above the limit of "
                f"{to_sol(self._limits.order_lamports):.9f} SOL (CTO_SIGNER_ORDER_SOL)",
            )
        now_ms = round(self._now_s() * 1_000)
        message_hash = hashlib.blake2b(message, digest_size=32).digest()
        self._database.execute("DELETE FROM spendings WHERE at_ms <= ?", (now_ms - DAY_MS,))
        known = self._database.execute("SELECT 1 FROM spendings WHERE message_hash = ?", (message_hash,))
        if known.fetchone():
            return
        self._check_day(user_id, lamports)
        self._database.execute(
            "INSERT INTO spendings (message_hash, user_id, at_ms, lamports) VALUES (?, ?, ?, ?)",
            (message_hash, user_id, now_ms, lamports),
        )

    def _check_day(self, user_id: str, lamports: int) -> None:
        # Rows of the future count too, so that a clock that is set back does not reset the limit.
        (spent,) = self._database.execute(
            "SELECT coalesce(sum(lamports), 0) FROM spendings WHERE user_id = ?", (user_id,)
        ).fetchone()
        left = self._limits.daily_lamports - spent
        if lamports > left:
            raise SignerRefusedError(
                "daily_limit_exceeded",
                f"user {user_id} may spend {to_sol(max(0, left)):.9f} SOL more "
                f"within 24 hours, not {to_sol(lamports):.9f} SOL (CTO_SIGNER_DAILY_SOL)",
            )

"""Quotes of the paper market for several orders, each of which expects the ones before it."""

from __future__ import annotations

from dataclasses import dataclass

from cto_worker.domain.lamports import to_sol
from cto_worker.errors import OrderRejectedError
from cto_worker.markets.paper import bonding_curve


@dataclass(slots=True)
class Quotes:
    """The balances and the curve as they will be when the orders that were quoted so far have executed."""

    lamports: dict[str, int | None]  # by wallet; ``None``: the wallet does not exist
    gained: int  # lamports that the curve has received
    sold: int  # base units that it has sold

    def pay(self, wallet: str, lamports: int) -> None:
        """Take lamports from a wallet. Raises :class:`OrderRejectedError`."""
        balance = self.lamports[wallet]
        if balance is None:
            raise OrderRejectedError("wallet_unknown", f"the wallet {wallet} does not exist")
        if balance < lamports:
            available, needed = to_sol(balance), to_sol(lamports)
            raise OrderRejectedError(
                "insufficient_funds",
                f"wallet {wallet} holds {available:.9g} SOL, but {needed:.9g} SOL are needed",
            )
        self.lamports[wallet] = balance - lamports

    def buy(self, lamports: int) -> int:
        """Buy for ``lamports``. Returns the base units. Raises :class:`OrderRejectedError`."""
        tokens = bonding_curve.tokens_for(lamports, self.gained, self.sold)
        if tokens > bonding_curve.TOKENS_FOR_SALE - self.sold:
            raise OrderRejectedError(
                "insufficient_liquidity", "the curve has too few tokens left: buy for a smaller amount"
            )
        self.gained += lamports - bonding_curve.platform_fee(lamports)
        self.sold += tokens
        return tokens

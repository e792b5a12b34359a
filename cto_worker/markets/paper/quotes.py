"""Quotes of the paper market for several orders, each of which expects the ones before it."""

from __future__ import annotations

from dataclasses import dataclass

from cto_worker.domain.lamports import format_sol
from cto_worker.errors import OrderRejectedError
from cto_worker.markets.paper import bonding_curve


@dataclass(slots=True)
class Quotes:
    """The balances and the curve as they will be when the orders that were quoted so far have executed."""

    lamports: dict[str, int | None]  # by wallet; ``None``: the wallet does not exist
    gained: int  # lamports that the curve has received
    sold: int  # base units that it has sold

    def pay(self, wallet: str, lamports: int) -> None:
        """Take lamports from a wallet. Raises :class:`OrderRejectedError`; nothing is then changed."""
        self.lamports[wallet] = self._balance(wallet, lamports) - lamports

    def buy(self, wallet: str, lamports: int, fees: int, min_tokens: int = 0) -> int:
        """Buy ``min_tokens`` or more for ``lamports`` with a wallet, which also pays ``fees``.

        Returns the base units.

        Raises :class:`OrderRejectedError`; nothing is then changed.
        """
        balance = self._balance(wallet, lamports + fees)
        tokens = bonding_curve.tokens_for(lamports, self.gained, self.sold)
        if tokens > bonding_curve.TOKENS_FOR_SALE - self.sold:
            raise OrderRejectedError(
                "insufficient_liquidity", "the curve has too few tokens left: buy for a smaller amount"
            )
        if tokens < min_tokens:
            raise OrderRejectedError(
                "slippage_exceeded",
                f"{format_sol(lamports)} SOL now buy {tokens} base units, less than the order's limit of "
                f"{min_tokens}",
            )
        self.lamports[wallet] = balance - lamports - fees
        self.gained += lamports - bonding_curve.platform_fee(lamports)
        self.sold += tokens
        return tokens

    def _balance(self, wallet: str, needed: int) -> int:
        balance = self.lamports[wallet]
        if balance is None:
            raise OrderRejectedError("wallet_unknown", f"the wallet {wallet} does not exist")
        if balance < needed:
            raise OrderRejectedError(
                "insufficient_funds",
                f"wallet {wallet} holds {format_sol(balance)} SOL, but {format_sol(needed)} SOL are needed",
            )
        return balance

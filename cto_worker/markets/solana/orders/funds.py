"""The lamports that a batch of orders needs, wallet by wallet, before anything is quoted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cto_worker.domain.market_port import Buy, Transfer
from cto_worker.errors import OrderRejectedError
from cto_worker.markets.solana.orders.messages import BASE_FEE_LAMPORTS, TRANSFER_FEE_LAMPORTS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Rent:
    """The lamports that accounts must hold, as the cluster says."""

    wallet: int  # a wallet that is not empty
    wrapped_sol: int  # while a swap runs; it is returned
    token: int  # a wallet's account of the token


@dataclass(slots=True)
class Funds:
    """Lamports by wallet, of which each order of a batch reserves what it needs."""

    lamports: dict[str, int]
    with_account: set[str]  # wallets that have an account of the token
    rent: Rent
    received: dict[str, int] = field(default_factory=dict)

    def reserve(self, intent: Transfer | Buy) -> int:
        """Reserve what an order needs, and return the most that may leave its wallet.

        Raises :class:`OrderRejectedError` ``insufficient_funds``.
        """
        return self._transfer(intent) if isinstance(intent, Transfer) else self._buy(intent)

    def _transfer(self, intent: Transfer) -> int:
        most = intent.lamports + TRANSFER_FEE_LAMPORTS
        held, left = self.lamports[intent.source], self.lamports[intent.source] - most
        if left < 0 or 0 < left < self.rent.wallet:
            raise _insufficient(intent.source, held, most, self.rent.wallet)
        arrived = self.lamports[intent.destination] + self.received.get(intent.destination, 0)
        if arrived + intent.lamports < self.rent.wallet:
            raise OrderRejectedError(
                "insufficient_funds",
                f"{intent.destination} would hold {arrived + intent.lamports} lamports, below the "
                f"{self.rent.wallet} that the chain demands: raise buyAmount",
            )
        self.received[intent.destination] = self.received.get(intent.destination, 0) + intent.lamports
        self.lamports[intent.source] = left
        return most

    def _buy(self, intent: Buy) -> int:
        rent = 0 if intent.wallet in self.with_account else self.rent.token
        most = intent.lamports + BASE_FEE_LAMPORTS + intent.priority_fee_lamports + rent
        held = self.lamports[intent.wallet]
        if held - most < self.rent.wrapped_sol:
            raise _insufficient(intent.wallet, held, most, self.rent.wrapped_sol)
        self.lamports[intent.wallet] -= most
        self.with_account.add(intent.wallet)
        return most


def first_buy_costs(wallets: Mapping[str, int], with_account: set[str], rent: Rent) -> dict[str, int]:
    """Return what a wallet needs for its first buy besides amount and fees. ``wallets`` are their lamports.

    The rent of wrapped SOL stays in the wallet, where the next swap needs it again.
    """
    costs = {}
    for wallet, lamports in wallets.items():
        if wallet not in with_account:
            costs[wallet] = rent.token + rent.wrapped_sol
        elif lamports < rent.wrapped_sol:
            costs[wallet] = rent.wrapped_sol
    return costs


def _insufficient(wallet: str, held: int, most: int, reserve: int) -> OrderRejectedError:
    return OrderRejectedError(
        "insufficient_funds",
        f"{wallet} holds {held} lamports; the order needs {most}, and {reserve} must stay in the wallet: "
        "deposit more, or lower buyAmount",
    )

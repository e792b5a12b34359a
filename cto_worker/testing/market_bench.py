"""The test bench of a market: what the contract suite needs to control it and to look into its books."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cto_worker.domain.market_port import Market


class Fault(Enum):
    """A fault of a market object. It applies to all orders."""

    DROPPED = auto()  # no submitted order arrives; `submit` may return or raise
    LOST_REPLY = auto()  # orders arrive and execute, and `submit` raises MarketError
    BLIND = auto()  # orders arrive and execute, but the object cannot see it: its node lags behind


class MarketBench(Protocol):
    """Controls one market with one user. Write one for your market, and return it from a fixture ``bench``.

    The user has a funding wallet and operation wallets, each with SOL for at least twenty buys. The token's
    price moves only by buys and by ``raise_price``: some tests allow no slippage at all.
    """

    user_id: str
    token_address: str
    lamports: int  # of each buy and transfer

    def open(self, fault: Fault | None = None) -> Market:
        """Return a new object for the same market, as a worker makes it when it starts."""

    def expire(self) -> None:
        """Let the market's time pass until every order that was prepared and not executed has expired."""

    def raise_price(self) -> None:
        """Make the token more expensive by at least 2 %, as a buy of somebody else does."""

    def executions(self, intent_id: str) -> int:
        """Return how many orders of an intent were executed, according to the market's own books."""

    def tokens(self, wallet: str) -> int:
        """Return the base units of the token that a wallet holds."""

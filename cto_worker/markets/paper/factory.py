"""The factory of the paper market.

Workers get the market from it, gateways its platforms, the balances of its wallets, and the states of orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cto_worker.domain.lamports import to_lamports
from cto_worker.domain.market_port import Account
from cto_worker.markets.paper.market import PLATFORMS, PaperMarket, address
from cto_worker.markets.paper.order_states import OrderStates
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from cto_worker.config import Settings


class PaperMarketFactory:
    """Implements :class:`cto_worker.domain.market_port.MarketFactory`."""

    platforms = PLATFORMS

    def __call__(self, settings: Settings, connect: Callable[[str], Redis]) -> PaperMarket:
        """Return the paper market in the store of ``CTO_PAPER_URL``."""
        return PaperMarket(connect(settings.paper_url), settings)

    def account_reader(self, settings: Settings, store: Redis) -> Callable[[str, int], Account] | None:
        """See :func:`cto_worker.market_registry.account_reader`.

        Returns ``None`` if the market has its own store (``CTO_PAPER_URL``).
        """
        if settings.paper_url:
            return None
        initial = to_lamports(settings.paper_balance_sol)

        def read(user_id: str, wallet_count: int) -> Account:
            addresses = [address(user_id, index) for index in range(wallet_count + 1)]
            found: Any = store.hmget(keys.paper_wallets(user_id), addresses)
            balances = [initial if lamports is None else int(lamports) for lamports in found]
            funding, *wallets = zip(addresses, balances, strict=True)
            return Account(*funding, dict(wallets))

        return read

    def order_reader(self, settings: Settings, store: Redis) -> OrderStates | None:
        """See :func:`cto_worker.market_registry.order_reader`. ``None`` as for the accounts."""
        return None if settings.paper_url else OrderStates(store)


make_paper_market = PaperMarketFactory()

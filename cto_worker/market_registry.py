"""The markets that ``CTO_MARKET`` can name. A new market is one line in this table, and its sub-package."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# The class of each market by its name, as module:class. It is imported only if the setting names it, because
# a market may need packages that others do not. It implements cto_worker.domain.market_port.MarketType.
MARKETS = {"paper": "cto_worker.markets.paper.market:PaperMarket"}


def market_type(name: str) -> Any:
    """Return the class of the market, a :class:`~cto_worker.domain.market_port.MarketType`."""
    module, _, attribute = MARKETS[name].partition(":")
    return getattr(import_module(module), attribute)


def account_reader(settings: Any, store: Any) -> Any:
    """Return a function of a user id and a number of wallets that returns an ``Account``, for gateways.

    Unlike :meth:`~cto_worker.domain.market_port.Market.account` it changes nothing: a wallet that does not
    exist has the balance that it will be opened with. ``None`` if the market has no such function, because a
    gateway needs no access to a market.
    """
    make = getattr(market_type(settings.market), "account_reader", None)
    return make(settings, store) if make else None

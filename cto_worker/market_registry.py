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

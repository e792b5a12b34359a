"""Makes the paper market of a worker, or only names its platforms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cto_worker.markets.paper.market import PLATFORMS, PaperMarket

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


make_paper_market = PaperMarketFactory()

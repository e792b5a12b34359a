"""The platforms where tokens trade, and the rules for buys on each.

A platform is found by the route that the aggregator offers, never by the text of a mint's address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cto_worker.domain.lamports import LAMPORTS_PER_SOL
from cto_worker.domain.market_port import Strategy
from cto_worker.errors import OrderRejectedError

if TYPE_CHECKING:
    from collections.abc import Sequence

OTHER = "other"  # a route through any other exchange, or through several
_MAX_ORDER_LAMPORTS = LAMPORTS_PER_SOL // 2  # with its fees less than the signer's default limit
STRATEGIES = {
    "pumpfun": Strategy("pumpfun", 500, _MAX_ORDER_LAMPORTS, 100_000, 10),
    "bonk": Strategy("bonk", 300, _MAX_ORDER_LAMPORTS, 50_000, 10),
    "raydium": Strategy("raydium", 100, _MAX_ORDER_LAMPORTS, 20_000, 20),
    OTHER: Strategy(OTHER, 100, _MAX_ORDER_LAMPORTS, 50_000, 10),
}
PLATFORMS = tuple(STRATEGIES)
# Labels of exchanges in the aggregator's routes begin with these.
_LABELS = {
    "Pump.fun": "pumpfun",
    "Raydium Launchlab": "bonk",
    "Raydium": "raydium",
}


def strategy_of(platform: str) -> Strategy:
    """Return the strategy for a platform. Raises :class:`OrderRejectedError` ``platform_unsupported``."""
    if platform not in STRATEGIES:
        raise OrderRejectedError(
            "platform_unsupported",
            f"the platform {platform} is not supported: use one of {', '.join(PLATFORMS)}",
        )
    return STRATEGIES[platform]


def platform_of(labels: Sequence[str]) -> str:
    """Return the platform of a route with these exchanges."""
    platforms = {
        next((platform for begin, platform in _LABELS.items() if label.startswith(begin)), OTHER)
        for label in labels
    }
    return platforms.pop() if len(platforms) == 1 else OTHER

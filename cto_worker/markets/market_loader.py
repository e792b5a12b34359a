"""Makes the market that ``CTO_MARKET`` names, and checks that it has every method of the port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_type_hints

from cto_worker.domain.market_port import Market, MarketDescription
from cto_worker.errors import ConfigError
from cto_worker.market_registry import load_factory

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.config import Settings

_METHODS = tuple(name for name in vars(Market) if not name.startswith("_"))
_ATTRIBUTES = tuple(get_type_hints(Market))


def make_market(settings: Settings, connect: Callable[[str], Any]) -> Market:
    """Return the market of a worker. ``connect`` as in :class:`MarketFactory`.

    Raises :class:`ConfigError` if the factory cannot be loaded, fails, or returns something else.
    """
    factory = load_factory(settings.market)
    try:
        market: Market = factory(settings, connect)
    except ConfigError:
        raise
    except Exception as error:  # a third-party factory may raise anything
        raise ConfigError(
            f"CTO_MARKET={settings.market}: its factory raised {type(error).__name__}: {error}. "
            "Correct the market's own settings, or the factory"
        ) from error
    if missing := missing_parts(market):
        raise ConfigError(
            f"CTO_MARKET={settings.market}: the {type(market).__name__} that its factory returned lacks "
            f"{', '.join(missing)}. Implement the port (docs/how-to/own-market.md)"
        )
    return market


def description(market: Market, name: str) -> MarketDescription:
    """Return the market's own description, or one with its name in ``CTO_MARKET``."""
    own = getattr(market, "description", None)
    return own if isinstance(own, MarketDescription) else MarketDescription(name)


def missing_parts(market: object) -> list[str]:
    """Return the methods and attributes of the port that an object does not have."""
    methods = [name for name in _METHODS if not callable(getattr(market, name, None))]
    return [*methods, *(name for name in _ATTRIBUTES if not hasattr(market, name))]

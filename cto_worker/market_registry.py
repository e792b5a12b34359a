"""The markets that ``CTO_MARKET`` can name: ours, those of installed packages, ``package.module:factory``.

A market is imported only if the setting names it, because it may need packages that others do not. A factory
implements :class:`cto_worker.domain.market_port.MarketFactory`.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import entry_points
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType

# The factory of each built-in market by name. A new market is one line in this table, and its sub-package.
MARKETS = {
    "paper": "cto_worker.markets.paper.factory:make_paper_market",
    "solana": "cto_worker.markets.solana.factory:make_solana_market",
}
ENTRY_POINTS = "cto.markets"  # the group of entry points in which a package names its markets

_WORD = r"[A-Za-z_]\w*"
_FACTORY = re.compile(rf"{_WORD}(\.{_WORD})*:{_WORD}(\.{_WORD})*\Z")


def names() -> list[str]:
    """Return the names of the built-in markets, and of the markets of installed packages."""
    return [*MARKETS, *sorted(entry_points(group=ENTRY_POINTS).names - MARKETS.keys())]


def is_market(name: str) -> bool:
    """Return whether ``CTO_MARKET`` may have this value. Its module is not imported."""
    return bool(name in MARKETS or _FACTORY.match(name) or name in names())


def load_factory(name: str) -> Any:
    """Return the factory of a market.

    Raises :class:`ConfigError` if it cannot be imported.
    """
    module_name, _, path = _target(name).partition(":")
    module = _module(name, module_name)
    try:
        factory = attrgetter(path)(module)
    except AttributeError:
        factory = None
    if not callable(factory):
        raise ConfigError(
            f"CTO_MARKET={name}: the module {module_name} has no function or class {path!r}. "
            f"Name the factory of the market, as in {module_name}:make_market"
        )
    return factory


def platforms(name: str) -> tuple[str, ...]:
    """Return the platforms that a request may name; empty: any. Raises :class:`ConfigError`."""
    return tuple(getattr(load_factory(name), "platforms", ()))


def account_reader(settings: Any, store: Any) -> Any:
    """Return the market's read-only function ``(user_id, wallet_count) -> Account``, which gateways use.

    Unlike :meth:`~cto_worker.domain.market_port.Market.account` it changes nothing: a wallet that does not
    exist has the balance that it will be opened with. ``None`` if the market's factory has no such function.
    """
    make = getattr(load_factory(settings.market), "account_reader", None)
    return make(settings, store) if make else None


def order_reader(settings: Any, store: Any) -> Any:
    """Return the market's read-only function of orders, which gateways use for reviews.

    It takes a sequence of :class:`~cto_worker.domain.market_port.Order` of one job, and returns the
    :class:`~cto_worker.domain.market_port.OrderState` of each by intent id. An order that the market does not
    know is missing; it may be one of another market. The function may raise
    :class:`~cto_worker.errors.MarketError`. ``None`` if the market's factory has no such function.
    """
    make = getattr(load_factory(settings.market), "order_reader", None)
    return make(settings, store) if make else None


def _target(name: str) -> str:
    """Return ``module:attribute`` of a market's factory."""
    if name in MARKETS or ":" in name:
        return MARKETS.get(name, name)
    found = entry_points(group=ENTRY_POINTS, name=name)
    if not found:
        raise ConfigError(f"CTO_MARKET={name}: no such market. Use one of: {', '.join(names())}")
    return min(point.value for point in found)


def _module(name: str, module_name: str) -> ModuleType:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        package = "requirements-solana.lock" if name == "solana" else "its package"
        text = f"there is no module {error.name}. Install {package} where gateways and workers run"
        raise ConfigError(f"CTO_MARKET={name}: {text}, or add its folder to PYTHONPATH") from error
    except Exception as error:  # third-party code may raise anything
        text = f"the import of {module_name} raised {type(error).__name__}: {error}"
        raise ConfigError(f"CTO_MARKET={name}: {text}. Correct the module") from error

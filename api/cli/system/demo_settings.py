"""The settings of the demonstration's temporary system, which uses nothing of a permanent system."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from api.cli.program_name import program
from cto_worker.config import ENV_PREFIX, VARIABLES, Settings
from cto_worker.errors import ConfigError
from cto_worker.setting_fields import declaration

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKETS = ("paper", "solana")  # on others, the demonstration's orders may be real

# Sections whose settings the demonstration inherits, except secrets: these belong to a permanent system. The
# settings of the other sections are addresses, keys, files and guarantees of a permanent system.
_SECTIONS = frozenset(
    {"Gateway", "Console", "Worker", "Market", "Paper market", "Local chain", "Observability"}
)
_INHERITED = frozenset(
    ENV_PREFIX + each.name.upper()
    for each in fields(Settings)
    if declaration(each).section in _SECTIONS and not declaration(each).secret
)


def demo_environment(directory: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a temporary system in a directory, from that of the command.

    Raises :class:`ConfigError` if ``CTO_MARKET`` is not one of :data:`MARKETS`.
    """
    market = environ.get("CTO_MARKET") or Settings().market
    if market not in MARKETS:
        raise ConfigError(
            f"the demo does not run on CTO_MARKET={market}, because its orders may be real: "
            f"run `CTO_MARKET={MARKETS[0]} {program()} demo`"
        )
    kept = {name: value for name, value in environ.items() if name not in VARIABLES - _INHERITED}
    return {**kept, "CTO_DATA_DIR": directory, "CTO_AUTH": "off", "CTO_HOST": Settings().host}

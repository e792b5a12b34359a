"""The settings of a gateway or dispatcher at its start, and the check of their authentication."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from api.auth.tokens import make_verifier
from cto_worker.config import Settings
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


def validate_auth_settings(settings: Settings) -> None:
    """Raise :class:`ConfigError` unless a gateway with these settings is safe to start."""
    if settings.auth == "required":
        make_verifier(settings)
    elif not settings.loopback:
        raise ConfigError(
            f"CTO_AUTH=off requires a loopback address, but CTO_HOST={settings.host} is reachable from other "
            "machines: set CTO_HOST=127.0.0.1, or CTO_AUTH=required."
        )


def settings_or_exit(program: str, *checks: Callable[[Settings], object]) -> Settings:
    """Return the settings of the environment. Ends the process with ``EX_CONFIG`` if a check fails.

    ``checks`` are checks besides :func:`validate_auth_settings`, which raise :class:`ConfigError`. The error
    message names the ``program``.
    """
    try:
        settings = Settings.from_env()
        for check in (validate_auth_settings, *checks):
            check(settings)
    except ConfigError as error:
        sys.stderr.write(f"The {program} does not start: {error}\n")
        sys.exit(os.EX_CONFIG)
    return settings

"""``cto local-chain``: a local Solana chain for development.

``python -m api.cli.system.local_chain`` is the same, and starts faster without the other commands.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from cto_worker.config import Settings
from cto_worker.errors import ConfigError
from cto_worker.observability import logging_setup

_SERVER = "cto_worker.markets.solana.local_chain.server"  # imported only here: it needs the extra's packages


def run(settings: Settings) -> None:
    """Run the local chain until SIGINT or SIGTERM. Raises :class:`ConfigError`."""
    try:
        server = import_module(_SERVER)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the package {error.name} is not installed: install requirements-solana.lock"
        ) from error
    logging_setup.configure(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path = settings.data_dir.absolute() / "local-chain.db"
    server.serve(path, settings.local_chain_port, slot_ms=settings.local_chain_slot_ms)


if __name__ == "__main__":
    try:
        run(Settings.from_env())
    except ConfigError as error:
        sys.stderr.write(f"The local chain does not start: {error}\n")
        sys.exit(os.EX_CONFIG)

"""``cto local-chain``: a local Solana chain for development."""

from __future__ import annotations

from importlib import import_module

import click

from cto_worker.config import Settings
from cto_worker.errors import ConfigError
from cto_worker.observability import logging_setup

_SERVER = "cto_worker.markets.solana.local_chain.server"


@click.command("local-chain")
def run_local_chain() -> None:
    """Run a local Solana chain with play money in the foreground until Ctrl-C.

    It listens on 127.0.0.1 only, and keeps its state in CTO_DATA_DIR. Needs the packages of cto[solana].
    """
    settings = Settings.from_env()
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

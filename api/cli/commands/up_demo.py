"""``cto up`` and ``cto demo``: run a whole system."""

from __future__ import annotations

import sys

import click

from api.cli.system.demo import demo
from api.cli.system.up import up
from api.cli.terminal.table_output import terminal
from cto_worker.config import Settings


@click.command("up")
@click.option("--no-flower", is_flag=True, help="Do not start Flower.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Number of worker processes.")
@click.option("--gateways", type=click.IntRange(1, 64), default=1, help="Number of gateway processes.")
@click.option("--quiet", "-q", is_flag=True, help="Show only addresses, warnings and errors.")
def run_system(*, no_flower: bool, workers: int, gateways: int, quiet: bool) -> None:
    """Run the whole system in the foreground until Ctrl-C."""
    status = up(Settings.from_env(), workers=workers, gateways=gateways, flower=not no_flower, quiet=quiet)
    sys.exit(status)


@click.command("demo")
@click.option("--keep", is_flag=True, help="Keep the system running after the operations ended.")
def run_demo(*, keep: bool) -> None:
    """Run a few operations on a temporary system and show them.

    The system uses no store, archive, signer or key that a CTO_* variable names, and no provider of a
    blockchain. It runs only on the markets `paper` and `solana`; for `solana` it starts a local chain.
    """
    demo(terminal(markup=True), keep=keep)

"""The ``cto`` command: its group, and the commands that run or check a whole system."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import click
from kombu.exceptions import OperationalError
from redis.exceptions import NoPermissionError, RedisError
from rich.console import Console

from api.cli import job_commands, operator_commands
from api.cli.demo import demo
from api.cli.doctor import examine
from api.cli.market_commands import market
from api.cli.program_name import program
from api.cli.shared_options import as_json
from api.cli.up import up
from cto_worker.config import Settings
from cto_worker.errors import CtoError


class _Group(click.Group):
    """A command group that reports this project's errors as one message, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CtoError as error:
            raise click.ClickException(str(error)) from error
        except NoPermissionError as error:
            raise click.ClickException(
                f"the store user in CTO_REDIS_URL lacks a permission: {error}. "
                "Run this command where a worker runs, with the worker's settings"
            ) from error
        except (RedisError, OperationalError) as error:
            raise click.ClickException(
                f"the store is not reachable: {error}. Run `{program()} doctor` to find out why"
            ) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="cto")
def main() -> None:
    """Run CTO operations and watch them live.

    Settings are CTO_* environment variables. docs/reference/settings.md lists them.
    """


for command in (*job_commands.COMMANDS, *operator_commands.COMMANDS, market):
    main.add_command(command)


@main.command("up")
@click.option("--no-flower", is_flag=True, help="Do not start Flower.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Number of worker processes.")
@click.option("--gateways", type=click.IntRange(1, 64), default=1, help="Number of gateway processes.")
def _up(*, no_flower: bool, workers: int, gateways: int) -> None:
    """Run the whole system in the foreground until Ctrl-C."""
    sys.exit(up(Settings.from_env(), workers=workers, gateways=gateways, flower=not no_flower))


@main.command("doctor")
@as_json
def _doctor(*, as_json: bool) -> None:
    """Check the configuration, store, gateway and workers.

    Exits with 1 if a check fails.
    """
    failed = False
    findings = []
    for finding in examine(Settings.from_env()):
        failed = failed or not finding.right
        findings.append(asdict(finding))
        if not as_json:
            mark = "FAIL" if not finding.right else "WARN" if finding.warning else "ok"
            click.echo(f"{mark:<5} {finding.check:<14} {finding.text}")
            if finding.mend:
                click.echo(f"{'':<20} → {finding.mend}")
    if as_json:
        click.echo(json.dumps(findings))
    sys.exit(failed)


@main.command("demo")
@click.option("--keep", is_flag=True, help="Keep the system running after the operations ended.")
def _demo(*, keep: bool) -> None:
    """Run a few operations on a temporary system and show them."""
    demo(Console(), keep=keep)


if __name__ == "__main__":
    main()

"""The ``cto`` command: all its commands, in the sections of its help."""

from __future__ import annotations

import click

from api.cli.audit.commands import audit
from api.cli.command_group import SectionedGroup
from api.cli.commands import operators, system
from api.cli.commands.cancel import cancel
from api.cli.commands.completion import completion
from api.cli.commands.jobs import jobs
from api.cli.commands.login import list_profiles, login, logout
from api.cli.commands.market import market
from api.cli.commands.resolve import resolve
from api.cli.commands.show import show
from api.cli.commands.submit import submit
from api.cli.commands.watch import watch_jobs


@click.group(
    cls=SectionedGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(package_name="cto")
def main() -> None:
    """Run CTO operations and watch them live.

    Settings are CTO_* environment variables. docs/reference/settings.md lists them, and
    docs/reference/cli.md describes the commands.
    """


assert isinstance(main, SectionedGroup)  # noqa: S101 - for the type checker
main.add_section("Operations", [submit, watch_jobs, show, jobs, cancel])
main.add_section(
    "Run a system", [system.run_system, system.run_demo, system.check_system, system.run_local_chain]
)
main.add_section("Access", [login, logout, list_profiles, operators.token, operators.revoke])
main.add_section(
    "Operate a system",
    [resolve, audit, operators.backup, operators.park, operators.migrate_archive, operators.secrets],
)
main.add_section("Tools", [market, completion])


if __name__ == "__main__":
    main()

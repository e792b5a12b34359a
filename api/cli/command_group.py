"""The group of all commands: sections in its help, and errors as one message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from kombu.exceptions import OperationalError
from redis.exceptions import NoPermissionError, RedisError

from api.cli.program_name import program
from cto_worker.errors import CtoError

if TYPE_CHECKING:
    from collections.abc import Iterable


class SectionedGroup(click.Group):
    """A command group with sections.

    It reports this project's errors as one message, without a traceback.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sections: dict[str, list[str]] = {}  # names of commands by title

    def add_section(self, title: str, commands: Iterable[click.Command]) -> None:
        """Add commands, listed in this order under a title."""
        for command in commands:
            self.add_command(command)
            self.sections.setdefault(title, []).append(str(command.name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections. A line has the first sentence of a command's help, in full."""
        del ctx
        width = max(map(len, self.commands))
        for title, names in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", summary(self.commands[name])) for name in names])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
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


def summary(command: click.Command) -> str:
    """Return the first sentence of a command's help."""
    first_line = (command.help or "").strip().partition("\n\n")[0]
    return " ".join(first_line.split())

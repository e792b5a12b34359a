"""The group of all commands: sections in its help, and errors as one message."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from kombu.exceptions import OperationalError
from redis.exceptions import NoPermissionError, RedisError

from api.cli.program_name import program
from cto_worker.config import Settings
from cto_worker.errors import CtoError
from cto_worker.store.store_reachability import missing_system

if TYPE_CHECKING:
    from collections.abc import Mapping


class SectionedGroup(click.Group):
    """A command group with sections. It imports each command only when needed, so that it starts quickly.

    `sections` has the commands of each title: the place of each, as ``module:function`` in this package.
    The group reports this project's errors as one message, without a traceback.
    """

    def __init__(self, *arguments: Any, sections: Mapping[str, Mapping[str, str]], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sections = sections
        self._places = {name: place for commands in sections.values() for name, place in commands.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; ``None`` if there is none of this name."""
        del ctx
        if cmd_name not in self._places:
            return None
        module, _, function = self._places[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"api.cli.{module}"), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections. A line has the first sentence of a command's help, in full."""
        del ctx
        commands = commands_of(self)
        width = max(map(len, commands))
        for title, names in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", summary(commands[name])) for name in names])

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
            reason = (
                missing_system(Settings.from_env()) or f"{error}. Run `{program()} doctor` to find out why"
            )
            raise click.ClickException(f"the store is not reachable: {reason}") from error


def commands_of(group: click.Group) -> dict[str, click.Command]:
    """Return the commands of a group by their names."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command}


def summary(command: click.Command) -> str:
    """Return the first sentence of a command's help."""
    first_line = (command.help or "").strip().partition("\n\n")[0]
    return " ".join(first_line.split())

"""The group of all commands: sections in its help, and errors as one message."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from cto_worker.errors import CtoError

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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the arguments. The error for an unknown name suggests similar ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            # Click compares with `commands`, which is empty because commands are imported only when needed.
            raise click.NoSuchCommand(error.command_name, possibilities=self._places, ctx=ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections. A line has the first sentence of a command's help, in full."""
        del ctx
        width = max(map(len, self._places))
        for title, commands in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", summary(place)) for name, place in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, or of an option of this group."""
        commands = [
            CompletionItem(name, help=summary(place))
            for name, place in self._places.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except CtoError as error:
            raise click.ClickException(str(error)) from error
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            # Imported only now: most commands do not use the store, and its library delays them by a third.
            message = import_module("api.cli.store_errors").message(error)
            if not message:
                raise
            raise click.ClickException(message) from error


def commands_of(group: click.Group) -> dict[str, click.Command]:
    """Return the commands of a group by their names."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command}


def summary(place: str) -> str:
    """Return the first sentence of a command's help: of the docstring at ``module:function`` in this package.

    It is read from the source, because an import of all commands takes longer than a second.
    """
    module, _, function = place.partition(":")
    source = Path(__file__).parent.joinpath(*module.split(".")).with_suffix(".py").read_text()
    found = (part for part in ast.parse(source).body if isinstance(part, ast.FunctionDef))
    text = next(ast.get_docstring(part) or "" for part in found if part.name == function)
    return " ".join(text.partition("\n\n")[0].split())

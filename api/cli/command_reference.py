"""Generates the reference of docs/reference/cli.md from the help of the commands.

Run ``make tables`` after a change of a command.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.cli.command_group import SectionedGroup, commands_of
from api.cli.main import main
from api.spec.generated_parts import with_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def updated(text: str) -> str:
    """Return the page with the current reference."""
    return with_parts(text, {"commands": reference()})


def reference() -> str:
    """Return the reference of all commands as Markdown, in the order and the sections of ``cto --help``."""
    assert isinstance(main, SectionedGroup)  # noqa: S101 - for the type checker
    lines: list[str] = []
    context = click.Context(main, info_name="cto", **main.context_settings)
    commands = commands_of(main)
    for title, names in main.sections.items():
        lines += [f"### {title}", ""]
        for name in names:
            lines += _described(commands[name], context)
    return "\n".join(lines)


def _described(command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=command.name, parent=parent, **main.context_settings)
    if isinstance(command, click.Group):
        if command.invoke_without_command:
            yield from _section(command, context)
        for each in commands_of(command).values():
            yield from _described(each, context)
    else:
        yield from _section(command, context)


def _section(command: click.Command, context: click.Context) -> Iterator[str]:
    yield from (f"#### {context.command_path}", "")
    yield from ("```", " ".join([context.command_path, *command.collect_usage_pieces(context)]), "```", "")
    yield from (_paragraphs(command.help or ""), "")
    if options := list(_option_rows(command, context)):
        yield from ("| option | meaning |", "|---|---|", *options, "")


def _paragraphs(text: str) -> str:
    return "\n\n".join(_escaped(" ".join(part.split())) for part in text.strip().split("\n\n"))


def _option_rows(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record:
            names, meaning = record
            yield f"| `{names.replace('|', chr(92) + '|')}` | {_escaped(' '.join(meaning.split()))} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))

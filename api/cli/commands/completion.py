"""``cto completion``: prints the completion script of a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

PROGRAM = "cto"
VARIABLE = "_CTO_COMPLETE"  # click's name for a program called cto


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print the completion script of a shell.

    It completes commands, options and their values, and job ids. docs/reference/cli.md describes how to
    install it.
    """
    completed = get_completion_class(shell)
    assert completed  # noqa: S101 - for the type checker; click has a class for each of these shells
    click.echo(completed(context.find_root().command, {}, PROGRAM, VARIABLE).source())

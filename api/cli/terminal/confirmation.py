"""Questions before a command spends money, or does what cannot be undone."""

from __future__ import annotations

import sys

import click

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")


def confirm(question: str, *, yes: bool, required: bool = True) -> None:
    """Ask a yes-or-no question, and abort the command if the answer is no. With ``yes`` nothing is asked.

    Without a terminal nobody can answer. The command then ends with an error, unless the confirmation is not
    ``required``, because scripts rely on the command.
    """
    if yes:
        return
    if sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)
    elif required:
        raise click.ClickException(
            f"{question} This needs a confirmation, and the input is not a terminal: repeat it with --yes"
        )

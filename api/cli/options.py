"""Options that several commands take, and how they print."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.text import Text

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
at_url = click.option("--url", help="Where the gateway is, if not where the settings say.")


def program() -> str:
    """How the shell that started this program would start it again: for hints that can be copied."""
    started = sys.argv[0]
    if Path(started).name != "cto":  # not by its script
        return f"{shlex.quote(sys.executable)} -m api.cli.main"
    return "cto" if shutil.which("cto") == started else shlex.quote(started)


def print_table(names: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table of which nothing is cut off: what is longer than the terminal's lines goes on below.

    Who names a job or a wallet to another command copies it from here.
    """
    table = Table(
        *(Column(name, no_wrap=True) for name in names), box=None, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for row in rows:
        table.add_row(*row)
    # What users wrote is neither markup nor emoji.
    console = Console(markup=False, emoji=False, highlight=False)
    console.width = max(
        console.width, console.measure(table, options=console.options.update(width=10_000)).maximum
    )
    console.print(table)

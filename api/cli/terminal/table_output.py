"""Tables that commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.text import Text


def print_table(names: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table without truncation: rows that are longer than the terminal's lines wrap.

    Users copy job ids and addresses from it into other commands.
    """
    table = Table(
        *(Column(name, no_wrap=True) for name in names), box=None, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for row in rows:
        table.add_row(*row)
    # Texts from users must not be interpreted as markup or emoji.
    console = Console(markup=False, emoji=False, highlight=False)
    console.width = max(
        console.width, console.measure(table, options=console.options.update(width=10_000)).maximum
    )
    console.print(table)

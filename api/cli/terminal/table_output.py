"""Tables that commands print, and the console that they print to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.text import Text


def terminal(*, markup: bool = False) -> Console:
    """Return a console. Without ``markup`` it prints texts unchanged; with NO_COLOR it prints no style."""
    no_color = Console().no_color
    return Console(markup=markup, emoji=False, highlight=False, color_system=None if no_color else "auto")


def print_table(
    names: Sequence[str], rows: Iterable[Sequence[str | Text]], *, optional: Sequence[str] = ()
) -> None:
    """Print a table without truncation.

    On a terminal that is too narrow, the ``optional`` columns are left out, the first of them first, until
    the table fits. If it still does not fit, its rows wrap: users copy job ids and addresses from it.
    """
    console, rows, shown = terminal(), list(rows), list(names)
    table = _table(names, rows, shown)
    for name in optional:
        if not console.is_terminal or _width(console, table) <= console.width:
            break
        shown.remove(name)
        table = _table(names, rows, shown)
    console.width = max(console.width, _width(console, table))
    console.print(table)


def _table(names: Sequence[str], rows: Sequence[Sequence[str | Text]], shown: Sequence[str]) -> Table:
    columns = [Column(name, no_wrap=True) for name in shown]
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for row in rows:
        table.add_row(*(cell for name, cell in zip(names, row, strict=True) if name in shown))
    return table


def _width(console: Console, table: Table) -> int:
    return console.measure(table, options=console.options.update(width=10_000)).maximum

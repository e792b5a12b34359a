"""The totals of archived jobs by day and by period. They change in the same transactions as the jobs.

Without them, the totals of a million jobs would take a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cto_worker.archive.database import insertion
from cto_worker.archive.tables import DAY_TOTALS, PERIOD_TOTALS, TOTAL_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Table

DAY_MS = 86_400_000
PERIOD_DAYS = 32  # long, so that years have few; short, so that few days of a selection are outside of one
PERIOD_MS = PERIOD_DAYS * DAY_MS


def add_to_totals(connection: Connection, jobs: Iterable[Mapping[str, Any]]) -> None:
    """Add jobs, given as rows of the table ``jobs``."""
    _change_all(connection, [*jobs], 1)


def subtract_from_totals(connection: Connection, jobs: Iterable[Mapping[str, Any]]) -> None:
    """Subtract jobs, given as rows of the table ``jobs``."""
    _change_all(connection, [*jobs], -1)


def _change_all(connection: Connection, jobs: list[Mapping[str, Any]], sign: int) -> None:
    # All processes write in the same order, so that two of them cannot block each other.
    _change(connection, DAY_TOTALS, DAY_MS, jobs, sign)
    _change(connection, PERIOD_TOTALS, PERIOD_MS, jobs, sign)


def _change(
    connection: Connection, table: Table, unit_ms: int, jobs: Iterable[Mapping[str, Any]], sign: int
) -> None:
    keys = table.primary_key.columns.keys()
    sums: dict[tuple[Any, ...], list[int]] = {}
    for job in jobs:
        # Null cannot be part of a key.
        key = (job["created_ms"] // unit_ms, *(job[name] or "" for name in keys[1:]))
        added = (1, *(job[name] for name in TOTAL_NAMES[1:]))
        sums[key] = [
            total + sign * value for total, value in zip(sums.get(key, (0, 0, 0, 0)), added, strict=True)
        ]
    if not sums:
        return
    insert = insertion(connection, table)
    increased = {name: table.c[name] + insert.excluded[name] for name in TOTAL_NAMES}
    statement = insert.on_conflict_do_update(index_elements=keys, set_=increased)
    rows = [
        dict(zip((*keys, *TOTAL_NAMES), (*key, *values), strict=True)) for key, values in sorted(sums.items())
    ]
    connection.execute(statement, rows)

"""The totals of archived jobs by day. They are written in the transactions that write and delete jobs.

Without them, the totals of a million jobs would take a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cto_worker.archive.database import insertion
from cto_worker.archive.tables import TOTALS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

DAY_MS = 86_400_000
_KEYS = tuple(TOTALS.primary_key.columns.keys())
_SUMS = ("jobs", "successful_buys", "failed_buys", "spent_lamports")


def add_to_totals(connection: Connection, jobs: Iterable[Mapping[str, Any]]) -> None:
    """Add jobs, given as rows of the table ``jobs``."""
    _change(connection, jobs, 1)


def subtract_from_totals(connection: Connection, jobs: Iterable[Mapping[str, Any]]) -> None:
    """Subtract jobs, given as rows of the table ``jobs``."""
    _change(connection, jobs, -1)


def _change(connection: Connection, jobs: Iterable[Mapping[str, Any]], sign: int) -> None:
    sums: dict[tuple[Any, ...], list[int]] = {}
    for job in jobs:
        # Null cannot be part of a key.
        key = (job["created_ms"] // DAY_MS, *(job[name] or "" for name in _KEYS[1:]))
        added = (1, *(job[name] for name in _SUMS[1:]))
        sums[key] = [
            total + sign * value for total, value in zip(sums.get(key, (0, 0, 0, 0)), added, strict=True)
        ]
    if not sums:
        return
    insert = insertion(connection, TOTALS)
    increased = {name: TOTALS.c[name] + insert.excluded[name] for name in _SUMS}
    statement = insert.on_conflict_do_update(index_elements=_KEYS, set_=increased)
    # All processes write in the same order, so that two of them cannot block each other.
    rows = [dict(zip((*_KEYS, *_SUMS), (*key, *values), strict=True)) for key, values in sorted(sums.items())]
    connection.execute(statement, rows)

"""The audit log's entries in the archive. They are never deleted.

Any function may raise :class:`ArchiveUnavailableError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select, tuple_

from cto_worker.archive.database import database_errors, insertion
from cto_worker.archive.schema_version import write_transaction
from cto_worker.archive.tables import AUDIT, AUDIT_DAYS
from cto_worker.domain.audit_entry import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine, ScalarSelect, Select

    from cto_worker.domain.audit_entry import AuditFilter, AuditPosition

_BATCH = 1_000  # rows per query
_DAY_MS = 86_400_000
_MAX_MS = 2**53  # later times are nonsense, which not every database accepts
_COPIES = ("at_ms", "actor", "action", "job_id")


@dataclass(frozen=True, slots=True)
class ArchivedEntry:
    """An entry with the columns that repeat parts of its content."""

    entry: AuditEntry
    columns: dict[str, Any]

    @property
    def intact(self) -> bool:
        """Whether the entry is intact, and its columns agree with its content."""
        return self.entry.intact and self.columns == _columns(self.entry)


def archive(engine: Engine, entries: Sequence[AuditEntry]) -> None:
    """Write entries in one transaction, which is on disk afterwards. Entries that exist stay as they are."""
    rows = [
        {
            "number": entry.number,
            "hash": entry.hash,
            "previous": entry.previous,
            "content": entry.content,
            **_columns(entry),
        }
        for entry in entries
    ]
    with write_transaction(engine) as connection:
        connection.execute(insertion(connection, AUDIT).on_conflict_do_nothing(), rows)
        _extend_days(connection, rows)


def page(
    engine: Engine, wanted: AuditFilter, limit: int, after: AuditPosition | None = None
) -> list[AuditEntry]:
    """Return the newest ``limit`` entries that match, or those that follow ``after`` in the list."""
    return [each.entry for each in _read(engine, page_query(wanted, limit, after))]


def page_query(wanted: AuditFilter, limit: int, after: AuditPosition | None = None) -> Select[Any]:
    """Return the query of :func:`page`. It reads the numbers of the wanted days only."""
    query = _query().order_by(AUDIT.c.number.desc(), AUDIT.c.hash.desc()).limit(limit)
    for name in ("actor", "action", "job_id"):
        if value := getattr(wanted, name):
            query = query.where(AUDIT.c[name] == value)
    if wanted.from_ms:
        query = query.where(AUDIT.c.at_ms >= wanted.from_ms, AUDIT.c.number >= _first_number(wanted.from_ms))
    if wanted.to_ms is not None:
        query = query.where(AUDIT.c.at_ms < wanted.to_ms, AUDIT.c.number <= _last_number(wanted.to_ms))
    if after is not None:
        query = query.where(tuple_(AUDIT.c.number, AUDIT.c.hash) < tuple_(after.number, after.hash))
    return query


def newest(engine: Engine) -> AuditEntry | None:
    """Return the newest entry."""
    query = _query().order_by(AUDIT.c.number.desc(), AUDIT.c.hash.desc()).limit(1)
    return next((each.entry for each in _read(engine, query)), None)


def oldest_first(engine: Engine) -> Iterator[ArchivedEntry]:
    """Yield all entries in the order of the chain."""
    ordered = _query().order_by(AUDIT.c.number, AUDIT.c.hash).limit(_BATCH)
    found = _read(engine, ordered)
    while found:
        yield from found
        last = found[-1].entry
        behind = tuple_(AUDIT.c.number, AUDIT.c.hash) > tuple_(last.number, last.hash)
        found = _read(engine, ordered.where(behind))


def _first_number(from_ms: int) -> ScalarSelect[int]:
    """Return the lowest number of an entry of this time or later; null without one."""
    first = func.min(AUDIT_DAYS.c.first_number)
    return select(first).where(AUDIT_DAYS.c.day >= from_ms // _DAY_MS).scalar_subquery()


def _last_number(to_ms: int) -> ScalarSelect[int]:
    """Return the highest number of an entry before this time, or later on that day; null without one."""
    last = func.max(AUDIT_DAYS.c.last_number)
    return select(last).where(AUDIT_DAYS.c.day * _DAY_MS < to_ms).scalar_subquery()


def _extend_days(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    days: dict[int, list[int]] = {}
    for row in rows:
        days.setdefault(row["at_ms"] // _DAY_MS, []).append(row["number"])
    insert = insertion(connection, AUDIT_DAYS)
    first, last = AUDIT_DAYS.c.first_number, AUDIT_DAYS.c.last_number
    lower, higher = insert.excluded.first_number < first, insert.excluded.last_number > last
    extended = {
        "first_number": case((lower, insert.excluded.first_number), else_=first),
        "last_number": case((higher, insert.excluded.last_number), else_=last),
    }
    # All processes write in the same order, so that two of them cannot block each other.
    changes = [
        {"day": day, "first_number": min(numbers), "last_number": max(numbers)}
        for day, numbers in sorted(days.items())
    ]
    connection.execute(insert.on_conflict_do_update(index_elements=["day"], set_=extended), changes)


def _query() -> Select[Any]:
    names = ("number", "content", "previous", "hash", *_COPIES)
    return select(*(AUDIT.c[name] for name in names))


def _read(engine: Engine, query: Select[Any]) -> list[ArchivedEntry]:
    with database_errors(), engine.connect() as connection:
        return [
            ArchivedEntry(AuditEntry(*row[:4]), dict(zip(_COPIES, row[4:], strict=True)))
            for row in connection.execute(query)
        ]


def _columns(entry: AuditEntry) -> dict[str, Any]:
    try:
        fields = entry.fields
        return {
            "at_ms": _time(fields["at"]),
            "actor": _text(fields["actor"]),
            "action": _text(fields["action"]),
            "job_id": fields["jobId"] and _text(fields["jobId"]),
        }
    except (ValueError, TypeError, KeyError, AttributeError):  # somebody has modified the entry in the store
        return {"at_ms": 0, "actor": "", "action": "", "job_id": None}


def _time(value: object) -> int:
    if type(value) is not int or not 0 <= value < _MAX_MS:
        raise ValueError(value)
    return value


def _text(value: str) -> str:
    """Return a text that every database accepts: PostgreSQL refuses the zero character."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")

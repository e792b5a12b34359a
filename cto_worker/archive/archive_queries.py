"""Queries of the archive. A query for an unknown job returns ``None``.

Every query of jobs reads through an index, and a page continues after a job's position, not after a number of
rows. Any method may raise :class:`ArchiveUnavailableError`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import ARRAY, ColumnElement, String, func, literal, select, tuple_

from cto_worker.archive import audit_archive
from cto_worker.archive.compression import unpacked
from cto_worker.archive.database import POSTGRESQL, SQLITE, database_errors
from cto_worker.archive.job_totals import DAY_MS, PERIOD_DAYS
from cto_worker.archive.tables import (
    DAY_TOTALS,
    DOCUMENTS,
    JOBS,
    PERIOD_TOTALS,
    SIGNATURES,
    TOTAL_NAMES,
    WALLETS,
)
from cto_worker.domain.job_filter import Totals
from cto_worker.domain.job_summary import Figures, JobSummary
from cto_worker.domain.progress_event import JobStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import Engine, Select, Table

    from cto_worker.domain.audit_entry import AuditEntry, AuditFilter, AuditPosition
    from cto_worker.domain.job_filter import JobFilter
    from cto_worker.domain.job_summary import JobPosition

_events = msgspec.json.Decoder(list[msgspec.Raw])
_intents = msgspec.json.Decoder(dict[str, msgspec.Raw])
# The fields of a filter that are compared with a column of the same name.
_COLUMNS = ("status", "outcome", "user_id", "token_address", "error_code", "mode", "platform")


@dataclass(frozen=True, slots=True)
class ArchivedJob:
    """The documents of one job, with the bytes that the store had."""

    job_id: str
    user_id: str
    status: JobStatus
    events: list[bytes]  # the complete history, oldest first
    result_json: bytes


class ArchiveQueries:
    """Queries of the archive, on an engine that only one thread may use at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def page(self, wanted: JobFilter, limit: int, after: JobPosition | None = None) -> list[JobSummary]:
        """Return the newest ``limit`` jobs that match, or those that follow ``after`` in the list."""
        with database_errors(), self._engine.connect() as connection:
            rows = connection.execute(page_query(wanted, limit, after)).all()
        return [
            JobSummary(
                job_id,
                JobStatus(status),
                created_ms,
                unpacked(event),
                needs_review=False,
                figures=Figures(*figures),
            )
            for job_id, status, created_ms, *figures, event in rows
        ]

    def totals(self, wanted: JobFilter, without: Collection[str] = ()) -> Totals:
        """Return the totals of the jobs that match, leaving out the jobs with the ids in ``without``."""
        totals = Totals()
        with database_errors(), self._engine.connect() as connection:
            if connection.dialect.name == POSTGRESQL:  # all queries must see the same jobs, as in SQLite
                connection.execution_options(isolation_level="REPEATABLE READ")
            for sign, query in totals_queries(wanted, without, connection.dialect.name):
                for status, outcome, *sums in connection.execute(query):
                    totals += _totals(status, outcome, [sign * int(value) for value in sums])
        return totals

    def job(self, job_id: str) -> ArchivedJob | None:
        """Return the documents of one job."""
        documents = [DOCUMENTS.c[name] for name in ("earlier_events", "last_event", "result")]
        query = (
            select(JOBS.c.user_id, JOBS.c.status, *documents)
            .join(DOCUMENTS, DOCUMENTS.c.job_id == JOBS.c.job_id)
            .where(JOBS.c.job_id == job_id)
        )
        with database_errors(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        user_id, status, earlier, last, result = row
        events = [*map(bytes, _events.decode(unpacked(earlier))), unpacked(last)]
        return ArchivedJob(job_id, user_id, JobStatus(status), events, unpacked(result))

    def intents(self, job_id: str) -> dict[str, bytes]:
        """Return the fields of a job's intent log, with the resolutions applied; empty without one."""
        query = select(DOCUMENTS.c.intents).where(DOCUMENTS.c.job_id == job_id)
        with database_errors(), self._engine.connect() as connection:
            packed = connection.scalar(query)
        fields = _intents.decode(unpacked(packed)) if packed else {}
        return {name: bytes(record) for name, record in fields.items()}

    def statuses(self, job_ids: Sequence[str], user_id: str | None = None) -> dict[str, JobStatus]:
        """Return the statuses of those jobs that are archived, and belong to ``user_id`` if it is given."""
        query = select(JOBS.c.job_id, JOBS.c.status).where(JOBS.c.job_id.in_(job_ids))
        if user_id is not None:
            query = query.where(JOBS.c.user_id == user_id)
        with database_errors(), self._engine.connect() as connection:
            return {job_id: JobStatus(status) for job_id, status in connection.execute(query)}

    def audit_page(self, wanted: AuditFilter, limit: int, after: AuditPosition | None) -> list[AuditEntry]:
        """See :func:`cto_worker.archive.audit_archive.page`."""
        return audit_archive.page(self._engine, wanted, limit, after)


def page_query(wanted: JobFilter, limit: int, after: JobPosition | None = None) -> Select[Any]:
    """Return the query of :meth:`ArchiveQueries.page`."""
    columns = [JOBS.c[name] for name in ("job_id", "status", "created_ms", *TOTAL_NAMES[1:])]
    jobs, created_ms, job_id = _selection(wanted, *columns)
    if after is not None:
        jobs = jobs.where(tuple_(created_ms, job_id) < tuple_(after.created_ms, after.job_id))
    page = jobs.order_by(created_ms.desc(), job_id.desc()).limit(limit).subquery()
    return (
        select(page, DOCUMENTS.c.last_event)
        .join(DOCUMENTS, DOCUMENTS.c.job_id == page.c.job_id)
        .order_by(page.c.created_ms.desc(), page.c.job_id.desc())
    )


def totals_queries(
    wanted: JobFilter, without: Collection[str], dialect: str
) -> list[tuple[int, Select[Any]]]:
    """Return the queries of :meth:`ArchiveQueries.totals`, each with the sign of its totals: 1 or -1.

    The totals of whole days are read from the tables of totals, if these have the columns of the filter.
    """
    from_ms, to_ms = wanted.from_ms or 0, wanted.to_ms
    first_day, end_day = -(-from_ms // DAY_MS), None if to_ms is None else to_ms // DAY_MS
    by_job = (wanted.user_id, wanted.token_address, wanted.wallet, wanted.signature)
    if any(value is not None for value in by_job) or (end_day is not None and first_day >= end_day):
        return [(1, _totals_of_jobs(wanted, dialect, without=without))]
    queries = [(1, query) for query in _totals_of_days(wanted, first_day, end_day)]
    if from_ms % DAY_MS:
        queries.append((1, _totals_of_jobs(replace(wanted, to_ms=first_day * DAY_MS), dialect)))
    if to_ms is not None and end_day is not None and to_ms % DAY_MS:
        queries.append((1, _totals_of_jobs(replace(wanted, from_ms=end_day * DAY_MS), dialect)))
    if without:
        queries.append((-1, _totals_of_jobs(wanted, dialect, only=without)))
    return queries


def _totals_of_days(wanted: JobFilter, first_day: int, end_day: int | None) -> list[Select[Any]]:
    """Return the queries of the totals of days. Whole periods are read from their own table."""
    first, end = -(-first_day // PERIOD_DAYS), None if end_day is None else end_day // PERIOD_DAYS
    if end is not None and first >= end:
        return [_stored_totals(wanted, DAY_TOTALS, first_day, end_day)]
    queries = [_stored_totals(wanted, PERIOD_TOTALS, first, end)]
    if first_day < first * PERIOD_DAYS:
        queries.append(_stored_totals(wanted, DAY_TOTALS, first_day, first * PERIOD_DAYS))
    if end is not None and end_day is not None and end * PERIOD_DAYS < end_day:
        queries.append(_stored_totals(wanted, DAY_TOTALS, end * PERIOD_DAYS, end_day))
    return queries


def _stored_totals(wanted: JobFilter, table: Table, first: int, end: int | None) -> Select[Any]:
    """Return the query of a table of totals, from its unit ``first`` to the one before ``end``."""
    unit = next(iter(table.primary_key.columns))
    query = select(table.c.status, table.c.outcome, *(func.sum(table.c[name]) for name in TOTAL_NAMES))
    query = query.where(unit >= first, *_conditions(wanted, table))
    if end is not None:
        query = query.where(unit < end)
    return query.group_by(table.c.status, table.c.outcome)


def _totals_of_jobs(
    wanted: JobFilter, dialect: str, *, only: Collection[str] = (), without: Collection[str] = ()
) -> Select[Any]:
    sums = (func.sum(JOBS.c[name]) for name in TOTAL_NAMES[1:])
    query, _, job_id = _selection(wanted, JOBS.c.status, JOBS.c.outcome, func.count(), *sums)
    if only:
        query = query.where(job_id.in_(_array(only, dialect)))
    if without:
        query = query.where(job_id.not_in(_array(without, dialect)))
    return query.group_by(JOBS.c.status, JOBS.c.outcome)


def _totals(status: str, outcome: str | None, sums: list[int]) -> Totals:
    jobs, successful_buys, failed_buys, spent_lamports = sums
    by_outcome = Counter({outcome: jobs} if outcome else {})
    return Totals(Counter({status: jobs}), by_outcome, successful_buys, failed_buys, spent_lamports)


def _array(texts: Iterable[str], dialect: str) -> Select[Any]:
    """Return a query that yields the texts. It has one parameter: databases limit their number."""
    if dialect == SQLITE:
        return select(func.json_each(json.dumps(list(texts))).table_valued("value").c.value)
    return select(func.unnest(literal(list(texts), ARRAY(String))))


def _selection(
    wanted: JobFilter, *columns: ColumnElement[Any]
) -> tuple[Select[Any], ColumnElement[int], ColumnElement[str]]:
    """Return a query of the jobs that match, and the columns of their positions.

    The positions are those of the table that the query begins with, so that they are sorted by its index.
    """
    query: Select[Any] = select(*columns)
    created_ms, job_id = JOBS.c.created_ms, JOBS.c.job_id
    if wanted.signature is not None:
        query = query.join(SIGNATURES, SIGNATURES.c.job_id == JOBS.c.job_id)
        query = query.where(SIGNATURES.c.signature == wanted.signature)
    if wanted.wallet is not None:
        query = query.join(WALLETS, WALLETS.c.job_id == JOBS.c.job_id).where(
            WALLETS.c.wallet == wanted.wallet
        )
        created_ms, job_id = WALLETS.c.created_ms, WALLETS.c.job_id
    query = query.where(*_conditions(wanted, JOBS))
    if wanted.from_ms is not None:
        query = query.where(created_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        query = query.where(created_ms < wanted.to_ms)
    return query, created_ms, job_id


def _conditions(wanted: JobFilter, table: Table) -> list[ColumnElement[bool]]:
    """Return the conditions on the columns of a table that have the name of a filter's field."""
    names = [name for name in _COLUMNS if getattr(wanted, name) is not None]
    return [table.c[name] == getattr(wanted, name) for name in names]

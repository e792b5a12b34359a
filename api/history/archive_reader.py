"""Queries of the archive that do not block the gateway.

The gateway's threads are green: a call that blocks would stop all of them. So one OS thread runs the
queries, one after another, and a green thread waits for the result. The database's client library is used
in that thread only: the engine has replaced its locks by locks that OS threads may not share.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from api.limits.fifo_semaphore import FifoSemaphore
from cto_worker.archive.archive_queries import ArchiveQueries
from cto_worker.archive.database import connect
from cto_worker.archive.schema_preparation import prepare
from cto_worker.archive.schema_version import check_schema
from cto_worker.errors import ArchiveUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from cto_worker.archive.archive_queries import ArchivedJob
    from cto_worker.config import Settings
    from cto_worker.domain.audit_entry import AuditEntry, AuditFilter, AuditPosition
    from cto_worker.domain.job_filter import JobFilter, Totals
    from cto_worker.domain.job_summary import JobPosition, JobSummary
    from cto_worker.domain.progress_event import JobStatus

# These log nothing: their errors are raised, and the OS thread must not use the locks of log handlers.
LIBRARIES = ("alembic", "psycopg", "sqlalchemy")

T = TypeVar("T")
log = logging.getLogger(__name__)

TIMEOUT_S = 3.0  # of a query, and of the wait for earlier ones
MIGRATION_S = 5.0  # a gateway starts without the archive if another process migrates it for longer
STATEMENT_TIMEOUT_MS = 2_500  # PostgreSQL ends a query before that, which frees the thread


class ThreadRunner(Protocol):
    """Runs a function in the OS thread."""

    def __call__(self, function: Callable[[], T], timeout_s: float, /) -> T:
        """Return the function's result. Raises its error, or :class:`TimeoutError`; it may then still run."""


def run_here(function: Callable[[], T], _: float) -> T:
    """Run a function in the calling thread: a :class:`ThreadRunner` for processes without green threads."""
    return function()


class ArchiveReader:
    """The archive's queries. Any may raise :class:`ArchiveUnavailableError`."""

    def __init__(self, connect: Callable[[], ArchiveQueries], run: ThreadRunner = run_here) -> None:
        """``connect`` is called by ``run`` before the first query, and again after it has failed."""
        self._connect, self._run = connect, run
        self._turn = FifoSemaphore(1, TIMEOUT_S, _too_slow)
        self._queries: ArchiveQueries | None = None
        self._running = False

    def page(self, wanted: JobFilter, limit: int, after: JobPosition | None) -> list[JobSummary]:
        """See :meth:`ArchiveQueries.page`."""
        return self._call(lambda archive: archive.page(wanted, limit, after))

    def totals(self, wanted: JobFilter, without: Collection[str]) -> Totals:
        """See :meth:`ArchiveQueries.totals`."""
        return self._call(lambda archive: archive.totals(wanted, without))

    def job(self, job_id: str) -> ArchivedJob | None:
        """See :meth:`ArchiveQueries.job`."""
        return self._call(lambda archive: archive.job(job_id))

    def intents(self, job_id: str) -> dict[str, bytes]:
        """See :meth:`ArchiveQueries.intents`."""
        return self._call(lambda archive: archive.intents(job_id))

    def statuses(self, job_ids: Sequence[str], user_id: str | None) -> dict[str, JobStatus]:
        """See :meth:`ArchiveQueries.statuses`."""
        return self._call(lambda archive: archive.statuses(job_ids, user_id))

    def close(self) -> None:
        """Close the connections of the database, if there are any."""
        if self._queries:
            self._call(ArchiveQueries.close)

    def audit_page(self, wanted: AuditFilter, limit: int, after: AuditPosition | None) -> list[AuditEntry]:
        """See :meth:`ArchiveQueries.audit_page`."""
        return self._call(lambda archive: archive.audit_page(wanted, limit, after))

    def _call(self, query: Callable[[ArchiveQueries], T]) -> T:
        """Run a query. Fails at once while an earlier query that has timed out still occupies the thread."""
        with self._turn.slot():
            if self._running:
                raise _too_slow()
            self._running = True
            try:
                return self._run(partial(self._run_query, query), TIMEOUT_S)
            except TimeoutError as error:
                raise _too_slow() from error

    def _run_query(self, query: Callable[[ArchiveQueries], T]) -> T:
        try:
            self._queries = self._queries or self._connect()
            return query(self._queries)
        finally:
            self._running = False


def prepare_archive(settings: Settings) -> None:
    """Create or upgrade the tables of an SQLite archive. A failure is logged: the archive is unavailable."""
    engine = connect(settings, connections=1)
    try:
        prepare(engine, MIGRATION_S)
    except ArchiveUnavailableError as error:
        log.warning("archived jobs cannot be read: %s", error)
    finally:
        engine.dispose()


def archive_reader(settings: Settings, run: ThreadRunner = run_here) -> ArchiveReader:
    """Return the reader of the archive of these settings."""
    for library in LIBRARIES:
        logger = logging.getLogger(library)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False

    def open_archive() -> ArchiveQueries:
        engine = connect(settings, connections=1, statement_timeout_ms=STATEMENT_TIMEOUT_MS)
        check_schema(engine)
        return ArchiveQueries(engine)

    return ArchiveReader(open_archive, run)


def _too_slow() -> Exception:
    return ArchiveUnavailableError(
        f"the archive's database has not answered within {TIMEOUT_S:.0f} s: check it, and its load"
    )

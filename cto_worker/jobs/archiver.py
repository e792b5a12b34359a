"""The archiver: moves ended jobs and the audit log to the archive, and keeps the archive in order.

It deletes old jobs there, and updates SQLite's statistics.

Every worker has an archiver, and one is enough. Several do no harm: the store gives a job to one of them at a
time, and a job that is written again changes nothing. The store keeps a job until an archiver has reported
that the archive has it, so a job is neither lost nor doubled, whichever process dies.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from cto_worker.archive.database import update_statistics
from cto_worker.archive.job_archive import DELETED_AT_ONCE, archive, delete_ended_before
from cto_worker.archive.schema_preparation import prepare
from cto_worker.archive.schema_version import check_schema
from cto_worker.crash_points import crash_point
from cto_worker.errors import ArchiveUnavailableError, NotDurableError
from cto_worker.observability import metric_definitions
from cto_worker.store.ended_jobs import TAKEN_EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from cto_worker.config import Settings
    from cto_worker.domain.ended_job import EndedJob
    from cto_worker.jobs.audit_archiver import AuditArchiver
    from cto_worker.store.ended_jobs import EndedJobs

log = logging.getLogger(__name__)

BATCH = 100  # jobs per transaction
# Pause after a batch that is not full. Each transaction has a fixed cost, so a busy worker that archived each
# job at its end would run fewer operations.
IDLE_S = 1.0
MAX_PAUSE_S = 30.0  # between attempts while the database is unavailable
DELETION_INTERVAL_S = STATISTICS_INTERVAL_S = 3_600.0
_DAY_MS = 86_400_000


class Archiver:
    """Archives ended jobs. :meth:`run` is the main function of a thread."""

    def __init__(
        self, jobs: EndedJobs, engine: Engine, settings: Settings, audit: AuditArchiver | None = None
    ) -> None:
        self._jobs = jobs
        self._audit = audit
        self._engine = engine
        self._days = settings.archive_days
        self._crash_at = settings.crash_at
        self._ready = False  # whether the schema was found to be right after the last failure
        self._failures = 0  # in a row
        self._reported: set[str] = set()  # reasons of these failures: each is logged once
        self._next_deletion_s = self._next_statistics_s = 0.0  # monotonic
        self._stopped = threading.Event()

    def run(self) -> None:
        """Archive jobs until :meth:`stop`."""
        while not self._stopped.is_set():
            self._stopped.wait(self.attempt())

    def attempt(self) -> float:
        """Archive one batch, and delete old jobs and update statistics if that is due.

        Returns the seconds until the next attempt. Errors are logged.
        """
        try:
            more = self.archive_batch()
            more = self._delete_old() or more
            self._update_statistics()
        except (ArchiveUnavailableError, RedisError, NotDurableError) as error:
            self._report(error)
        except Exception:
            log.exception("the archiver failed")
        else:
            self._report_success()
            return 0 if more else IDLE_S
        self._ready = False
        self._failures += 1
        metric_definitions.ARCHIVE_FAILURES.inc()
        return min(MAX_PAUSE_S, 2.0 ** min(self._failures - 1, 10))

    def archive_batch(self) -> bool:
        """Archive a batch of ended jobs and one of audit entries. Returns whether more may wait.

        Raises :class:`ArchiveUnavailableError`, :class:`NotDurableError` or ``RedisError``. The store then
        still has every job.
        """
        self._check_database()
        more = bool(self._audit and self._audit.archive_batch())
        more = self._jobs.relist() or more
        jobs = self._jobs.take(BATCH)
        if not jobs:
            return more
        crash_point("before_archive", self._crash_at, attempt=1)
        written = self._write(jobs)
        crash_point("after_archive", self._crash_at, attempt=1)
        self._jobs.archived(written)
        metric_definitions.JOBS_ARCHIVED.inc(len(written))
        return more or _is_full(jobs)

    def stop(self) -> None:
        """Make :meth:`run` return."""
        self._stopped.set()

    def _check_database(self) -> None:
        if not self._ready:
            prepare(self._engine)
            check_schema(self._engine)
            self._ready = True

    def _write(self, jobs: Sequence[EndedJob]) -> set[str]:
        """Write jobs, and return the ids of those that the archive has now.

        If the database works but refuses the batch, each job is tried alone: one defective job must not keep
        the others out of the archive.
        """
        try:
            written = archive(self._engine, jobs)
        except Exception:
            check_schema(self._engine)
            refused = {job.job_id: error for job in jobs if (error := self._refusal(job))}
            if len(refused) == len(jobs):
                raise
        else:
            another = "the archive has another job with this id"
            refused = {job.job_id: another for job in jobs if job.job_id not in written}
        for job_id, reason in refused.items():
            log.warning("job %s stays in the store: %s", job_id, reason)
        return {job.job_id for job in jobs} - refused.keys()

    def _refusal(self, job: EndedJob) -> str:
        """Write one job. Returns why that is not possible, or ""."""
        try:
            archive(self._engine, [job])
        except Exception as error:  # noqa: BLE001 - the caller logs or raises it
            return f"{type(error).__name__}: {error}"
        return ""

    def _delete_old(self) -> bool:
        """Delete a batch of old jobs, if that is due. Returns whether there may be more."""
        if not self._days or time.monotonic() < self._next_deletion_s:
            return False
        deleted = delete_ended_before(self._engine, int(time.time() * 1_000) - self._days * _DAY_MS)
        if deleted:
            log.info("deleted %d jobs that ended more than %d days ago", deleted, self._days)
        if deleted == DELETED_AT_ONCE:
            return True
        self._next_deletion_s = time.monotonic() + DELETION_INTERVAL_S
        return False

    def _update_statistics(self) -> None:
        if time.monotonic() >= self._next_statistics_s:
            self._next_statistics_s = time.monotonic() + STATISTICS_INTERVAL_S  # also after a failure
            update_statistics(self._engine)

    def _report(self, error: Exception) -> None:
        reason = str(error)
        if reason not in self._reported:
            log.warning("ended jobs stay in the store: %s", reason)
            self._reported.add(reason)

    def _report_success(self) -> None:
        if self._failures:
            log.info("ended jobs are archived again")
        self._failures = 0
        self._reported.clear()


def _is_full(jobs: Sequence[EndedJob]) -> bool:
    """Return whether the limits of a batch may have kept other jobs out."""
    # A batch ends before the job that would exceed TAKEN_EVENTS. Each job has far less than half of that.
    return len(jobs) == BATCH or sum(len(job.events) for job in jobs) > TAKEN_EVENTS // 2

"""Search of jobs: those in the store that are not archived yet, and those in the archive.

The store is read first. So a job that is archived between the two reads is found twice rather than never, and
the second copy is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from cto_worker.domain.job_filter import Totals

if TYPE_CHECKING:
    from api.history.archive_reader import ArchiveReader
    from cto_worker.domain.job_filter import JobFilter
    from cto_worker.domain.job_summary import JobPosition, JobSummary
    from cto_worker.store.unarchived_jobs import UnarchivedJobs


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list of jobs."""

    jobs: list[JobSummary]  # newest first
    next_after: JobPosition | None  # where the next page starts; ``None`` on the last page


class JobSearch:
    """Pages and totals of the jobs that match a filter.

    Any method may raise a ``RedisError``, and :class:`ArchiveUnavailableError` if archived jobs can match.
    """

    def __init__(self, unarchived: UnarchivedJobs, archive: ArchiveReader) -> None:
        self._unarchived, self._archive = unarchived, archive

    def page(self, wanted: JobFilter, limit: int, after: JobPosition | None = None) -> Page:
        """Return the newest ``limit`` jobs that match, or those that follow ``after`` in the list."""
        live = islice(self._unarchived.matching(wanted, after, limit + 1), limit + 1)
        found = {job.job_id: job for job in live}
        if wanted.matches_archived_jobs:
            # If both have a job, the store's copy is used, as in calls about one job.
            found = {job.job_id: job for job in self._archive.page(wanted, limit + 1, after)} | found
        jobs = sorted(found.values(), key=lambda job: job.position, reverse=True)
        return Page(jobs[:limit], jobs[limit - 1].position if len(jobs) > limit else None)

    def totals(self, wanted: JobFilter) -> Totals:
        """Return the totals of all jobs that match."""
        totals, counted = Totals(), set()
        for job in self._unarchived.matching(wanted):
            totals.add(job)
            counted.add(job.job_id)
        if wanted.matches_archived_jobs:
            totals += self._archive.totals(wanted, counted)
        return totals

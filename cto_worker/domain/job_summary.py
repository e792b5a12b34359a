"""A job in a list of jobs, and its position in every list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cto_worker.domain.progress_event import JobStatus


class JobPosition(NamedTuple):
    """The position of a job in every list. Lists are sorted by it, newest first.

    Job ids have ASCII characters only, so Python, the store and SQL compare them in the same order.
    """

    created_ms: int  # ms since the epoch
    job_id: str


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One job in a list of jobs."""

    job_id: str
    status: JobStatus
    created_ms: int  # ms since the epoch
    event: bytes  # the latest event
    needs_review: bool  # whether an operator must look at the job now

    @property
    def position(self) -> JobPosition:
        """The job's position in every list."""
        return JobPosition(self.created_ms, self.job_id)

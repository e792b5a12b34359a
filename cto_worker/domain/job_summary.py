"""A job in a list of jobs, and its position in every list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from cto_worker.domain.buy_plan import kind_of
from cto_worker.domain.lamports import to_lamports

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cto_worker.domain.progress_event import JobStatus


class JobPosition(NamedTuple):
    """The position of a job in every list. Lists are sorted by it, newest first.

    Job ids have ASCII characters only, so Python, the store and SQL compare them in the same order.
    """

    created_ms: int  # ms since the epoch
    job_id: str


class RecordedStep(NamedTuple):
    """An unknown step of an ended job, as an operator recorded it."""

    intent_id: str
    executed: bool
    spent_lamports: int  # fees included


@dataclass(frozen=True, slots=True)
class Figures:
    """The buys and the costs of a job, as far as they are known now."""

    successful_buys: int
    failed_buys: int
    spent_lamports: int  # fees included


def figures_of(event: Mapping[str, Any], recorded: Iterable[RecordedStep] = ()) -> Figures:
    """Return the figures of a job's latest event (the JSON object), and of its recorded steps."""
    details, steps = event.get("details", {}), list(recorded)
    buys = [step.executed for step in steps if kind_of(step.intent_id) == "buy"]
    return Figures(
        details.get("successfulBuys", 0) + buys.count(True),
        details.get("failedBuys", 0) + buys.count(False),
        to_lamports(details.get("totalSpent", 0)) + sum(step.spent_lamports for step in steps),
    )


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One job in a list of jobs."""

    job_id: str
    status: JobStatus
    created_ms: int  # ms since the epoch
    event: bytes  # the latest event
    needs_review: bool  # whether an operator must look at the job now
    figures: Figures

    @property
    def position(self) -> JobPosition:
        """The job's position in every list."""
        return JobPosition(self.created_ms, self.job_id)

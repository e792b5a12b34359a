"""The filter of jobs for lists, summaries and exports, and the totals of the selected jobs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from cto_worker.domain.ended_job import signatures_of, wallets_of
from cto_worker.domain.purchase_outcome import outcome_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cto_worker.domain.job_summary import JobSummary
    from cto_worker.domain.progress_event import JobStatus, Mode
    from cto_worker.domain.purchase_outcome import PurchaseOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """The conditions that a job must meet, all of them. ``None`` means no condition."""

    status: JobStatus | None = None
    outcome: PurchaseOutcome | None = None
    needs_review: bool | None = None
    user_id: str | None = None
    token_address: str | None = None
    wallet: str | None = None  # an operation wallet of the job
    signature: str | None = None  # of any transaction of the job, also of a failed one
    error_code: str | None = None
    mode: Mode | None = None
    platform: str | None = None
    from_ms: int | None = None  # created at or after this time, ms since the epoch
    to_ms: int | None = None  # created before this time

    @property
    def needs_intents(self) -> bool:
        """Whether :meth:`matches` reads a job's request and intent log."""
        return self.wallet is not None or self.signature is not None

    @property
    def matches_archived_jobs(self) -> bool:
        """Whether an archived job can match: it has ended, and no operator must look at it."""
        return not self.needs_review and (self.status is None or self.status.ended)

    def matches(
        self, job: JobSummary, request: bytes = b"", intents: Mapping[str, bytes] | None = None
    ) -> bool:
        """Return whether a job meets every condition.

        ``request`` and ``intents`` are the job's documents in the store. They may be left out unless
        :attr:`needs_intents`.
        """
        latest = msgspec.json.decode(job.event)
        expected_and_found = (
            (self.status, job.status),
            (self.needs_review, job.needs_review),
            (self.outcome, outcome_of(latest)),
            (self.user_id, latest["userId"]),
            (self.token_address, latest["tokenAddress"]),
            (self.mode, latest["mode"]),
            (self.platform, latest["platform"]),
            (self.error_code, latest.get("details", {}).get("errorCode")),
        )
        return (
            all(expected is None or expected == found for expected, found in expected_and_found)
            and (self.from_ms is None or self.from_ms <= job.created_ms)
            and (self.to_ms is None or job.created_ms < self.to_ms)
            and (self.wallet is None or self.wallet in wallets_of(request, intents or {}))
            and (self.signature is None or self.signature in signatures_of(job.event, intents or {}))
        )


@dataclass(slots=True)
class Totals:
    """The totals of a selection of jobs."""

    by_status: Counter[str] = field(default_factory=Counter)
    by_outcome: Counter[str] = field(default_factory=Counter)  # ended jobs only
    successful_buys: int = 0
    failed_buys: int = 0
    spent_lamports: int = 0  # fees included

    @property
    def total(self) -> int:
        """The number of jobs."""
        return self.by_status.total()

    def add(self, job: JobSummary) -> None:
        """Add one job."""
        self.by_status[job.status] += 1
        if outcome := outcome_of(msgspec.json.decode(job.event)):
            self.by_outcome[outcome] += 1
        self.successful_buys += job.figures.successful_buys
        self.failed_buys += job.figures.failed_buys
        self.spent_lamports += job.figures.spent_lamports

    def __iadd__(self, other: Totals) -> Totals:  # noqa: PYI034 - cannot be subclassed usefully
        """Add the totals of other jobs. Negative totals subtract jobs."""
        self.by_status.update(other.by_status)
        self.by_outcome.update(other.by_outcome)
        self.successful_buys += other.successful_buys
        self.failed_buys += other.failed_buys
        self.spent_lamports += other.spent_lamports
        return self

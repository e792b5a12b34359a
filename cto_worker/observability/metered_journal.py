"""A journal that is measured: as every write about a job goes through it, so does nearly all that counts."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from cto_worker.domain.money import to_sol
from cto_worker.domain.plan import kind_of
from cto_worker.observability import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cto_worker.domain.events import ProgressEvent
    from cto_worker.domain.intents import IntentRecord
    from cto_worker.domain.journal import (
        AppendResult,
        CancelResult,
        Claim,
        CreateResult,
        Idempotency,
        Journal,
        Orphan,
    )
    from cto_worker.domain.market import Order
    from cto_worker.domain.plan import Plan

MOST_PHASES = 10_000  # a run that is lost leaves its entry behind


class MeteredJournal:
    """Implements :class:`~cto_worker.domain.journal.Journal` by another one. What that raises is not counted.

    ``phase_begun`` is told the first event of each phase.
    """

    def __init__(
        self, journal: Journal, phase_begun: Callable[[ProgressEvent], object] = lambda _: None
    ) -> None:
        self._journal = journal
        self._phase_begun = phase_begun
        # By job: its phase, and when that began (ms); None when another run began it.
        self._phases: dict[str, tuple[int, int | None]] = {}

    def create(
        self,
        event: ProgressEvent,
        request: dict[str, Any],
        idempotency: Idempotency | None = None,
        trace: str = "",
    ) -> CreateResult:
        """See :meth:`Journal.create`."""
        created = self._journal.create(event, request, idempotency, trace)
        if created.new:
            metrics.EVENTS_JOURNALLED.inc()
        return created

    def claim(self, job_id: str, claimant: str) -> Claim | None:
        """See :meth:`Journal.claim`."""
        claim = self._journal.claim(job_id, claimant)
        if claim:
            self._begin(claim.latest, claim.latest.timestamp if claim.latest.seq == 1 else None)
            if claim.attempt > 1:
                metrics.TAKEOVERS.inc()
        return claim

    def append(  # noqa: PLR0913 - see Journal
        self,
        event: ProgressEvent,
        result: dict[str, Any] | None = None,
        step_ms: float | None = None,
        *,
        earlier: Sequence[ProgressEvent] = (),
        plan: Plan | None = None,
        records: Mapping[str, IntentRecord] | None = None,
        review: bool = False,
    ) -> AppendResult:
        """See :meth:`Journal.append`."""
        asked_s = perf_counter()
        receipt = self._journal.append(
            event, result, step_ms, earlier=earlier, plan=plan, records=records, review=review
        )
        metrics.JOURNAL_STEP.observe(perf_counter() - asked_s)
        for one in (*earlier, event):
            self._count(one)
        for intent_id, record in (records or {}).items():
            _count_intent(intent_id, record.status)
            if record.outcome:
                metrics.SPENT.inc(to_sol(record.outcome.spent_lamports))
        return receipt

    def intend(
        self, job_id: str, attempt: int, intent_id: str, order: Order, *, heed_cancel: bool = True
    ) -> bool:
        """See :meth:`Journal.intend`."""
        recorded = self._journal.intend(job_id, attempt, intent_id, order, heed_cancel=heed_cancel)
        if recorded and heed_cancel:  # else it is recorded again, by a run that asks what became of it
            _count_intent(intent_id, "intended")
        return recorded

    def submitted(self, job_id: str, attempt: int, intent_id: str, order: Order) -> None:
        """See :meth:`Journal.submitted`."""
        self._journal.submitted(job_id, attempt, intent_id, order)
        _count_intent(intent_id, "submitted")

    def renew(self, owned: Mapping[str, int]) -> dict[str, bool]:
        """See :meth:`Journal.renew`."""
        return self._journal.renew(owned)

    def release(self, job_id: str, attempt: int) -> bytes | None:
        """See :meth:`Journal.release`."""
        return self._journal.release(job_id, attempt)

    def due(self) -> list[Orphan]:
        """See :meth:`Journal.due`."""
        orphans = self._journal.due()
        metrics.SWEEPS.inc()
        metrics.ORPHANS.inc(len(orphans))
        return orphans

    def request_cancel(self, job_id: str) -> CancelResult:
        """See :meth:`Journal.request_cancel`."""
        return self._journal.request_cancel(job_id)

    def _count(self, event: ProgressEvent) -> None:
        metrics.EVENTS_JOURNALLED.inc()
        phase, began_ms = self._phases.get(event.job_id, (event.phase, None))
        if phase != event.phase:
            if began_ms is not None:
                took_s = max(0, event.timestamp - began_ms) / 1_000
                metrics.PHASE.labels(event.mode, phase).observe(took_s)
            self._begin(event, event.timestamp)
            self._phase_begun(event)
        if event.status.terminal:
            self._phases.pop(event.job_id, None)
            metrics.JOBS_ENDED.labels(event.mode, event.status, event.details.error_code or "").inc()

    def _begin(self, event: ProgressEvent, began_ms: int | None) -> None:
        if len(self._phases) >= MOST_PHASES:
            self._phases.clear()
        self._phases[event.job_id] = event.phase, began_ms


def _count_intent(intent_id: str, status: str) -> None:
    metrics.INTENTS.labels(kind_of(intent_id), status).inc()

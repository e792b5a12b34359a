"""A journal that counts and times its writes. Most of the worker's metrics come from here."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from cto_worker.domain.money import to_sol
from cto_worker.domain.plan import kind_of
from cto_worker.observability import metric_definitions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cto_worker.domain.events import ProgressEvent
    from cto_worker.domain.intent_log import IntentRecord
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

MAX_TRACKED_JOBS = 10_000  # bounded, because a lost run leaves its entry behind


class MeteredJournal:
    """Wraps a :class:`~cto_worker.domain.journal.Journal` and records metrics. Failed writes are not counted.

    ``on_phase_start`` is called with the first event of each phase.
    """

    def __init__(
        self, journal: Journal, on_phase_start: Callable[[ProgressEvent], object] = lambda _: None
    ) -> None:
        self._journal = journal
        self._on_phase_start = on_phase_start
        # By job id: current phase and its start (ms), which is None if another run started the phase.
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
            metric_definitions.EVENTS_JOURNALLED.inc()
        return created

    def claim(self, job_id: str, claimant: str) -> Claim | None:
        """See :meth:`Journal.claim`."""
        claim = self._journal.claim(job_id, claimant)
        if claim:
            self._track(claim.latest, claim.latest.timestamp if claim.latest.seq == 1 else None)
            if claim.attempt > 1:
                metric_definitions.TAKEOVERS.inc()
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
        start_s = perf_counter()
        answer = self._journal.append(
            event, result, step_ms, earlier=earlier, plan=plan, records=records, review=review
        )
        metric_definitions.JOURNAL_WRITE.observe(perf_counter() - start_s)
        for appended in (*earlier, event):
            self._count(appended)
        for intent_id, record in (records or {}).items():
            _count_intent(intent_id, record.status)
            if record.outcome:
                metric_definitions.SPENT.inc(to_sol(record.outcome.spent_lamports))
        return answer

    def intend(
        self, job_id: str, attempt: int, intent_id: str, order: Order, *, heed_cancel: bool = True
    ) -> bool:
        """See :meth:`Journal.intend`."""
        recorded = self._journal.intend(job_id, attempt, intent_id, order, heed_cancel=heed_cancel)
        if recorded and heed_cancel:  # without heed_cancel a takeover records the same intent again
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
        metric_definitions.SWEEPS.inc()
        metric_definitions.ORPHANS.inc(len(orphans))
        return orphans

    def request_cancel(self, job_id: str) -> CancelResult:
        """See :meth:`Journal.request_cancel`."""
        return self._journal.request_cancel(job_id)

    def _count(self, event: ProgressEvent) -> None:
        metric_definitions.EVENTS_JOURNALLED.inc()
        phase, start_ms = self._phases.get(event.job_id, (event.phase, None))
        if phase != event.phase:
            if start_ms is not None:
                duration_s = max(0, event.timestamp - start_ms) / 1_000
                metric_definitions.PHASE.labels(event.mode, phase).observe(duration_s)
            self._track(event, event.timestamp)
            self._on_phase_start(event)
        if event.status.terminal:
            self._phases.pop(event.job_id, None)
            metric_definitions.JOBS_ENDED.labels(
                event.mode, event.status, event.details.error_code or ""
            ).inc()

    def _track(self, event: ProgressEvent, start_ms: int | None) -> None:
        if len(self._phases) >= MAX_TRACKED_JOBS:
            self._phases.clear()
        self._phases[event.job_id] = event.phase, start_ms


def _count_intent(intent_id: str, status: str) -> None:
    metric_definitions.INTENTS.labels(kind_of(intent_id), status).inc()

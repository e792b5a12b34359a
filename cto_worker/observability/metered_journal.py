"""The ports of the journal with metrics. Most of the worker's metrics come from here."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from cto_worker.domain.buy_plan import kind_of
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.lamports import to_sol
from cto_worker.observability import metric_definitions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cto_worker.domain.audit_entry import Change
    from cto_worker.domain.journal_ports import (
        AppendResult,
        Claim,
        CreateResult,
        Entry,
        EventLog,
        Idempotency,
        JobStore,
        Leases,
        Orphan,
    )
    from cto_worker.domain.market_port import Order
    from cto_worker.domain.progress_event import ProgressEvent

MAX_TRACKED_JOBS = 10_000  # bounded, because a lost run leaves its entry behind


def metered(journal: Journal, on_phase_start: Callable[[ProgressEvent], object] = lambda _: None) -> Journal:
    """Return the journal with metrics. Failed calls are not counted.

    ``on_phase_start`` is called with the first event of each phase.
    """
    timer = PhaseTimer(on_phase_start)
    return Journal(
        MeteredJobStore(journal.jobs),
        MeteredLeases(journal.leases, timer),
        MeteredEventLog(journal.events, timer),
    )


class MeteredJobStore:
    """Wraps a :class:`~cto_worker.domain.journal_ports.JobStore`, and counts new jobs' events and sweeps."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self.request_cancel = jobs.request_cancel
        self.ms_until_due = jobs.ms_until_due

    def create(
        self,
        event: ProgressEvent,
        request: dict[str, Any],
        idempotency: Idempotency | None = None,
        trace: str = "",
        change: Change | None = None,
    ) -> CreateResult:
        """See :meth:`JobStore.create`."""
        created = self._jobs.create(event, request, idempotency, trace, change)
        if created.new:
            metric_definitions.EVENTS_JOURNALLED.inc()
        return created

    def find_orphans(self) -> list[Orphan]:
        """See :meth:`JobStore.find_orphans`."""
        orphans = self._jobs.find_orphans()
        metric_definitions.SWEEPS.inc()
        metric_definitions.ORPHANS.inc(len(orphans))
        return orphans


class MeteredLeases:
    """Wraps :class:`~cto_worker.domain.journal_ports.Leases`, and counts takeovers."""

    def __init__(self, leases: Leases, timer: PhaseTimer) -> None:
        self._leases = leases
        self._timer = timer
        self.renew = leases.renew
        self.release = leases.release

    def claim(self, job_id: str, claimant: str) -> Claim | None:
        """See :meth:`Leases.claim`."""
        claim = self._leases.claim(job_id, claimant)
        if claim:
            self._timer.continue_job(claim.latest)
            if claim.attempt > 1:
                metric_definitions.TAKEOVERS.inc()
        return claim


class MeteredEventLog:
    """Wraps an :class:`~cto_worker.domain.journal_ports.EventLog`, and counts and times its writes."""

    def __init__(self, events: EventLog, timer: PhaseTimer) -> None:
        self._events = events
        self._timer = timer

    def append(self, entry: Entry) -> AppendResult:
        """See :meth:`EventLog.append`."""
        start_s = perf_counter()
        answer = self._events.append(entry)
        metric_definitions.JOURNAL_WRITE.observe(perf_counter() - start_s)
        for event in entry.events:
            self._count(event)
        for intent_id, record in entry.records.items():
            _count_intent(intent_id, record.status)
            if record.outcome:
                metric_definitions.SPENT.inc(to_sol(record.outcome.spent_lamports))
        return answer

    def intend(self, job_id: str, attempt: int, orders: Sequence[Order], *, heed_cancel: bool = True) -> bool:
        """See :meth:`EventLog.intend`."""
        recorded = self._events.intend(job_id, attempt, orders, heed_cancel=heed_cancel)
        if recorded and heed_cancel:  # without heed_cancel a takeover records the same intents again
            for order in orders:
                _count_intent(order.intent_id, "replaced" if order.replaced else "intended")
        return recorded

    def record_submission(self, job_id: str, attempt: int, orders: Sequence[Order]) -> None:
        """See :meth:`EventLog.record_submission`."""
        self._events.record_submission(job_id, attempt, orders)
        for order in orders:
            _count_intent(order.intent_id, "submitted")

    def _count(self, event: ProgressEvent) -> None:
        metric_definitions.EVENTS_JOURNALLED.inc()
        self._timer.note(event)
        if event.status.terminal:
            metric_definitions.JOBS_ENDED.labels(
                event.mode, event.status, event.details.outcome or "", event.details.error_code or ""
            ).inc()


class PhaseTimer:
    """Measures the durations of phases by the events of the jobs that this process runs."""

    def __init__(self, on_phase_start: Callable[[ProgressEvent], object]) -> None:
        self._on_phase_start = on_phase_start
        # By job id: current phase, and the times (ms) of its start and of the job's acceptance. Each time is
        # None if another run started the phase, or the job.
        self._phases: dict[str, tuple[int, int | None, int | None]] = {}

    def continue_job(self, latest: ProgressEvent) -> None:
        """Start with the latest event of a claimed job. Times phase 1 only if the job is new."""
        start_ms = latest.timestamp if latest.seq == 1 else None
        self._track(latest, start_ms, start_ms)

    def note(self, event: ProgressEvent) -> None:
        """Process an event. The first event of a phase ends the phase before it."""
        phase, start_ms, accepted_ms = self._phases.get(event.job_id, (event.phase, None, None))
        if phase != event.phase:
            if start_ms is not None:
                duration_s = max(0, event.timestamp - start_ms) / 1_000
                metric_definitions.PHASE.labels(event.mode, phase).observe(duration_s)
            self._track(event, event.timestamp, accepted_ms)
            self._on_phase_start(event)
        if event.status.terminal:
            self._phases.pop(event.job_id, None)
            if accepted_ms is not None:
                duration_s = max(0, event.timestamp - accepted_ms) / 1_000
                metric_definitions.JOB.labels(event.mode).observe(duration_s)

    def _track(self, event: ProgressEvent, start_ms: int | None, accepted_ms: int | None) -> None:
        if len(self._phases) >= MAX_TRACKED_JOBS:
            self._phases.clear()
        self._phases[event.job_id] = event.phase, start_ms, accepted_ms


def _count_intent(intent_id: str, status: str) -> None:
    metric_definitions.INTENTS.labels(kind_of(intent_id), status).inc()

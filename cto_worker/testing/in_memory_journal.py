"""An in-memory journal for unit tests. It passes the same contract tests as the journal in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from cto_worker.domain.intent_codec import PLAN, decode_record, encode_plan, encode_record
from cto_worker.domain.intent_log import IntentRecord, IntentStatus, may_follow
from cto_worker.domain.journal_ports import (
    AppendResult,
    CancelResult,
    Claim,
    CreateResult,
    Idempotency,
    Orphan,
    celery_result,
    validate_sequence,
)
from cto_worker.domain.progress_event import JobStatus, ProgressEvent, Status, dumps, encode
from cto_worker.errors import (
    FencedError,
    IdempotencyConflictError,
    JobEndedError,
    JobNotFoundError,
    NotDurableError,
    SequenceError,
)
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cto_worker.domain.audit_entry import Change
    from cto_worker.domain.journal_ports import Entry
    from cto_worker.domain.market_port import Order


@dataclass(slots=True)
class InMemoryJob:
    """A job with its record, history and intent log."""

    request: bytes
    events: list[ProgressEvent]
    due_ms: int
    status: JobStatus = JobStatus.WAITING
    attempt: int = 0
    claimant: str = ""  # the name of the run that has claimed it
    cancel: bool = False
    lease_ms: int = 0  # time when the lease expires
    released: bool = False
    sent_ms: int = 0  # time when its message was last put on the queue of jobs to take over
    stalls: int = 0  # takeovers since its last progress
    begun_ms: int | None = None
    review: bool = False
    trace: str = ""
    log: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class InMemoryJournal:
    """Implements the ports of :mod:`cto_worker.domain.journal_ports` in memory.

    Its clock is :attr:`now_ms`, which only tests change. The hooks ``before_append`` and ``before_intent``
    may raise, or change any state.
    """

    jobs: dict[str, InMemoryJob] = field(default_factory=dict)
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)  # Celery's result metadata by job id
    audited: list[Change] = field(default_factory=list)
    published: list[bytes] = field(default_factory=list)
    before_append: Callable[[ProgressEvent], None] = lambda _: None
    before_intent: Callable[[list[str]], None] = lambda _: None
    durable: bool = True  # False: claims and intents are recorded, but the call raises NotDurableError
    lease_ms: int = 4_000
    now_ms: int = 1_000_000
    queued: bool = False  # whether the queue of new jobs has messages
    resumed_queued: bool = False  # whether the queue of jobs to take over has messages
    _keys: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    _samples: dict[str, list[float]] = field(default_factory=dict)

    def create(
        self,
        event: ProgressEvent,
        request: dict[str, Any],
        idempotency: Idempotency | None = None,
        trace: str = "",
        change: Change | None = None,
    ) -> CreateResult:
        """See :meth:`~cto_worker.domain.journal_ports.JobStore.create`."""
        if idempotency:
            first = self._keys.setdefault(
                (idempotency.caller, idempotency.key), (event.job_id, idempotency.fingerprint)
            )
            if first[1] != idempotency.fingerprint:
                raise IdempotencyConflictError(first[0])
            if first[0] in self.jobs:
                return CreateResult(first[0], new=first[0] == event.job_id, status=self.jobs[first[0]].status)
        if job := self.jobs.get(event.job_id):
            return CreateResult(event.job_id, new=job.events[0] == event, status=job.status)
        self._audit(change)
        self.jobs[event.job_id] = InMemoryJob(
            dumps(request), [event], self.now_ms + keys.NEW_MESSAGE_CHECK_DELAY_MS, trace=trace
        )
        self._publish(event, {})
        return CreateResult(event.job_id, new=True, status=JobStatus.WAITING)

    def claim(self, job_id: str, claimant: str) -> Claim | None:
        """See :meth:`~cto_worker.domain.journal_ports.Leases.claim`."""
        job = self.jobs.get(job_id)
        if job is None or job.status.ended:
            return None
        if job.claimant != claimant:
            if job.attempt and job.lease_ms > self.now_ms:
                return None
            job.stalls += bool(job.attempt and not job.released)
            job.attempt, job.claimant = job.attempt + 1, claimant
        job.released, job.sent_ms = False, 0
        job.lease_ms = job.due_ms = self.now_ms + self.lease_ms
        job.begun_ms = self.now_ms if job.begun_ms is None else job.begun_ms
        self._be_durable()
        elapsed_ms = self.now_ms - job.begun_ms
        return Claim(
            job.attempt, job.events[-1], job.request, dict(job.log), job.stalls, elapsed_ms, job.trace
        )

    def append(self, entry: Entry) -> AppendResult:
        """See :meth:`~cto_worker.domain.journal_ports.EventLog.append`."""
        event = entry.event
        for appended in entry.events:
            self.before_append(appended)
        job = self.jobs.get(event.job_id)
        if job and event == job.events[-1]:
            return self._answer(job, event)
        job = self._owned(event.job_id, event.attempt)
        validate_sequence((job.events[-1], *entry.events))
        job.events += entry.events
        self.published += map(encode, entry.earlier)
        job.status = JobStatus(event.status) if event.status.terminal else JobStatus.ACTIVE
        job.review = entry.review and event.status.terminal
        if entry.plan is not None or entry.records:
            job.stalls = 0
        if entry.plan is not None:
            job.log[PLAN] = encode_plan(entry.plan)
        for intent_id, record in entry.records.items():
            job.log[intent_id] = encode_record(record)
        self._publish(event, entry.result or {})
        if entry.step_ms is not None:
            samples = self._samples.setdefault(keys.step_durations(event.mode, event.platform), [])
            samples.insert(0, entry.step_ms)
            del samples[keys.STEP_DURATION_SAMPLES :]
        return self._answer(job, event)

    def intend(self, job_id: str, attempt: int, orders: Sequence[Order], *, heed_cancel: bool = True) -> bool:
        """See :meth:`~cto_worker.domain.journal_ports.EventLog.intend`."""
        self.before_intent([order.intent_id for order in orders])
        job = self._owned(job_id, attempt)
        records = _records(job, IntentStatus.INTENDED, orders)
        if job.cancel and heed_cancel and not records.items() <= job.log.items():
            return False
        job.log |= records
        self._be_durable()
        return True

    def record_submission(self, job_id: str, attempt: int, orders: Sequence[Order]) -> None:
        """See :meth:`~cto_worker.domain.journal_ports.EventLog.record_submission`."""
        job = self._owned(job_id, attempt)
        job.log |= _records(job, IntentStatus.SUBMITTED, orders)

    def renew(self, owned: Mapping[str, int]) -> dict[str, bool]:
        """See :meth:`~cto_worker.domain.journal_ports.Leases.renew`."""
        renewed = {}
        for job_id, attempt in owned.items():
            job = self.jobs.get(job_id)
            renewed[job_id] = bool(
                job and job.attempt == attempt and not job.status.ended and not job.released
            )
            if job and renewed[job_id]:
                job.lease_ms = job.due_ms = self.now_ms + self.lease_ms
        return renewed

    def release(self, job_id: str, attempt: int) -> bytes | None:
        """See :meth:`~cto_worker.domain.journal_ports.Leases.release`."""
        job = self.jobs.get(job_id)
        if job is None or job.attempt != attempt or job.status.ended:
            return None
        job.lease_ms, job.released, job.sent_ms = 0, True, self.now_ms
        job.due_ms = self.now_ms + keys.RESUME_CHECK_DELAY_MS
        return job.request

    def find_orphans(self) -> list[Orphan]:
        """See :meth:`~cto_worker.domain.journal_ports.JobStore.find_orphans`."""
        orphans = []
        for job_id in self._overdue(begun=True):
            job = self.jobs[job_id]
            job.due_ms = self.now_ms + keys.RESUME_CHECK_DELAY_MS
            if not self.resumed_queued or self.now_ms >= job.sent_ms + keys.RESENT_MESSAGE_TTL_MS:
                job.sent_ms = self.now_ms
                orphans.append(Orphan(job_id, job.request, job.attempt))
        order = list(self.jobs)
        highest_claimed = max(
            (order.index(name) for name, job in self.jobs.items() if job.attempt), default=-1
        )
        for job_id in self._overdue(begun=False):
            job = self.jobs[job_id]
            job.due_ms = self.now_ms + keys.NEW_MESSAGE_CHECK_DELAY_MS
            if not self.queued or order.index(job_id) < highest_claimed:
                orphans.append(Orphan(job_id, job.request, job.attempt))
        return orphans

    def ms_until_due(self) -> int | None:
        """See :meth:`~cto_worker.domain.journal_ports.JobStore.ms_until_due`."""
        due_ms = [job.due_ms for job in self.jobs.values() if job.attempt and not job.status.ended]
        return max(0, min(due_ms) - self.now_ms) if due_ms else None

    def request_cancel(self, job_id: str, change: Change | None = None) -> CancelResult:
        """See :meth:`~cto_worker.domain.journal_ports.JobStore.request_cancel`."""
        job = self.jobs.get(job_id)
        if job is None:
            raise JobNotFoundError(job_id)
        if job.status.ended:
            raise JobEndedError(f"job {job_id} has ended: {job.status}")
        if not job.cancel:
            self._audit(change)
        job.cancel = True
        return CancelResult(job.status, job.attempt)

    def _audit(self, change: Change | None) -> None:
        if change:
            self.audited.append(change)

    def _overdue(self, *, begun: bool) -> list[str]:
        overdue = [
            (job.due_ms, job_id)
            for job_id, job in self.jobs.items()
            if bool(job.attempt) == begun and not job.status.ended and job.due_ms <= self.now_ms
        ]
        return [job_id for _, job_id in sorted(overdue)[: keys.SWEEP_LIMIT]]

    def _owned(self, job_id: str, attempt: int) -> InMemoryJob:
        job = self.jobs.get(job_id)
        if job is None:
            raise JobNotFoundError(job_id)
        if job.status.ended:
            raise JobEndedError(f"job {job_id} has ended")
        if attempt != job.attempt:
            raise FencedError(f"job {job_id} is no longer owned by attempt {attempt}")
        return job

    def _be_durable(self) -> None:
        if not self.durable:
            raise NotDurableError("the test has set durable=False")

    def _answer(self, job: InMemoryJob, event: ProgressEvent) -> AppendResult:
        samples = self._samples.get(keys.step_durations(event.mode, event.platform))
        return AppendResult(job.cancel, median(samples) if samples else None)

    def _publish(self, event: ProgressEvent, result: dict[str, Any]) -> None:
        states = {Status.COMPLETED: "SUCCESS", Status.FAILED: "FAILURE"}
        content = celery_result(event, result) if event.status.terminal else json.loads(encode(event))
        self.metadata[event.job_id] = {"status": states.get(event.status, "PROGRESS"), "result": content}
        self.published.append(encode(event))


def _records(job: InMemoryJob, status: IntentStatus, orders: Sequence[Order]) -> dict[str, bytes]:
    """Return the new records of these orders. Raises :class:`SequenceError` if one may not be written."""
    records = {order.intent_id: encode_record(IntentRecord(status, order)) for order in orders}
    for order in orders:
        text = job.log.get(order.intent_id)
        if text and text != records[order.intent_id]:
            old = decode_record(order.intent_id, text)
            if old.outcome:
                raise SequenceError(f"{order.intent_id} is settled")
            if not may_follow(old.order, order):
                raise SequenceError(f"{order.intent_id} has another order, which has not expired")
    return records

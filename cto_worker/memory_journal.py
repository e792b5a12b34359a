"""The journal's in-memory twin, for unit tests: the same promises, held to the same tests, no store."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from cto_worker import keys
from cto_worker.errors import (
    FencedError,
    IdempotencyConflictError,
    JobEndedError,
    JobNotFoundError,
    SequenceError,
)
from cto_worker.events import JobStatus, ProgressEvent, Status, dumps, encode
from cto_worker.journal import Claim, Created, Idempotency, Receipt, celery_result

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class MemoryJob:
    """A job and everything said about it."""

    request: bytes
    events: list[ProgressEvent]
    status: JobStatus = JobStatus.WAITING
    attempt: int = 0
    claimant: str = ""
    cancel: bool = False


@dataclass(slots=True)
class MemoryJournal:
    """Implements :class:`cto_worker.journal.Journal`. ``before_append`` may raise, or change anything."""

    jobs: dict[str, MemoryJob] = field(default_factory=dict)
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)  # as Celery's backend would hold it
    published: list[bytes] = field(default_factory=list)
    before_append: Callable[[ProgressEvent], None] = lambda _: None
    _keys: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    _samples: dict[str, list[float]] = field(default_factory=dict)

    def create(
        self, event: ProgressEvent, request: dict[str, Any], idempotency: Idempotency | None = None
    ) -> Created:
        """See :meth:`cto_worker.journal.Journal.create`."""
        if idempotency:
            first = self._keys.setdefault(
                (idempotency.caller, idempotency.key), (event.job_id, idempotency.fingerprint)
            )
            if first[1] != idempotency.fingerprint:
                raise IdempotencyConflictError(first[0])
            if first[0] in self.jobs:
                return Created(first[0], new=False, status=self.jobs[first[0]].status)
        if event.job_id in self.jobs:
            return Created(event.job_id, new=False, status=self.jobs[event.job_id].status)
        self.jobs[event.job_id] = MemoryJob(dumps(request), [event])
        self._show(event, {})
        return Created(event.job_id, new=True, status=JobStatus.WAITING)

    def claim(self, job_id: str, claimant: str) -> Claim | None:
        """See :meth:`cto_worker.journal.Journal.claim`."""
        job = self.jobs.get(job_id)
        if job is None or job.status.ended or (job.attempt and job.claimant != claimant):
            return None
        job.attempt, job.claimant = 1, claimant
        return Claim(job.attempt, job.events[-1].seq, job.request)

    def append(
        self, event: ProgressEvent, result: dict[str, Any] | None = None, step_ms: float | None = None
    ) -> Receipt:
        """See :meth:`cto_worker.journal.Journal.append`."""
        self.before_append(event)
        job = self.jobs.get(event.job_id)
        if job is None:
            raise JobNotFoundError(event.job_id)
        last = job.events[-1]
        if event == last:
            return self._receipt(job, event)
        if job.status.ended:
            raise JobEndedError(f"job {event.job_id} has ended")
        if event.attempt != job.attempt:
            raise FencedError(f"job {event.job_id} is no longer owned by attempt {event.attempt}")
        if event.seq != last.seq + 1 or event.progress < last.progress:
            raise SequenceError(f"job {event.job_id}: {event.seq} is not the next seq")
        job.events.append(event)
        job.status = JobStatus(event.status) if event.status.terminal else JobStatus.ACTIVE
        self._show(event, result or {})
        if step_ms is not None:
            samples = self._samples.setdefault(keys.pace(event.mode, event.platform), [])
            samples.insert(0, step_ms)
            del samples[keys.PACE_RUNS :]
        return self._receipt(job, event)

    def request_cancel(self, job_id: str) -> JobStatus:
        """See :meth:`cto_worker.journal.Journal.request_cancel`."""
        job = self.jobs.get(job_id)
        if job is None:
            raise JobNotFoundError(job_id)
        if job.status.ended:
            raise JobEndedError(f"job {job_id} has ended: {job.status}")
        job.cancel = True
        return job.status

    def _receipt(self, job: MemoryJob, event: ProgressEvent) -> Receipt:
        samples = self._samples.get(keys.pace(event.mode, event.platform))
        return Receipt(job.cancel, median(samples) if samples else None)

    def _show(self, event: ProgressEvent, result: dict[str, Any]) -> None:
        states = {Status.COMPLETED: "SUCCESS", Status.FAILED: "FAILURE"}
        shown = celery_result(event, result) if event.status.terminal else json.loads(encode(event))
        self.metadata[event.job_id] = {"status": states.get(event.status, "PROGRESS"), "result": shown}
        self.published.append(encode(event))

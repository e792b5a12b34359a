"""Cancels a job: a waiting job at once, an active job before its next transfer or buy."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cto_worker.domain.audit_entry import Action, Change, local_actor
from cto_worker.domain.progress_event import JobStatus
from cto_worker.errors import FencedError, OperationFailed
from cto_worker.operation.phases import finish_operation
from cto_worker.operation.progress_reporter import ProgressReporter, request_from_event
from cto_worker.operation.run_state import RunState

if TYPE_CHECKING:
    from cto_worker.domain.audit_entry import Actor
    from cto_worker.domain.journal_ports import Journal
    from cto_worker.domain.progress_event import ProgressEvent


def cancel(journal: Journal, job_id: str, latest: ProgressEvent, actor: Actor | None = None) -> JobStatus:
    """Request a job's cancellation, and end the job here if no worker has begun it. Returns its new status.

    ``actor`` is the author for the audit log; by default this process, as the service.

    Raises :class:`~cto_worker.errors.JobNotFoundError`; :class:`~cto_worker.errors.JobEndedError`, also if a
    concurrent call has ended the job; or :class:`~cto_worker.errors.NotDurableError`: then cancel again.
    """
    status = JobStatus.ACTIVE if latest.attempt else JobStatus.WAITING
    change = Change(
        actor=actor or local_actor("service"),
        action=Action.JOB_CANCEL,
        job_id=job_id,
        before={"status": status, "cancelRequested": False},
        after={"cancelRequested": True},
    )
    requested = journal.jobs.request_cancel(job_id, change)
    if requested.attempt:
        return requested.status
    request = request_from_event(latest)
    reporter = ProgressReporter(journal.events, job_id, request, attempt=0, latest=latest)
    # If a worker claims the job meanwhile, the store refuses this write, and the worker finds the request.
    with suppress(FencedError):
        try:
            finish_operation(RunState(job_id, request, reporter), ("cancelled", "Cancelled before it began"))
        except OperationFailed:
            return JobStatus.FAILED
    return JobStatus.ACTIVE

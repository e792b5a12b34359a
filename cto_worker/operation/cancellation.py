"""Cancelling a job: at once while it waits, before its next transfer or buy while it runs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cto_worker.domain.events import JobStatus
from cto_worker.errors import FencedError, OperationFailed
from cto_worker.operation.phases import cancel_waiting
from cto_worker.operation.reporter import ProgressReporter, request_from_event

if TYPE_CHECKING:
    from cto_worker.domain.events import ProgressEvent
    from cto_worker.domain.journal import Journal


def cancel(journal: Journal, job_id: str, latest: ProgressEvent) -> JobStatus:
    """Ask for a job to stop, and end it here when no worker has begun it. Returns where it stands then.

    Raises :class:`~cto_worker.errors.JobNotFoundError`, or :class:`~cto_worker.errors.JobEndedError`, also
    when another call has just ended it, or :class:`~cto_worker.errors.NotDurableError`: then cancel again.
    """
    standing = journal.request_cancel(job_id)
    if standing.attempt:
        return standing.status
    request = request_from_event(latest)
    reporter = ProgressReporter(journal, job_id, request, attempt=0, latest=latest)
    # A worker that claims it meanwhile has the store refuse this, and finds the request to cancel.
    with suppress(FencedError):
        try:
            cancel_waiting(job_id, request, reporter)
        except OperationFailed:
            return JobStatus.FAILED
    return JobStatus.ACTIVE

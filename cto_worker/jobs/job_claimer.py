"""The claimer of jobs: claims a job for one run, and first records a job that exists only as a message."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from cto_worker.domain.audit_entry import Action, Actor, Change
from cto_worker.domain.ids_and_rooms import JOB_ID
from cto_worker.domain.operation_request import parse_request, refused_request
from cto_worker.errors import (
    FencedError,
    InvalidRequestError,
    JobEndedError,
    JobNotFoundError,
    LeaseLostError,
    NotDurableError,
    SequenceError,
)
from cto_worker.observability import metric_definitions
from cto_worker.operation.progress_reporter import accepted_event

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from cto_worker.domain.journal_ports import Claim, Journal
    from cto_worker.domain.operation_request import OperationRequest

log = logging.getLogger(__name__)

MAX_REASON = 500  # characters of the reason for which a request is invalid
# Field of the stored document that replaces an invalid request; contains the reason.
INVALID_REQUEST = "refused"
_BY_MESSAGE = Actor("service", "service", "queue")  # a message does not name its sender
# These errors end a run that has lost its job, or the store. Another run then takes over the job.
JOB_LOST = (FencedError, JobEndedError, JobNotFoundError, LeaseLostError, SequenceError)
_STORE_LOST = (NotDurableError, RedisError)


@dataclass(frozen=True, slots=True)
class JobClaimer:
    """Claims the jobs of messages."""

    journal: Journal
    platforms: Collection[str] = ()  # the market's platforms; empty: requests may name any

    def claim(self, job_id: str, document: Any, claimant: str, *, recorded: bool) -> Claim | None:
        """Claim a job for the run named ``claimant``. ``document`` is its message.

        ``recorded`` means that the sender has recorded the job, so a job without a record has expired. Any
        other job is recorded now; instead of an invalid ``document``, the reason is recorded. Returns
        ``None`` if the job belongs to another run, has ended or has expired.

        Raises :class:`InvalidRequestError`, with nothing recorded, if ``job_id`` is not valid, and what
        :meth:`Leases.claim` and :meth:`JobStore.create` raise.
        """
        if not JOB_ID.match(job_id):
            raise InvalidRequestError(
                {"jobId": [f"Must be 1 to 128 letters, digits, _ or -, not {job_id[:80]!r}."]}
            )
        claim = self.journal.leases.claim(job_id, claimant)
        if claim is None and not recorded:
            request, reason = _parse(document, self.platforms)
            stored = {INVALID_REQUEST: reason} if reason else request.to_document()
            change = Change(actor=_BY_MESSAGE, action=Action.JOB_SUBMIT, job_id=job_id, after=stored)
            if not self.journal.jobs.create(accepted_event(job_id, request), stored, change=change).new:
                return None
            claim = self.journal.leases.claim(job_id, claimant)
        return claim


@contextmanager
def ended_by_loss() -> Iterator[None]:
    """End the block without an error if its run loses the job or the store."""
    try:
        yield
    except (*JOB_LOST, *_STORE_LOST) as lost:
        store_lost = isinstance(lost, _STORE_LOST)
        metric_definitions.RUNS_LOST.labels("store" if store_lost else "lease").inc()
        log.warning("stopped, another run takes over: %s", lost)


def _parse(document: Any, platforms: Collection[str]) -> tuple[OperationRequest, str]:
    """Return a message's request, and the reason for which it is invalid, or ""."""
    try:
        return parse_request(document, platforms), ""
    except InvalidRequestError as error:
        # The text quotes the sender's input, which may be long, or contain surrogates that have no UTF-8.
        reason = str(error).encode(errors="backslashreplace").decode()[:MAX_REASON]
        log.warning("invalid request: %s", reason)
        return refused_request(document), reason

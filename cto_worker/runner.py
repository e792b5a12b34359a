"""From a queue message to a finished operation: record it if need be, claim it, run it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis.exceptions import RedisError
from structlog.contextvars import bound_contextvars

from cto_worker.errors import CtoError, InvalidRequestError, OperationFailed
from cto_worker.job_id import JOB_ID
from cto_worker.operation import Operation, conclude, run
from cto_worker.request import OperationRequest, parse_request, recorded_request, refused_request
from cto_worker.story import Story, opening_event

if TYPE_CHECKING:
    from cto_worker.journal import Journal
    from cto_worker.market import Market

log = logging.getLogger(__name__)


def run_job(job_id: str, document: Any, journal: Journal, market: Market) -> dict[str, Any] | None:
    """Run the job this message is for. Returns its result, or ``None`` when another run has or had the job.

    A job that was sent by bare name is recorded now. A document that is no request ends the job ``failed``,
    ``errorCode`` ``invalid_request``.

    Raises :class:`OperationFailed` once the job's terminal event says so;
    :class:`InvalidRequestError`, with nothing recorded, when the message's id cannot be a job's; and what the
    journal raises: then this run stops, and the job is as its last event says.
    """
    if not JOB_ID.match(job_id):
        raise InvalidRequestError(
            {"jobId": [f"Must be 1 to 128 letters, digits, _ or -, not {job_id[:80]!r}."]}
        )
    claimant = str(uuid4())
    refusal = None
    claim = journal.claim(job_id, claimant)
    if claim is None:
        request, refusal = _read(document)
        recorded = {} if refusal else request.to_document()
        if not journal.create(opening_event(job_id, request), recorded).new:
            log.info("job %s has been taken already; nothing to do", job_id)
            return None
        claim = journal.claim(job_id, claimant)
        if claim is None:
            return None
    else:
        request = recorded_request(claim.request)
    story = Story(journal, job_id, request, attempt=claim.attempt, seq=claim.seq)
    operation = Operation(job_id, request, market, story)
    with bound_contextvars(job_id=job_id, attempt=claim.attempt):
        if refusal:
            log.warning("refused: %s", refusal)
            return conclude(operation, ("invalid_request", str(refusal)))
        log.info("begun: %s, %s SOL, user %s", request.mode, request.buy_amount, request.user_id)
        try:
            result = _run(operation)
        except OperationFailed as failure:
            log.info("failed: %s", failure)
            raise
        log.info("completed: %s of %s SOL spent", result["totalSpent"], request.buy_amount)
        return result


def _run(operation: Operation) -> dict[str, Any]:
    try:
        return run(operation)
    except (CtoError, RedisError):
        raise
    except Exception:
        # A bug of ours must not leave its user waiting. The counts told are true all the same.
        log.exception("the operation broke")
        return conclude(operation, ("internal_error", "The operation broke; its operators have been told"))


def _read(document: Any) -> tuple[OperationRequest, InvalidRequestError | None]:
    try:
        return parse_request(document), None
    except InvalidRequestError as refusal:
        return refused_request(document), refusal

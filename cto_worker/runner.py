"""From a queue message to a finished operation: record it if need be, claim it, run it."""

from __future__ import annotations

import json
import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis.exceptions import RedisError
from structlog.contextvars import bound_contextvars

from cto_worker.errors import (
    CtoError,
    FencedError,
    HandedOver,
    InvalidRequestError,
    LeaseLostError,
    NotDurableError,
    OperationFailed,
)
from cto_worker.hold import Hold
from cto_worker.job_id import JOB_ID
from cto_worker.operation import MAX_STALLS, Operation, conclude, park, run
from cto_worker.request import OperationRequest, parse_request, recorded_request, refused_request
from cto_worker.story import Story, opening_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.journal import Claim, Journal
    from cto_worker.lease import LeaseKeeper
    from cto_worker.market import Market

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Runner:
    """Runs jobs in this worker. ``send(job_id, document, resumed)`` puts a message back on a queue."""

    journal: Journal
    market: Market
    keeper: LeaseKeeper | None = None  # ``None``: nobody else can take a job over
    send: Callable[[str, dict[str, Any], bool], None] = lambda *_: None
    crash_at: str = ""
    stopping: Event = field(default_factory=Event)  # set once this worker is to stop

    def run_job(self, job_id: str, document: Any) -> dict[str, Any] | None:
        """Run the job this message is for. Returns its result; ``None`` when another run has or had the job.

        A job that was sent by bare name is recorded now. A document that is no request ends the job
        ``failed``, ``errorCode`` ``invalid_request``. A worker that is to stop leaves its jobs to others.

        Raises :class:`OperationFailed` once the job's terminal event says so;
        and :class:`InvalidRequestError`, with nothing recorded, when the message's id cannot be a job's.
        ``None`` also when this run has lost the job or the store: then another takes the job over.
        """
        if not JOB_ID.match(job_id):
            raise InvalidRequestError(
                {"jobId": [f"Must be 1 to 128 letters, digits, _ or -, not {job_id[:80]!r}."]}
            )
        claimed_s, claimant, refusal = time.monotonic(), str(uuid4()), None
        claim = self.journal.claim(job_id, claimant)
        if claim is None:
            request, refusal = _read(document)
            recorded = {} if refusal else request.to_document()
            if not self.journal.create(opening_event(job_id, request), recorded).new:
                log.info("job %s has been taken already; nothing to do", job_id)
                return None
            claim = self.journal.claim(job_id, claimant)
            if claim is None:
                return None
        else:
            request, refusal = _recorded(claim.request, document)
        with bound_contextvars(job_id=job_id, attempt=claim.attempt):
            keeping = self.keeper.keeping(job_id, claim.attempt, claimed_s) if self.keeper else nullcontext()
            with keeping as lease:
                hold = Hold(lease, self.stopping, self.crash_at)
                hold.reached("after_claim")
                story = Story(self.journal, job_id, request, attempt=claim.attempt, latest=claim.latest)
                started_s = time.monotonic() - claim.elapsed_ms / 1000
                operation = Operation(
                    job_id, request, self.market, story, hold, claim.log, started_s=started_s
                )
                return self._run(operation, claim, refusal)

    def _run(
        self, operation: Operation, claim: Claim, refusal: InvalidRequestError | None
    ) -> dict[str, Any] | None:
        request = operation.request
        try:
            if refusal:
                log.warning("refused: %s", refusal)
                return conclude(operation, ("invalid_request", str(refusal)))
            if claim.stalls >= MAX_STALLS:
                return park(operation)
            log.info("begun: %s, %s SOL, user %s", request.mode, request.buy_amount, request.user_id)
            result = _guarded(operation)
        except OperationFailed as failure:
            log.info("failed: %s", failure)
            raise
        except HandedOver:
            self._hand_over(operation.job_id, claim.attempt)
            return None
        except (FencedError, LeaseLostError, NotDurableError, RedisError) as lost:
            log.warning("stopped, to be taken over: %s", lost)
            return None
        log.info("completed: %s of %s SOL spent", result["totalSpent"], request.buy_amount)
        return result

    def _hand_over(self, job_id: str, attempt: int) -> None:
        document = self.journal.release(job_id, attempt)
        if document is not None:
            self.send(job_id, json.loads(document), True)
            log.info("handed over")


def _guarded(operation: Operation) -> dict[str, Any]:
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


def _recorded(recorded: bytes, document: Any) -> tuple[OperationRequest, InvalidRequestError | None]:
    """The request as it was recorded; nothing was, when it came by bare name and was refused."""
    if recorded == b"{}":
        return _read(document)
    return recorded_request(recorded), None

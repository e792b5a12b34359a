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

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from structlog.contextvars import bound_contextvars

from cto_worker.domain.ids import JOB_ID
from cto_worker.domain.request import parse_request, recorded_request, refused_request
from cto_worker.errors import (
    CtoError,
    FencedError,
    Handover,
    InvalidRequestError,
    JobEndedError,
    JobNotFoundError,
    LeaseLostError,
    NotDurableError,
    OperationFailed,
    SequenceError,
)
from cto_worker.observability import metrics
from cto_worker.operation.guard import RunGuard
from cto_worker.operation.operation import Operation
from cto_worker.operation.phases import MAX_STALLS, finish_operation, park, run
from cto_worker.operation.reporter import ProgressReporter, accepted_event, request_from_event

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from cto_worker.domain.intents import IntentLog
    from cto_worker.domain.journal import Claim, Journal
    from cto_worker.domain.market import Market
    from cto_worker.domain.request import OperationRequest
    from cto_worker.jobs.lease_keeper import LeaseKeeper
    from cto_worker.operation.guard import Lease

log = logging.getLogger(__name__)

RETRY_S = 1.0  # how soon a store out of reach is asked again
MAX_REFUSAL = 500  # characters told of why a message was refused
REFUSED = "refused"  # what is recorded in place of a request that is none: this name, and why
# What ends a run that no longer has its job, or cannot reach the store: another takes the job over.
_LOST = (
    FencedError,
    JobEndedError,
    JobNotFoundError,
    LeaseLostError,
    NotDurableError,
    RedisError,
    SequenceError,
)


@dataclass(frozen=True, slots=True)
class _Taken:
    claim: Claim
    claimed_s: float  # this process's clock before the claim was sent


@dataclass(slots=True)
class Runner:
    """Runs jobs in this worker. ``send(job_id, document, resumed)`` puts a message back on a queue."""

    journal: Journal
    market: Market
    keeper: LeaseKeeper | None = None  # ``None``: nobody else can take a job over
    send: Callable[[str, dict[str, Any], bool], None] = lambda *_: None
    crash_at: str = ""
    trace: Callable[[str, Claim], AbstractContextManager[object]] = lambda *_: nullcontext()  # of one run
    stopping: Event = field(default_factory=Event)  # set once this worker is to stop
    platforms: Collection[str] = ()  # that the market knows; empty: requests may name any
    parked: str = ""  # why every job is ended, and listed for an operator, rather than run; "": they are run

    def run_job(self, job_id: str, document: Any, *, recorded: bool = False) -> dict[str, Any] | None:
        """Run the job this message is for. Returns its result; ``None`` when another run has or had the job.

        A job that was sent by bare name is recorded now; one that was ``recorded`` when it was sent, and is
        no more, has ended long ago. A document that is no request ends the job ``failed``, ``errorCode``
        ``invalid_request``. A worker that is to stop leaves its jobs to others.

        Raises :class:`OperationFailed` once the job's terminal event says so, and
        :class:`InvalidRequestError`, with nothing recorded, when the message's id cannot be a job's.
        ``None`` also when this run has lost the job or the store: then another takes the job over.
        """
        if not JOB_ID.match(job_id):
            raise InvalidRequestError(
                {"jobId": [f"Must be 1 to 128 letters, digits, _ or -, not {job_id[:80]!r}."]}
            )
        with bound_contextvars(job_id=job_id):
            taken = self._take_in_the_end(job_id, document, recorded=recorded)
            if taken is None:
                log.info("taken already, or to be left to another worker")
                return None
            traced = {"trace_id": taken.claim.trace_id} if taken.claim.trace else {}
            with bound_contextvars(attempt=taken.claim.attempt, **traced):
                return self._run(job_id, taken)

    def _take_in_the_end(self, job_id: str, document: Any, *, recorded: bool) -> _Taken | None:
        """Take the job; a store out of reach is waited for, as nobody else may know of this message."""
        claimant = str(uuid4())
        while True:
            try:
                return self._take(job_id, document, claimant, recorded=recorded)
            except (RedisError, NotDurableError) as error:
                log.warning("cannot take the job yet: %s", error)
                if self.parked or self.stopping.wait(RETRY_S):
                    raise

    def _take(self, job_id: str, document: Any, claimant: str, *, recorded: bool) -> _Taken | None:
        claimed_s = time.monotonic()
        claim = self.journal.claim(job_id, claimant)
        if claim is None and not recorded:
            request, refusal = _read(document, self.platforms)
            document = {REFUSED: refusal} if refusal else request.to_document()
            if not self.journal.create(accepted_event(job_id, request), document).new:
                return None
            claim = self.journal.claim(job_id, claimant)
        return _Taken(claim, claimed_s) if claim else None

    def _run(self, job_id: str, taken: _Taken) -> dict[str, Any] | None:
        claim = taken.claim
        try:
            with self._keeping(job_id, taken) as lease, self.trace(job_id, claim):
                hold = RunGuard(lease, self.stopping, self.crash_at)
                if reason := self.parked or _stalled(claim):
                    # Whatever is wrong may be what is recorded, so no more of that is read than must be.
                    operation = self._operation(job_id, claim, request_from_event(claim.latest), hold)
                    operation.log = _readable_log(claim)
                    unreadable = bool(claim.recorded) and operation.log is None
                    operation.uncertain = bool(self.parked) or unreadable
                    return park(operation, reason)
                hold.reached("after_claim")
                if refusal := json.loads(claim.request).get(REFUSED):
                    refused = self._operation(job_id, claim, request_from_event(claim.latest), hold)
                    return finish_operation(refused, ("invalid_request", refusal))
                request = recorded_request(claim.request)
                operation = self._operation(job_id, claim, request, hold)
                operation.log = claim.log
                log.info("begun: %s, %s SOL, user %s", request.mode, request.buy_amount, request.user_id)
                result = _guarded(operation)
                log.info("completed: %s of %s SOL spent", result["totalSpent"], request.buy_amount)
                return result
        except OperationFailed as failure:
            log.info("failed: %s", failure)
            raise
        except Handover:
            self._hand_over(job_id, claim.attempt)
        except _LOST as lost:
            away = isinstance(lost, (RedisError, NotDurableError))
            metrics.RUNS_LOST.labels("store" if away else "lease").inc()
            log.warning("stopped, to be taken over: %s", lost)
        return None

    def _operation(self, job_id: str, claim: Claim, request: OperationRequest, hold: RunGuard) -> Operation:
        reporter = ProgressReporter(self.journal, job_id, request, attempt=claim.attempt, latest=claim.latest)
        started_s = time.monotonic() - claim.elapsed_ms / 1000
        return Operation(job_id, request, self.market, reporter, hold, started_s=started_s)

    def _keeping(self, job_id: str, taken: _Taken) -> AbstractContextManager[Lease | None]:
        if self.keeper is None:
            return nullcontext()
        return self.keeper.keeping(job_id, taken.claim.attempt, taken.claimed_s)

    def _hand_over(self, job_id: str, attempt: int) -> None:
        try:
            document = self.journal.release(job_id, attempt)
            if document is None:
                return  # another's by now
            self.send(job_id, json.loads(document), True)
        except (RedisError, OperationalError) as error:
            log.warning("cannot hand over, so the lease runs out: %s", error)
        else:
            metrics.RUNS_HANDED_OVER.inc()
            log.info("handed over")


def _guarded(operation: Operation) -> dict[str, Any]:
    try:
        return run(operation)
    except (CtoError, RedisError):
        raise
    except Exception:
        # A bug of ours must not leave its user waiting. The counts told are true all the same.
        log.exception("the operation broke")
        return finish_operation(
            operation, ("internal_error", "The operation broke; its operators have been told")
        )


def _stalled(claim: Claim) -> str:
    stalled = claim.stalls >= MAX_STALLS
    return f"{MAX_STALLS} runs in a row were lost without getting further" if stalled else ""


def _readable_log(claim: Claim) -> IntentLog | None:
    try:
        return claim.log
    except (ValueError, KeyError, TypeError):
        log.exception("the intent log cannot be read; what it tells is not counted")
        return None


def _read(document: Any, platforms: Collection[str]) -> tuple[OperationRequest, str]:
    """The request in a message, and why it is refused, or ""."""
    try:
        return parse_request(document, platforms), ""
    except InvalidRequestError as refusal:
        # What a stranger sent may be long, or no text that can be written down.
        text = str(refusal).encode(errors="backslashreplace").decode()[:MAX_REFUSAL]
        log.warning("refused: %s", text)
        return refused_request(document), text

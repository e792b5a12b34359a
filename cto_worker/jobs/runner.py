"""The runner of jobs: records a job if necessary, claims it, and runs its operation."""

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

from cto_worker.domain.ids_and_rooms import JOB_ID
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
from cto_worker.observability import metric_definitions
from cto_worker.operation.phases import MAX_STALLS, finish_operation, park, run_operation
from cto_worker.operation.reporter import ProgressReporter, accepted_event, request_from_event
from cto_worker.operation.run_guard import RunGuard
from cto_worker.operation.run_state import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from cto_worker.domain.intent_log import IntentLog
    from cto_worker.domain.journal import Claim, Journal
    from cto_worker.domain.market import Market
    from cto_worker.domain.request import OperationRequest
    from cto_worker.jobs.lease_keeper import LeaseKeeper
    from cto_worker.operation.run_guard import Lease

log = logging.getLogger(__name__)

RETRY_S = 1.0  # interval between attempts to reach the store
MAX_REASON = 500  # characters of the reason for which a request is invalid
INVALID_REQUEST = (
    "refused"  # field of the stored document that replaces an invalid request; contains the reason
)
# These errors end a run that has lost its job or the store. Another run then takes over the job.
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
class _Claimed:
    claim: Claim
    claimed_s: float  # monotonic time before the claim was sent


@dataclass(slots=True)
class Runner:
    """Runs jobs in this worker. ``send(job_id, document, resumed)`` sends a job's message again."""

    journal: Journal
    market: Market
    keeper: LeaseKeeper | None = None  # ``None``: leases are not renewed
    send: Callable[[str, dict[str, Any], bool], None] = lambda *_: None
    crash_at: str = ""
    trace: Callable[[str, Claim], AbstractContextManager[object]] = lambda *_: nullcontext()  # of one run
    stopping: Event = field(default_factory=Event)  # set when this worker must stop
    platforms: Collection[str] = ()  # the market's platforms; empty: requests may name any
    parked: str = ""  # if set, jobs are not run but parked for this reason

    def run_job(self, job_id: str, document: Any, *, recorded: bool = False) -> dict[str, Any] | None:
        """Run the job of one message. Returns the operation's result.

        Returns ``None`` if another run has claimed the job, if the job has ended, or if this run loses the
        job or the store; another run then takes over the job. A stopping worker hands its jobs over.

        ``recorded`` means that the sender has recorded the job, so a job without a record has expired. Any
        other job is recorded now. An invalid ``document`` ends the job ``failed`` with ``errorCode``
        ``invalid_request``.

        Raises :class:`OperationFailed` after the terminal event of a failed job. Raises
        :class:`InvalidRequestError`, with nothing recorded, if ``job_id`` is not valid.
        """
        if not JOB_ID.match(job_id):
            raise InvalidRequestError(
                {"jobId": [f"Must be 1 to 128 letters, digits, _ or -, not {job_id[:80]!r}."]}
            )
        with bound_contextvars(job_id=job_id):
            claimed = self._claim_with_retry(job_id, document, recorded=recorded)
            if claimed is None:
                log.info("skipped: claimed by another run, or already ended")
                return None
            traced = {"trace_id": claimed.claim.trace_id} if claimed.claim.trace else {}
            with bound_contextvars(attempt=claimed.claim.attempt, **traced):
                return self._run(job_id, claimed)

    def _claim_with_retry(self, job_id: str, document: Any, *, recorded: bool) -> _Claimed | None:
        """Claim the job. Waits for an unreachable store, because the job may exist only in this message."""
        claimant = str(uuid4())
        while True:
            try:
                return self._claim(job_id, document, claimant, recorded=recorded)
            except (RedisError, NotDurableError) as error:
                log.warning("cannot claim the job yet: %s", error)
                if self.parked or self.stopping.wait(RETRY_S):
                    raise

    def _claim(self, job_id: str, document: Any, claimant: str, *, recorded: bool) -> _Claimed | None:
        claimed_s = time.monotonic()
        claim = self.journal.claim(job_id, claimant)
        if claim is None and not recorded:
            request, reason = _parse(document, self.platforms)
            document = {INVALID_REQUEST: reason} if reason else request.to_document()
            if not self.journal.create(accepted_event(job_id, request), document).new:
                return None
            claim = self.journal.claim(job_id, claimant)
        return _Claimed(claim, claimed_s) if claim else None

    def _run(self, job_id: str, claimed: _Claimed) -> dict[str, Any] | None:
        claim = claimed.claim
        try:
            with self._keeping(job_id, claimed) as lease, self.trace(job_id, claim):
                guard = RunGuard(lease, self.stopping, self.crash_at)
                if reason := self.parked or _stalled(claim):
                    # The stored request or intent log may be the cause, so as little as possible is read.
                    run = self._run_state(job_id, claim, request_from_event(claim.latest), guard)
                    run.log = _readable_log(claim)
                    unreadable = bool(claim.recorded) and run.log is None
                    run.uncertain = bool(self.parked) or unreadable
                    return park(run, reason)
                guard.reached("after_claim")
                if invalid := json.loads(claim.request).get(INVALID_REQUEST):
                    refused = self._run_state(job_id, claim, request_from_event(claim.latest), guard)
                    return finish_operation(refused, ("invalid_request", invalid))
                request = recorded_request(claim.request)
                run = self._run_state(job_id, claim, request, guard)
                run.log = claim.log
                log.info("started: %s, %s SOL, user %s", request.mode, request.buy_amount, request.user_id)
                result = _run_or_report_bug(run)
                log.info("completed: %s of %s SOL spent", result["totalSpent"], request.buy_amount)
                return result
        except OperationFailed as failure:
            log.info("failed: %s", failure)
            raise
        except Handover:
            self._hand_over(job_id, claim.attempt)
        except _LOST as lost:
            store_lost = isinstance(lost, (RedisError, NotDurableError))
            metric_definitions.RUNS_LOST.labels("store" if store_lost else "lease").inc()
            log.warning("stopped, another run takes over: %s", lost)
        return None

    def _run_state(self, job_id: str, claim: Claim, request: OperationRequest, guard: RunGuard) -> RunState:
        reporter = ProgressReporter(self.journal, job_id, request, attempt=claim.attempt, latest=claim.latest)
        started_s = time.monotonic() - claim.elapsed_ms / 1000
        return RunState(job_id, request, self.market, reporter, guard, started_s=started_s)

    def _keeping(self, job_id: str, claimed: _Claimed) -> AbstractContextManager[Lease | None]:
        if self.keeper is None:
            return nullcontext()
        return self.keeper.keeping(job_id, claimed.claim.attempt, claimed.claimed_s)

    def _hand_over(self, job_id: str, attempt: int) -> None:
        try:
            document = self.journal.release(job_id, attempt)
            if document is None:
                return  # another run has claimed the job, or it has ended
            self.send(job_id, json.loads(document), True)
        except (RedisError, OperationalError) as error:
            log.warning("cannot hand over, another run takes over when the lease expires: %s", error)
        else:
            metric_definitions.RUNS_HANDED_OVER.inc()
            log.info("handed over")


def _run_or_report_bug(run: RunState) -> dict[str, Any]:
    try:
        return run_operation(run)
    except (CtoError, RedisError):
        raise
    except Exception:
        # After a bug the job must still end, so that its user does not wait. Its counts are correct.
        log.exception("the operation failed with an internal error")
        return finish_operation(
            run, ("internal_error", "The operation failed with an internal error, which was logged")
        )


def _stalled(claim: Claim) -> str:
    stalled = claim.stalls >= MAX_STALLS
    return f"{MAX_STALLS} runs in a row were lost without progress" if stalled else ""


def _readable_log(claim: Claim) -> IntentLog | None:
    try:
        return claim.log
    except (ValueError, KeyError, TypeError):
        log.exception("cannot read the intent log; its outcomes are not counted")
        return None


def _parse(document: Any, platforms: Collection[str]) -> tuple[OperationRequest, str]:
    """Return a message's request, and the reason for which it is invalid, or ""."""
    try:
        return parse_request(document, platforms), ""
    except InvalidRequestError as error:
        # The text quotes the sender's input, which may be long, or contain surrogates that have no UTF-8.
        reason = str(error).encode(errors="backslashreplace").decode()[:MAX_REASON]
        log.warning("invalid request: %s", reason)
        return refused_request(document), reason

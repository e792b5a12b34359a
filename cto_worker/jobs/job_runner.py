"""The runner of jobs: claims a job, and runs its operation."""

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

from cto_worker.domain.operation_request import recorded_request
from cto_worker.errors import CtoError, Handover, NotDurableError, OperationFailed
from cto_worker.jobs.job_claimer import INVALID_REQUEST, JobClaimer, ended_by_loss
from cto_worker.observability import metric_definitions
from cto_worker.operation.phases import MAX_STALLS, finish_operation, park, run_operation
from cto_worker.operation.run_guard import RunGuard
from cto_worker.operation.run_state import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from cto_worker.domain.journal_ports import Claim, Journal
    from cto_worker.domain.market_port import Market
    from cto_worker.jobs.lease_keeper import LeaseKeeper
    from cto_worker.operation.run_guard import Lease

log = logging.getLogger(__name__)

RETRY_S = 1.0  # interval between attempts to reach the store
_STALLED = f"{MAX_STALLS} runs in a row were lost without progress"


@dataclass(slots=True)
class JobRunner:
    """Runs jobs in this worker. ``send(job_id, document, resumed)`` sends a job's message again."""

    journal: Journal
    market: Market
    keeper: LeaseKeeper | None = None  # ``None``: leases are not renewed
    send: Callable[[str, dict[str, Any], bool], None] = lambda *_: None
    crash_at: str = ""
    trace: Callable[[str, Claim], AbstractContextManager[object]] = lambda *_: nullcontext()  # of one run
    stopping: Event = field(default_factory=Event)  # set when this worker must stop
    platforms: Collection[str] = ()  # the market's platforms; empty: requests may name any
    parallelism: int = 1  # the maximum number of orders in flight, for each operation

    def run_job(self, job_id: str, document: Any, *, recorded: bool = False) -> dict[str, Any] | None:
        """Run the job of one message. Returns the operation's result.

        Returns ``None`` if another run has claimed the job, if the job has ended, or if this run loses the
        job or the store; another run then takes over the job. A stopping worker hands its jobs over.

        ``recorded`` as in :meth:`JobClaimer.claim`. An invalid ``document`` ends the job ``failed`` with
        ``errorCode`` ``invalid_request``.

        Raises :class:`OperationFailed` after the terminal event of a failed job. Raises
        :class:`InvalidRequestError`, with nothing recorded, if ``job_id`` is not valid.
        """
        with bound_contextvars(job_id=job_id):
            claim, claimed_s = self._claim_with_retry(job_id, document, recorded=recorded)
            if claim is None:
                log.info("skipped: claimed by another run, or already ended")
                return None
            traced = {"trace_id": claim.trace_id} if claim.trace else {}
            with bound_contextvars(attempt=claim.attempt, **traced):
                return self._run(job_id, claim, claimed_s)

    def _claim_with_retry(self, job_id: str, document: Any, *, recorded: bool) -> tuple[Claim | None, float]:
        """Claim the job. Returns the claim, and the monotonic time before it was sent.

        Waits for an unreachable store, because the job may exist only in this message.
        """
        claimer, claimant = JobClaimer(self.journal, self.platforms), str(uuid4())
        while True:
            claimed_s = time.monotonic()
            try:
                return claimer.claim(job_id, document, claimant, recorded=recorded), claimed_s
            except (RedisError, NotDurableError) as error:
                log.warning("cannot claim the job yet: %s", error)
                if self.stopping.wait(RETRY_S):
                    raise

    def _run(self, job_id: str, claim: Claim, claimed_s: float) -> dict[str, Any] | None:
        try:
            with (
                ended_by_loss(),
                self._keeping(job_id, claim, claimed_s) as lease,
                self.trace(job_id, claim),
            ):
                return self._run_claimed(job_id, claim, RunGuard(lease, self.stopping, self.crash_at))
        except OperationFailed as failure:
            log.info("failed: %s", failure)
            raise
        except Handover:
            self._hand_over(job_id, claim.attempt)
        return None

    def _run_claimed(self, job_id: str, claim: Claim, guard: RunGuard) -> dict[str, Any]:
        events = self.journal.events
        if claim.stalls >= MAX_STALLS:
            # The stored request may be the cause, so it is not read.
            return park(RunState.of_claim(events, job_id, claim, guard), claim, _STALLED)
        guard.reached("after_claim")
        if invalid := json.loads(claim.request).get(INVALID_REQUEST):
            run = RunState.of_claim(events, job_id, claim, guard)
            return finish_operation(run, ("invalid_request", invalid))
        request = recorded_request(claim.request)
        run = RunState.of_claim(events, job_id, claim, guard, request)
        run.intent_log, run.parallelism = claim.intent_log, self.parallelism
        log.info("started: %s, %s SOL, user %s", request.mode, request.buy_amount, request.user_id)
        result = _run_or_report_bug(run, self.market)
        log.info("completed: %s of %s SOL spent", result["totalSpent"], request.buy_amount)
        return result

    def _keeping(self, job_id: str, claim: Claim, claimed_s: float) -> AbstractContextManager[Lease | None]:
        if self.keeper is None:
            return nullcontext()
        return self.keeper.keeping(job_id, claim.attempt, claimed_s)

    def _hand_over(self, job_id: str, attempt: int) -> None:
        try:
            document = self.journal.leases.release(job_id, attempt)
            if document is None:
                return  # another run has claimed the job, or it has ended
            self.send(job_id, json.loads(document), True)
        except (RedisError, OperationalError) as error:
            log.warning("cannot hand over, another run takes over when the lease expires: %s", error)
        else:
            metric_definitions.RUNS_HANDED_OVER.inc()
            log.info("handed over")


def _run_or_report_bug(run: RunState, market: Market) -> dict[str, Any]:
    try:
        return run_operation(run, market)
    except (CtoError, RedisError):
        raise
    except Exception:
        # After a bug the job must still end, so that its user does not wait. Its counts are correct.
        log.exception("the operation failed with an internal error")
        return finish_operation(
            run, ("internal_error", "The operation failed with an internal error, which was logged")
        )

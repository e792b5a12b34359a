"""Executes one step of a plan against a market: prepare, record the intent, submit, await the outcome."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cto_worker.domain.market import Outcome, OutcomeStatus
from cto_worker.errors import CancelRequested, MarketError, OrderRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.domain.buy_plan import Step
    from cto_worker.domain.market import Market, Order
    from cto_worker.operation.run_context import RunContext

T = TypeVar("T")

log = logging.getLogger(__name__)

POLL_S = 0.5  # how soon a run that waits for the market notices that it must stop


@dataclass(slots=True)
class StepExecutor:
    """Executes the steps of one run. An order that may have been submitted is never called failed."""

    market: Market
    run: RunContext

    def execute(self, step: Step) -> tuple[Order | None, Outcome]:
        """Execute a step that no run has begun. Returns its order, if the market prepared one, and outcome.

        Raises :class:`CancelRequested`, with nothing submitted. The guard and the journal raise their own.
        """
        try:
            order = self.with_retries(lambda: self.market.prepare(step.intent))
        except OrderRejectedError as refusal:
            return None, _failed(refusal.code, refusal)
        except MarketError as failure:
            return None, _failed("market_unavailable", failure)
        self.run.guard.reached("before_intent")
        outcome = self._record_and_submit(step, order, heed_cancel=True)
        self.run.in_flight = None
        return order, outcome

    def reconcile(self, step: Step, order: Order) -> Outcome:
        """Return the outcome of an order that an earlier run recorded.

        If the market does not know the order, the same bytes are submitted again, even if the job is
        cancelled: they can execute only once. The intent is recorded again first, because the earlier run
        may have ended when the store could not keep the record.
        """
        self.run.in_flight = step, order
        outcome = self._outcome(order, wait_s=0)
        if outcome.status is OutcomeStatus.UNKNOWN:
            outcome = self._record_and_submit(step, order, heed_cancel=False)
        self.run.in_flight = None
        return outcome

    def with_retries(self, query: Callable[[], T]) -> T:
        """Return what ``query`` returns, a call to the market that moves no money; repeat it on failure.

        Raises :class:`MarketError` when it still fails after the market's ``patience_s``, and
        :class:`OrderRejectedError` at once.
        """
        deadline_s = time.monotonic() + self.market.patience_s
        while True:
            try:
                return query()
            except OrderRejectedError:
                raise
            except MarketError as error:
                if time.monotonic() >= deadline_s:
                    raise
                log.warning("querying the market again: %s", error)
            self.run.guard.pause(POLL_S)
            self._check_guard()

    def _record_and_submit(self, step: Step, order: Order, *, heed_cancel: bool) -> Outcome:
        if not self.run.reporter.intend(order.intent_id, order, heed_cancel=heed_cancel):
            raise CancelRequested
        self.run.in_flight = step, order
        self.run.guard.check_owned()
        self.run.guard.reached("after_intent")
        return self._await_outcome(order, submitted=self._submit(order))

    def _submit(self, order: Order) -> bool:
        """Submit an order. Returns whether the market certainly received it."""
        try:
            self.market.submit(order)
        except MarketError:
            log.warning("submitting %s failed: querying its outcome", order.intent_id, exc_info=True)
            return False
        self.run.guard.reached("after_submit")
        return True

    def _await_outcome(self, order: Order, *, submitted: bool) -> Outcome:
        """Poll the market for an order's outcome; ``UNKNOWN`` if it has none after its ``patience_s``.

        Until the order is certainly ``submitted``, the same bytes are submitted again. The submission is
        recorded only when there is something to wait for: an immediate outcome saves that round trip.
        """
        deadline_s, wait_s, recorded = time.monotonic() + self.market.patience_s, 0.0, False
        while True:
            outcome = self._outcome(order, wait_s=wait_s)
            if outcome.status is not OutcomeStatus.UNKNOWN or time.monotonic() >= deadline_s:
                return outcome
            self._check_guard()
            if not submitted:
                submitted = self._submit(order)
            elif not recorded:
                self.run.reporter.record_submission(order.intent_id, order)
                self.run.guard.reached("after_submitted")
                recorded = True
            wait_s = min(POLL_S, max(0.0, deadline_s - time.monotonic()))

    def _outcome(self, order: Order, *, wait_s: float) -> Outcome:
        """Return the market's outcome of an order; ``UNKNOWN`` also when the market does not answer."""
        try:
            return self.market.outcome(order, wait_s=wait_s)
        except MarketError:
            log.warning("no outcome of %s", order.intent_id, exc_info=True)
            self.run.guard.pause(wait_s)
            return Outcome(OutcomeStatus.UNKNOWN, order.signature)

    def _check_guard(self) -> None:
        self.run.guard.check_owned()
        self.run.guard.check_stopping()


def _failed(code: str, error: MarketError) -> Outcome:
    return Outcome(OutcomeStatus.FAILED, "", error_code=code, error=str(error))

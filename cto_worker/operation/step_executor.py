"""Executes the steps of a plan against a market: prepare, record the intents, submit, await the outcomes.

Several steps are in flight at the same time, and one thread drives all of them.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cto_worker.domain.market_port import Buy, Outcome, OutcomeStatus, Rejection, limited_by, replacing
from cto_worker.errors import CancelRequested, MarketError, OrderRejectedError
from cto_worker.operation.run_state import EndedStep, OrderInFlight, expired_for_good

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cto_worker.domain.buy_plan import Step
    from cto_worker.domain.market_port import Market, Order, Transfer
    from cto_worker.operation.run_state import RunState

T = TypeVar("T")

log = logging.getLogger(__name__)

POLL_S = 0.5  # how soon a run that waits for the market notices that it must stop
FOLLOW_S = 5.0  # how long a stopping worker waits for the outcomes of all orders in flight
MAX_REPLACEMENTS = 3  # of an order that expires, before its step fails


@dataclass(slots=True)
class StepExecutor:
    """Executes the steps of one run. An order that may have been submitted is never called failed."""

    market: Market
    run: RunState
    followed_s: float = 0.0  # seconds spent awaiting outcomes since the worker was asked to stop

    def begin(self, steps: Sequence[Step]) -> list[EndedStep]:
        """Prepare, record and submit the orders of steps that no run has begun, or whose order has expired.

        Returns the rejected steps. Raises :class:`CancelRequested`, with nothing submitted. Errors of the
        guard and the journal are passed on.
        """
        rejected, orders = [], []
        for step, answer in zip(steps, self._prepare(steps), strict=True):
            expired = self._expired(step)
            if isinstance(answer, Rejection):
                rejected.append(EndedStep(step, expired, _failed(answer, expired)))
            else:
                orders.append(OrderInFlight(step, replacing(expired, answer) if expired else answer))
        if orders:
            self.run.guard.reached("before_intent")
            self._record_and_submit(orders, heed_cancel=True)
        return rejected

    def reconcile(self) -> list[EndedStep]:
        """Query all orders that earlier runs left in flight. Returns the steps whose outcomes are known.

        If the market does not know an order, the same bytes are submitted again, even if the job is
        cancelled: they can execute only once. The intents are recorded again first, because the earlier run
        may have ended when the store could not keep the records.
        """
        known = self._outcomes(wait_s=0)
        lost = [sent for intent_id, sent in self.run.in_flight.items() if intent_id not in known]
        if lost:
            self._record_and_submit(lost, heed_cancel=False)
        return self._ended(known)

    def await_outcomes(self) -> list[EndedStep]:
        """Wait until at least one order in flight has an outcome, and return the steps that ended.

        An order without an outcome after the market's ``patience_s`` is ``UNKNOWN``. Until an order is
        certainly submitted, the same bytes are submitted again. The submissions are recorded only if there is
        no outcome within ``POLL_S``: a fast market saves that round trip.

        Raises :class:`Handover` if the worker must stop and all outcomes together take too long.
        """
        submitted = all(sent.submitted for sent in self.run.in_flight.values())
        wait_s = self._wait_s() if submitted else 0.0
        while True:
            begun_s = time.monotonic()
            known = self._outcomes(wait_s=wait_s)
            ended = self._ended(known | self._overdue(known))
            if self.run.guard.stopping.is_set():  # a market that fails at once counts as if it had waited
                waited_s = time.monotonic() - begun_s
                self.followed_s += waited_s if ended else max(waited_s, wait_s)
            if ended:
                return ended
            self.run.guard.check_owned()
            if self.followed_s >= FOLLOW_S:
                self.run.guard.check_stopping()
            self._submit_or_record()
            wait_s = self._wait_s()

    def with_retries(self, query: Callable[[], T]) -> T:
        """Call ``query``, which must move no money, and return its result. Calls it again on failure.

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
            self.run.guard.check_owned()
            self.run.guard.check_stopping()

    def _prepare(self, steps: Sequence[Step]) -> Sequence[Order | Rejection]:
        try:
            intents = [self._intent(step) for step in steps]
            prepared = self.with_retries(lambda: self.market.prepare(intents))
            return [_within_limit(*pair) for pair in zip(intents, prepared, strict=True)]
        except MarketError as failure:
            return [Rejection("market_unavailable", str(failure))] * len(steps)

    def _intent(self, step: Step) -> Transfer | Buy:
        """Return the intent of a step, with the limit of the order that has expired, if any."""
        expired = self._expired(step)
        return limited_by(expired, step.intent) if expired else step.intent

    def _expired(self, step: Step) -> Order | None:
        """Return the order of a step that is to be replaced."""
        sent = self.run.expired.get(step.intent.intent_id)
        return sent.order if sent else None

    def _record_and_submit(self, orders: list[OrderInFlight], *, heed_cancel: bool) -> None:
        if not self.run.reporter.intend([sent.order for sent in orders], heed_cancel=heed_cancel):
            raise CancelRequested
        deadline_s = time.monotonic() + self.market.patience_s
        for sent in orders:
            sent.deadline_s = deadline_s
            self.run.in_flight[sent.order.intent_id] = sent
            self.run.expired.pop(sent.order.intent_id, None)
        self.run.guard.check_owned()
        self.run.guard.reached("after_intent")
        self._submit(orders)

    def _submit(self, orders: list[OrderInFlight]) -> None:
        """Submit orders. If the market does not confirm that, :meth:`await_outcomes` submits them again."""
        try:
            self.market.submit([sent.order for sent in orders])
        except MarketError:
            log.warning("submitting %d orders failed: querying their outcomes", len(orders), exc_info=True)
            return
        for sent in orders:
            sent.submitted = True
        self.run.guard.reached("after_submit")

    def _wait_s(self) -> float:
        deadline_s = min(sent.deadline_s for sent in self.run.in_flight.values())
        return min(POLL_S, max(0.0, deadline_s - time.monotonic()))

    def _submit_or_record(self) -> None:
        """Submit the orders in flight that are not certainly submitted; if all are, record that once."""
        if unsent := [sent for sent in self.run.in_flight.values() if not sent.submitted]:
            self._submit(unsent)
        elif unrecorded := [sent for sent in self.run.in_flight.values() if not sent.recorded]:
            self.run.reporter.record_submission([sent.order for sent in unrecorded])
            for sent in unrecorded:
                sent.recorded = True
            self.run.guard.reached("after_submitted")

    def _outcomes(self, *, wait_s: float) -> dict[str, Outcome]:
        """Return the known outcomes of the orders in flight, by intent id; none if the market fails.

        The outcome of another order, such as one that has been replaced, says nothing about an order.
        """
        orders = {intent_id: sent.order for intent_id, sent in self.run.in_flight.items()}
        try:
            found = self.market.outcomes([*orders.values()], wait_s=wait_s)
            return {
                intent_id: outcome
                for intent_id, outcome in found.items()
                if outcome.signature == orders[intent_id].signature
            }
        except MarketError:
            log.warning("no outcomes of %d orders", len(orders), exc_info=True)
            self.run.guard.pause(wait_s)
            return {}

    def _overdue(self, known: dict[str, Outcome]) -> dict[str, Outcome]:
        """Return an unknown outcome for each order in flight that has waited too long."""
        now_s = time.monotonic()
        return {
            intent_id: Outcome(OutcomeStatus.UNKNOWN, sent.order.signature)
            for intent_id, sent in self.run.in_flight.items()
            if intent_id not in known and now_s >= sent.deadline_s
        }

    def _ended(self, outcomes: dict[str, Outcome]) -> list[EndedStep]:
        in_flight = self.run.in_flight
        return [_ended(in_flight[intent_id], outcome) for intent_id, outcome in outcomes.items()]


def _ended(sent: OrderInFlight, outcome: Outcome) -> EndedStep:
    """Return the end of an order. An expired one fails after its last replacement."""
    if outcome.status is OutcomeStatus.EXPIRED:
        replacements = len(sent.order.replaced)
        log.warning("order %s of %s has expired", sent.order.signature, sent.order.intent_id)
        if replacements >= MAX_REPLACEMENTS:
            return expired_for_good(sent)
    return EndedStep(sent.step, sent.order, outcome)


def _within_limit(intent: Transfer | Buy, answer: Order | Rejection) -> Order | Rejection:
    """Return the market's answer, or a rejection if the order could receive less than the intent demands."""
    if (
        isinstance(intent, Buy)
        and not isinstance(answer, Rejection)
        and answer.min_tokens < intent.min_tokens
    ):
        return Rejection(
            "limit_ignored",
            f"the market prepared an order for at least {answer.min_tokens} base units instead of "
            f"{intent.min_tokens}, the limit of the expired order: correct `prepare` of the market",
        )
    return answer


def _failed(rejection: Rejection, expired: Order | None) -> Outcome:
    signature = expired.signature if expired else ""
    return Outcome(OutcomeStatus.FAILED, signature, error_code=rejection.code, error=rejection.error)

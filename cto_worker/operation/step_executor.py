"""One step of phase 4: prepare an order, record the intent, submit it, and find out what became of it."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from cto_worker.domain.market import Outcome, OutcomeStatus
from cto_worker.errors import CancelRequested, MarketError, OrderRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.domain.market import Order
    from cto_worker.domain.plan import Step
    from cto_worker.operation.phases import Operation

T = TypeVar("T")

log = logging.getLogger(__name__)

ASK_SLICE_S = 0.5  # how soon a run that waits for an outcome notices that it must stop


def execute_step(operation: Operation, step: Step) -> tuple[Order | None, Outcome]:
    """Prepare, record the intent, submit, ask; what may have been submitted is never called failed."""
    intent = step.intent
    try:
        order = with_retries(operation, lambda: operation.market.prepare(intent))
    except OrderRejectedError as refusal:
        return None, Outcome(OutcomeStatus.FAILED, "", error_code=refusal.code, error=str(refusal))
    except MarketError as failure:
        return None, Outcome(OutcomeStatus.FAILED, "", error_code="market_unavailable", error=str(failure))
    operation.hold.reached("before_intent")
    return order, send(operation, step, order)


def reconcile(operation: Operation, step: Step, order: Order) -> Outcome:
    """Find out what became of an order of an earlier run.

    When the market knows nothing of it the same bytes are sent again, cancelled or not: they execute once,
    whenever they arrive.
    """
    with suppress(MarketError):
        outcome = operation.market.outcome(order, wait_s=0)
        if outcome.status is not OutcomeStatus.UNKNOWN:
            return outcome
    return send(operation, step, order, heed_cancel=False)


def send(operation: Operation, step: Step, order: Order, *, heed_cancel: bool = True) -> Outcome:
    """Have an order on disk, submit it, and wait for its outcome.

    An order that an earlier run has recorded is recorded again: that run may have ended because the store
    could not keep the record. Raises :class:`CancelRequested`, with nothing sent.
    """
    if not operation.reporter.intend(order.intent_id, order, heed_cancel=heed_cancel):
        raise CancelRequested
    operation.in_flight = step, order
    operation.hold.check_owned()
    operation.hold.reached("after_intent")
    return ask(operation, order, sent=_submit(operation, order))


def _submit(operation: Operation, order: Order) -> bool:
    """Send an order. Returns whether the market took it for sure."""
    try:
        operation.market.submit(order)
    except MarketError:
        log.warning("submitting %s failed; asking what became of it", order.intent_id, exc_info=True)
        return False
    operation.hold.reached("after_submit")
    return True


def with_retries(operation: Operation, ask: Callable[[], T]) -> T:
    """Ask the market something that moves no money, again and again while it does not answer.

    Raises :class:`MarketError` once the market's patience is over, and :class:`OrderRejectedError` at once.
    """
    ends_s = time.monotonic() + operation.market.patience_s
    while True:
        try:
            return ask()
        except OrderRejectedError:
            raise
        except MarketError as error:
            if time.monotonic() >= ends_s:
                raise
            log.warning("asking the market again: %s", error)
        operation.hold.pause(ASK_SLICE_S)
        operation.hold.check_owned()
        operation.hold.check_stopping()


def ask(operation: Operation, order: Order, *, sent: bool) -> Outcome:
    """Wait until the market says what became of an order, but not for ever: then it is ``UNKNOWN``.

    As long as it may not have been ``sent``, the same bytes are sent again. That it has been is recorded
    when there is something to wait for: a market that knows at once costs no round trip for it.
    """
    ends_s, wait_s, recorded = time.monotonic() + operation.market.patience_s, 0.0, False
    while True:
        try:
            outcome = operation.market.outcome(order, wait_s=wait_s)
        except MarketError:
            log.warning("no outcome of %s", order.intent_id, exc_info=True)
            outcome = Outcome(OutcomeStatus.UNKNOWN, order.signature)
            operation.hold.pause(wait_s)
        if outcome.status is not OutcomeStatus.UNKNOWN or time.monotonic() >= ends_s:
            return outcome
        operation.hold.check_owned()
        operation.hold.check_stopping()
        if not sent:
            sent = _submit(operation, order)
        elif not recorded:
            operation.reporter.submitted(order.intent_id, order)
            operation.hold.reached("after_submitted")
            recorded = True
        wait_s = min(ASK_SLICE_S, max(0.0, ends_s - time.monotonic()))

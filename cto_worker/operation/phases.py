"""The five phases of an operation, from the accepted request to the terminal event.

Phase 1 is the event written at acceptance, by
:func:`~cto_worker.operation.progress_reporter.accepted_event`. This module contains phases 2 to 5. It uses a
market and a journal, and neither the store nor Celery.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from cto_worker.domain.buy_plan import check_funds, make_plan, select_wallets
from cto_worker.domain.market_port import Outcome, OutcomeStatus, Strategy
from cto_worker.domain.progress_event import Phase
from cto_worker.domain.purchase_outcome import PurchaseOutcome, judge
from cto_worker.errors import CancelRequested, MarketError, OperationFailed, OrderRejectedError
from cto_worker.operation.execution import Execution
from cto_worker.operation.progress_reporter import UNKNOWN_PLATFORM
from cto_worker.operation.result_document import Ending, operation_result
from cto_worker.operation.run_state import EndedStep, OrderInFlight, RunState, expired_for_good
from cto_worker.operation.step_executor import StepExecutor

if TYPE_CHECKING:
    from cto_worker.domain.buy_plan import Plan, Step
    from cto_worker.domain.journal_ports import Claim
    from cto_worker.domain.market_port import Account, Market
    from cto_worker.domain.operation_request import OperationRequest
    from cto_worker.operation.step_totals import Totals

log = logging.getLogger(__name__)

MAX_STALLS = 5  # takeovers in a row without progress, before a job is parked
MAX_REASONS = 3  # different errors of steps that a failed operation's text contains

# The lowest fees of any platform: one order per wallet, no priority fee. Phase 2 does not know the platform.
_CHEAPEST = Strategy(
    UNKNOWN_PLATFORM,
    slippage_bps=0,
    max_order_lamports=2**63,
    priority_fee_lamports=0,
    max_orders_in_flight=1,
)


def run_operation(run: RunState, market: Market) -> dict[str, Any]:
    """Run phases 2 to 5 and return the operation's result, in the form of the REST status.

    A run that takes over a job continues where the intent log ends. Raises :class:`OperationFailed`, which
    contains the same result, after the job's ``failed`` event is written, and :class:`Handover` at the next
    step boundary when this worker stops. An error of the journal ends the run at once: this run then no
    longer owns the job, or cannot check whether it does.
    """
    try:
        _run_phases(run, StepExecutor(market, run))
        error = failure_reason(run.totals)
    except CancelRequested:
        error = ("cancelled", "Cancelled on request")
    except OrderRejectedError as refusal:
        error = (refusal.code, str(refusal))
    except MarketError as failure:
        error = ("market_unavailable", f"The market did not answer: {failure}")
    return finish_operation(run, error)


def _run_phases(run: RunState, executor: StepExecutor) -> None:
    if run.intent_log:
        plan = run.intent_log.plan
    else:
        account = validate(run, executor)
        plan = run.reporter.unrecorded_plan = detect(run, executor, account)
    execute(run, executor, plan)


def validate(run: RunState, executor: StepExecutor) -> Account:
    """Phase 2: check that the user exists and owns the wallets, and that these hold amount and fees."""
    request, market = run.request, executor.market
    run.report_or_stop(Phase.VALIDATING, f"Checking {request.buyers} wallets")
    account = executor.with_retries(lambda: market.account(request.user_id, request.buyers))
    check_funds(make_plan(run.job_id, request, account, _CHEAPEST, market), account)
    return account


def detect(run: RunState, executor: StepExecutor, account: Account) -> Plan:
    """Phase 3: find the token's platform, plan the purchase there, and check the funds for its full fees."""
    strategy = executor.with_retries(lambda: _strategy(run.request, executor.market))
    run.reporter.platform = strategy.platform
    wallets = select_wallets(run.request, account)
    costs = executor.with_retries(
        lambda: executor.market.account_costs(strategy, run.request.token_address, wallets)
    )
    plan = make_plan(run.job_id, run.request, account, strategy, executor.market, account_costs=costs)
    run.report_or_stop(Phase.DETECTING, "Choosing the buying strategy")
    check_funds(plan, account)
    run.guard.reached("before_plan")
    return plan


def _strategy(request: OperationRequest, market: Market) -> Strategy:
    return market.strategy(request.platform) if request.platform else market.detect(request.token_address)


def execute(run: RunState, executor: StepExecutor, plan: Plan) -> None:
    """Phase 4: every transfer, and every buy after its wallet's transfer.

    The plan goes into the intent log with the first event, each outcome with the event after it.
    """
    waiting = replay_log(run, plan)
    run.parallelism = min(run.parallelism, _most_in_flight(executor.market, run.reporter.platform))
    Execution(run, executor, waiting).finish()


def _most_in_flight(market: Market, platform: str) -> int:
    try:
        return market.strategy(platform).max_orders_in_flight
    except MarketError:  # the plan is fixed already, so the operation continues, but carefully
        return 1


def replay_log(run: RunState, plan: Plan) -> list[Step]:
    """Count the steps that earlier runs have settled, from the log alone. Returns the steps yet to begin.

    Steps with a recorded order and no outcome become :attr:`RunState.in_flight`.
    """
    totals, waiting = run.totals, plan.steps
    totals.plan = plan
    records = run.intent_log.records if run.intent_log else {}
    recorded = [(step, record) for step in plan.steps if (record := records.get(step.intent.intent_id))]
    for step, record in sorted(recorded, key=lambda pair: pair[1].place):
        waiting = [other for other in waiting if other is not step]
        if record.outcome:
            waiting = totals.settle(step, record.outcome, waiting)
        elif record.order:
            run.in_flight[record.order.intent_id] = OrderInFlight(step, record.order)
    run.reporter.reported = len(totals.outcomes)
    return waiting


def failure_reason(totals: Totals) -> tuple[str, str] | None:
    """Return why the operation failed, as code and text; ``None`` when it bought something."""
    if totals.successful_buys:
        return None
    if totals.unknown:
        return (
            "outcome_unknown",
            "No buy is confirmed, and the outcome of at least one order is unknown",
        )
    reasons = dict.fromkeys(
        f"{outcome.error_code}: {outcome.error}" for _, outcome in totals.outcomes if outcome.error
    )
    return ("all_buys_failed", "; ".join(["No buy succeeded", *list(reasons)[:MAX_REASONS]]))


def finish_operation(run: RunState, error: tuple[str, str] | None, *, review: bool = False) -> dict[str, Any]:
    """Phase 5: write the terminal event with the complete result. Returns the result.

    ``error`` is code and text; :class:`OperationFailed` is then raised with the result. A step without an
    outcome is settled as ``unknown``, or as failed if its order has expired. The job is listed for an
    operator if any outcome is unknown, and with ``review`` in any case.
    """
    _settle_open_steps(run)
    ending = _ending(run, error, review=review)
    result = operation_result(run.totals, run.request, run.reporter.platform, ending)
    step_ms = None if error else run.measured_round_ms
    run.reporter.end(result, error, outcome=ending.outcome, step_ms=step_ms, review=ending.review)
    run.guard.reached("after_end")
    if error:
        code, text = error
        raise OperationFailed(text, code, result)
    return result


def _settle_open_steps(run: RunState) -> None:
    """Settle the steps with an order. Each has its own event, the last one shares the terminal event."""
    ended = [expired_for_good(sent) for sent in run.expired.values()]
    for sent in run.in_flight.values():
        unknown = Outcome(OutcomeStatus.UNKNOWN, sent.order.signature)
        ended.append(EndedStep(sent.step, sent.order, unknown))
    for place, step in enumerate(ended, 1):
        run.settle(step, [])
        if place < len(ended):
            run.reporter.report_with_next(
                Phase.EXECUTING, "Stopping", progress=run.progress([]), remaining_ms=None
            )


def _ending(run: RunState, error: tuple[str, str] | None, *, review: bool) -> Ending:
    outcome = outcome_of(run)
    duration_ms = round((time.monotonic() - run.started_s) * 1000)
    return Ending(outcome, error, review or outcome is PurchaseOutcome.UNKNOWN, duration_ms)


def outcome_of(run: RunState) -> PurchaseOutcome:
    """Return the outcome that the operation has if it ends now."""
    totals = run.totals
    uncounted = run.intent_log is not None and totals.plan is None
    if run.uncertain or uncounted:
        return PurchaseOutcome.UNKNOWN
    return judge(planned=totals.planned_buys, confirmed=totals.successful_buys, unknown=totals.unknown)


def park(run: RunState, claim: Claim, reason: str, *, uncertain: bool = False) -> dict[str, Any]:
    """End a job that must not continue, without a call to the market, and list it for an operator.

    ``uncertain`` means that more may have happened than is recorded. Raises :class:`OperationFailed`
    ``needs_review``.
    """
    try:
        run.intent_log = claim.intent_log
    except (ValueError, KeyError, TypeError):  # the unreadable log may be why the job cannot continue
        log.exception("cannot read the intent log; its outcomes are not counted")
    unreadable = bool(claim.intent_log_fields) and run.intent_log is None
    run.uncertain = uncertain or unreadable
    if run.intent_log:
        replay_log(run, run.intent_log.plan)
    return finish_operation(run, ("needs_review", reason), review=True)

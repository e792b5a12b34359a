"""The operation: five phases from accepted request to terminal event. Knows a market and a journal, no more.

Phase 1 is the event written at acceptance (:func:`cto_worker.operation.reporter.accepted_event`); this is the
rest.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from cto_worker.domain.events import Phase
from cto_worker.domain.intents import settled
from cto_worker.domain.market import Buy, Outcome, OutcomeStatus, Strategy
from cto_worker.domain.outcome import JobOutcome, judge
from cto_worker.domain.plan import check_funds, make_plan
from cto_worker.errors import CancelRequested, MarketError, OperationFailed, OrderRejectedError
from cto_worker.operation.guard import RunGuard
from cto_worker.operation.reporter import UNKNOWN_PLATFORM, ProgressReporter
from cto_worker.operation.step_executor import execute_step, reconcile, with_retries
from cto_worker.operation.totals import result_of, step_result, summary_of

if TYPE_CHECKING:
    from cto_worker.domain.intents import IntentLog, IntentRecord
    from cto_worker.domain.market import Account, Market, Order
    from cto_worker.domain.plan import Plan, Step
    from cto_worker.domain.request import OperationRequest

log = logging.getLogger(__name__)

NO_MARKET = cast("Market", None)  # for what ends a job without asking the market
MAX_STALLS = 5  # takeovers in a row without getting further, before a job is parked

# What any platform takes at least: one order per wallet, no priority fee. Phase 2 knows no more than that.
_CHEAPEST = Strategy(UNKNOWN_PLATFORM, slippage_bps=0, max_order_lamports=2**63, priority_fee_lamports=0)

_SPAN = 99 - Phase.EXECUTING.progress  # what phase 4 moves the bar by


@dataclass(slots=True)
class Operation:
    """One run of one job."""

    job_id: str
    request: OperationRequest
    market: Market
    reporter: ProgressReporter
    hold: RunGuard = field(default_factory=RunGuard)
    log: IntentLog | None = None  # of the runs before this one
    uncertain: bool = False  # whether more may have happened than is recorded
    plan: Plan | None = None
    done: list[tuple[Step, Outcome]] = field(default_factory=list)
    reported: int = 0  # how many of these an event has told
    started_s: float = field(default_factory=time.monotonic)  # of the first run, on this process's clock
    expected_step_ms: float | None = None  # how long a transfer or buy took in earlier runs
    measured_ms: float | None = None  # how long it took in this one, on average
    in_flight: tuple[Step, Order] | None = None  # sent, perhaps, and not settled
    pending_records: dict[str, IntentRecord] = field(
        default_factory=dict
    )  # settled; the next event records it


def run(operation: Operation) -> dict[str, Any]:
    """Run phases 2 to 5 and return the operation's result, as the REST status shows it.

    A run that takes a job over goes on where the intent log ends. Raises :class:`OperationFailed`, with the
    same result in it, once the job's ``failed`` event is written, and :class:`Handover` at the next step
    boundary when this worker is to stop. What the journal raises ends the run at once: then this run no
    longer owns the job, or cannot tell.
    """
    try:
        if operation.log:
            plan = operation.log.plan
        else:
            account = validate(operation)
            plan = detect(operation, account)
        execute(operation, plan)
        error = failure_reason(operation)
    except CancelRequested:
        error = ("cancelled", "Cancelled on request")
    except OrderRejectedError as refusal:
        error = (refusal.code, str(refusal))
    except MarketError as failure:
        error = ("market_unavailable", f"The market does not answer: {failure}")
    return finish_operation(operation, error)


def validate(operation: Operation) -> Account:
    """Phase 2: the user exists, owns the wallets, and they hold the amount plus the network's fees."""
    request = operation.request
    _report_or_stop(operation, Phase.VALIDATING, f"Checking {request.buyers} wallets")
    account = with_retries(operation, lambda: operation.market.account(request.user_id, request.buyers))
    check_funds(make_plan(operation.job_id, request, account, _CHEAPEST, operation.market), account)
    return account


def detect(operation: Operation, account: Account) -> Plan:
    """Phase 3: where the token trades, and the plan for buying it there, its full fees covered."""
    request, market = operation.request, operation.market
    platform, token = request.platform, request.token_address
    strategy = with_retries(
        operation, lambda: market.strategy(platform) if platform else market.detect(token)
    )
    operation.reporter.platform = strategy.platform
    plan = make_plan(operation.job_id, request, account, strategy, market)
    _report_or_stop(operation, Phase.DETECTING, "Choosing the buying strategy")
    check_funds(plan, account)
    operation.hold.reached("before_plan")
    return plan


def execute(operation: Operation, plan: Plan) -> None:
    """Phase 4: every transfer, then every buy; one event when it begins and one after each.

    The plan goes into the intent log with the first event, each outcome with the event after it.
    """
    pending = replay_log(operation, plan)
    begun_s, inherited, total = time.monotonic(), len(operation.done), len(plan.steps)
    unrecorded_plan = None if operation.log else plan
    while pending:
        step, *rest = pending
        progress = _progress(pending, total)
        order: Order | None
        record = _record_of(operation, step)
        if record and record.order:
            _report(
                operation, Phase.EXECUTING, f"Asking what became of: {step.description}", progress=progress
            )
            order, outcome = record.order, reconcile(operation, step, record.order)
        else:
            _report_or_stop(
                operation,
                Phase.EXECUTING,
                step.description,
                progress=progress,
                steps_left=len(pending),
                plan=unrecorded_plan,
            )
            operation.hold.reached("after_plan" if unrecorded_plan else "after_outcome")
            unrecorded_plan = None
            order, outcome = execute_step(operation, step)
        operation.hold.reached("before_outcome")
        pending = settle(operation, step, outcome, rest)
        operation.in_flight = None
        operation.pending_records = {step.intent.intent_id: settled(order, outcome)}
    if len(operation.done) > inherited:
        operation.measured_ms = (time.monotonic() - begun_s) * 1000 / (len(operation.done) - inherited)
    operation.reporter.note(
        Phase.EXECUTING,
        "Finishing",
        progress=_progress(pending, total),
        remaining_ms=_remaining_ms(operation, 0),
        last_step=_last_step(operation),
    )


def replay_log(operation: Operation, plan: Plan) -> list[Step]:
    """Count again what earlier runs have settled, from the log alone. Returns what is left to do."""
    operation.plan = plan
    operation.reporter.totals.planned_buys = plan.buys
    pending = plan.steps
    while pending and (record := _record_of(operation, pending[0])) and record.outcome:
        pending = settle(operation, pending[0], record.outcome, pending[1:])
    operation.reported = len(operation.done)
    if pending and record and record.order:
        operation.in_flight = pending[0], record.order
    return pending


def settle(operation: Operation, step: Step, outcome: Outcome, rest: list[Step]) -> list[Step]:
    """Count a finished step and return what is left to do: a wallet that got no SOL buys nothing."""
    operation.done.append((step, outcome))
    totals = operation.reporter.totals
    totals.add(outcome)
    if isinstance(step.intent, Buy):
        totals.add_buy(step.wallet, outcome)
        return rest
    if outcome.status is OutcomeStatus.CONFIRMED:
        return rest
    left = [other for other in rest if other.wallet != step.wallet]
    if outcome.status is OutcomeStatus.FAILED:
        totals.failed_buys += len(rest) - len(left)
    else:
        totals.unknown_transfers += 1
    return left


def failure_reason(operation: Operation) -> tuple[str, str] | None:
    """What the operation failed of, as code and text; ``None`` when it bought something."""
    totals = operation.reporter.totals
    if totals.successful_buys:
        return None
    if totals.unknown_buys or totals.unknown_transfers:
        return (
            "outcome_unknown",
            "No buy is confirmed, and the market does not say what became of some order",
        )
    reasons = dict.fromkeys(
        f"{outcome.error_code}: {outcome.error}" for _, outcome in operation.done if outcome.error
    )
    return ("all_buys_failed", "; ".join(["No buy succeeded", *reasons][:4]))


def finish_operation(
    operation: Operation, error: tuple[str, str] | None, *, review: bool = False
) -> dict[str, Any]:
    """Phase 5: write the terminal event with the complete result, and return that or raise.

    An intent that is not settled by now is ``unknown``, and the job is listed for an operator; with
    ``review`` it is listed anyway.
    """
    if operation.in_flight:
        _mark_unknown(operation, *operation.in_flight)
    outcome = outcome_of(operation)
    review = review or outcome is JobOutcome.UNKNOWN
    result = result_of(operation, error, outcome, review=review)
    step_ms = None if error else operation.measured_ms
    operation.reporter.end(
        summary_of(operation),
        result,
        error=error,
        step_ms=step_ms,
        outcome=outcome,
        last_step=_last_step(operation),
        records=operation.pending_records,
        review=review,
    )
    operation.hold.reached("after_end")
    if error:
        code, text = error
        raise OperationFailed(text, code, result)
    return result


def outcome_of(operation: Operation) -> JobOutcome:
    """What the operation came to, if it ends now."""
    totals = operation.reporter.totals
    uncounted = operation.log is not None and operation.plan is None
    if operation.uncertain or uncounted:
        return JobOutcome.UNKNOWN
    return judge(
        planned=totals.planned_buys,
        confirmed=totals.successful_buys,
        unknown=totals.unknown_buys + totals.unknown_transfers,
    )


def park(operation: Operation, reason: str) -> dict[str, Any]:
    """End a job that must not go on, and list it for an operator.

    Nothing is asked of the market. Raises :class:`OperationFailed` ``needs_review``.
    """
    if operation.log:
        replay_log(operation, operation.log.plan)
    return finish_operation(operation, ("needs_review", reason), review=True)


def cancel_waiting(job_id: str, request: OperationRequest, reporter: ProgressReporter) -> None:
    """End a job that no worker has begun. Raises :class:`OperationFailed` ``cancelled``."""
    finish_operation(
        Operation(job_id, request, NO_MARKET, reporter), ("cancelled", "Cancelled before it began")
    )


def _mark_unknown(operation: Operation, step: Step, order: Order) -> None:
    """Settle a step that may have been sent as one whose outcome nobody knows."""
    outcome = Outcome(OutcomeStatus.UNKNOWN, order.signature)
    settle(operation, step, outcome, [])
    operation.pending_records[order.intent_id] = settled(order, outcome)


def _record_of(operation: Operation, step: Step) -> IntentRecord | None:
    return operation.log.records.get(step.intent.intent_id) if operation.log else None


def _progress(pending: list[Step], total: int) -> float:
    return round(Phase.EXECUTING.progress + _SPAN * (total - len(pending)) / total, 2)


def _report_or_stop(operation: Operation, phase: Phase, current_operation: str, **more: Any) -> None:
    """Tell what comes next, unless the job is to be cancelled before that, or handed over."""
    if _report(operation, phase, current_operation, **more):
        raise CancelRequested
    operation.hold.check_owned()
    operation.hold.check_stopping()


def _report(
    operation: Operation,
    phase: Phase,
    current_operation: str,
    *,
    steps_left: int | None = None,
    **more: Any,
) -> bool:
    remaining_ms = None if steps_left is None else _remaining_ms(operation, steps_left)
    receipt = operation.reporter.tell(
        phase,
        current_operation,
        remaining_ms=remaining_ms,
        last_step=_last_step(operation),
        records=operation.pending_records,
        **more,
    )
    operation.pending_records = {}
    operation.expected_step_ms = receipt.step_ms
    return receipt.cancel


def _last_step(operation: Operation) -> dict[str, Any] | None:
    """What the next event is the first to tell of."""
    if operation.reported == len(operation.done):
        return None
    operation.reported = len(operation.done)
    return step_result(*operation.done[-1])


def _remaining_ms(operation: Operation, steps_left: int) -> int | None:
    return None if operation.expected_step_ms is None else round(operation.expected_step_ms * steps_left)

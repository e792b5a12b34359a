"""The operation: five phases from accepted request to terminal event. Knows a market and a journal, no more.

Phase 1 is the event written at acceptance (:func:`cto_worker.story.opening_event`); this is the rest.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cto_worker.errors import MarketError, OperationFailed, OrderRejectedError
from cto_worker.events import Phase
from cto_worker.market import Buy, Outcome, OutcomeStatus, Strategy, Transfer
from cto_worker.money import to_sol
from cto_worker.plan import check_funds, make_plan
from cto_worker.story import UNKNOWN_PLATFORM, Story

if TYPE_CHECKING:
    from cto_worker.market import Account, Market
    from cto_worker.plan import Plan, Step
    from cto_worker.request import OperationRequest

log = logging.getLogger(__name__)

# What any platform takes at least: one order per wallet, no priority fee. Phase 2 knows no more than that.
_CHEAPEST = Strategy(UNKNOWN_PLATFORM, slippage_bps=0, max_order_lamports=2**63, priority_fee_lamports=0)

_SPAN = 99 - Phase.EXECUTING.progress  # what phase 4 moves the bar by


@dataclass(slots=True)
class Operation:
    """One run of one job."""

    job_id: str
    request: OperationRequest
    market: Market
    story: Story
    done: list[tuple[Step, Outcome]] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)
    learned_ms: float | None = None  # how long a transfer or buy took in earlier runs
    measured_ms: float | None = None  # how long it took in this one, on average


class _Cancelled(Exception):  # noqa: N818 - a decision, not an error
    pass


def run(operation: Operation) -> dict[str, Any]:
    """Run phases 2 to 5 and return the operation's result, as the REST status shows it.

    Raises :class:`OperationFailed`, with the same result in it, once the job's ``failed`` event is written.
    What the journal raises ends the run at once: then this run no longer owns the job, or cannot tell.
    """
    try:
        account = validate(operation)
        plan = detect(operation, account)
        execute(operation, plan)
        error = verdict(operation)
    except _Cancelled:
        error = ("cancelled", "Cancelled on request")
    except OrderRejectedError as refusal:
        error = (refusal.code, str(refusal))
    except MarketError as failure:
        error = ("market_unavailable", f"The market does not answer: {failure}")
    return conclude(operation, error)


def validate(operation: Operation) -> Account:
    """Phase 2: the user exists, owns the wallets, and they hold the amount plus the network's fees."""
    request = operation.request
    _proceed(operation, Phase.VALIDATING, f"Checking {request.buyers} wallets")
    account = operation.market.account(request.user_id, request.buyers)
    check_funds(make_plan(operation.job_id, request, account, _CHEAPEST, operation.market), account)
    return account


def detect(operation: Operation, account: Account) -> Plan:
    """Phase 3: where the token trades, and the plan for buying it there, its full fees covered."""
    request, market = operation.request, operation.market
    strategy = market.strategy(request.platform) if request.platform else market.detect(request.token_address)
    operation.story.platform = strategy.platform
    plan = make_plan(operation.job_id, request, account, strategy, market)
    _proceed(operation, Phase.DETECTING, "Choosing the buying strategy")
    check_funds(plan, account)
    return plan


def execute(operation: Operation, plan: Plan) -> None:
    """Phase 4: every transfer, then every buy; one event when it begins and one after each."""
    begun_s = time.monotonic()
    pending, total = plan.steps, len(plan.steps)
    progress: float = Phase.EXECUTING.progress
    while pending:
        _proceed(
            operation, Phase.EXECUTING, pending[0].description, progress=progress, steps_left=len(pending)
        )
        step, *rest = pending
        outcome = carry_out(operation.market, step.intent)
        pending = settle(operation, step, outcome, rest)
        progress = round(Phase.EXECUTING.progress + _SPAN * (total - len(pending)) / total, 2)
    operation.measured_ms = (time.monotonic() - begun_s) * 1000 / len(operation.done)
    _tell(operation, Phase.EXECUTING, "Finishing", progress=progress, steps_left=0)


def carry_out(market: Market, intent: Transfer | Buy) -> Outcome:
    """Prepare, submit, and ask what became of it; what may have been submitted is never called failed."""
    try:
        order = market.prepare(intent)
    except OrderRejectedError as refusal:
        return Outcome(OutcomeStatus.FAILED, "", error_code=refusal.code, error=str(refusal))
    except MarketError as failure:
        return Outcome(OutcomeStatus.FAILED, "", error_code="market_unavailable", error=str(failure))
    try:
        market.submit(order)
    except MarketError:
        log.warning("submitting %s failed; asking what became of it", intent.intent_id, exc_info=True)
    try:
        return market.outcome(order)
    except MarketError:
        log.warning("no outcome of %s", intent.intent_id, exc_info=True)
        return Outcome(OutcomeStatus.UNKNOWN, order.signature)


def settle(operation: Operation, step: Step, outcome: Outcome, rest: list[Step]) -> list[Step]:
    """Count a finished step and return what is left to do: a wallet that got no SOL buys nothing."""
    operation.done.append((step, outcome))
    tally = operation.story.tally
    tally.add(outcome)
    if isinstance(step.intent, Buy):
        tally.add_buy(step.wallet, outcome)
        return rest
    if outcome.status is OutcomeStatus.CONFIRMED:
        return rest
    left = [other for other in rest if other.wallet != step.wallet]
    tally.failed_buys += len(rest) - len(left)
    return left


def verdict(operation: Operation) -> tuple[str, str] | None:
    """What the operation failed of, as code and text; ``None`` when it bought something."""
    tally = operation.story.tally
    if tally.successful_buys:
        return None
    if tally.unknown_buys:
        return ("outcome_unknown", "The market has confirmed no buy, and does not say what became of some")
    reasons = dict.fromkeys(
        f"{outcome.error_code}: {outcome.error}" for _, outcome in operation.done if outcome.error
    )
    return ("all_buys_failed", "; ".join(["No buy succeeded", *reasons][:4]))


def conclude(operation: Operation, error: tuple[str, str] | None) -> dict[str, Any]:
    """Phase 5: write the terminal event with the complete result, and return that or raise."""
    result = _result(operation, error)
    step_ms = None if error else operation.measured_ms
    operation.story.end(_summary(operation), result, error=error, step_ms=step_ms)
    if error:
        code, text = error
        raise OperationFailed(text, code, result)
    return result


def _proceed(operation: Operation, phase: Phase, current_operation: str, **more: Any) -> None:
    """Tell what comes next, unless the job is to be cancelled before that."""
    if _tell(operation, phase, current_operation, **more):
        raise _Cancelled


def _tell(
    operation: Operation,
    phase: Phase,
    current_operation: str,
    *,
    progress: float | None = None,
    steps_left: int | None = None,
) -> bool:
    remaining_ms = None
    if operation.learned_ms is not None and steps_left is not None:
        remaining_ms = round(operation.learned_ms * steps_left)
    receipt = operation.story.tell(phase, current_operation, progress=progress, remaining_ms=remaining_ms)
    operation.learned_ms = receipt.step_ms
    return receipt.cancel


def _summary(operation: Operation) -> str:
    tally = operation.story.tally
    counts = [f"{tally.successful_buys} buys succeeded", f"{tally.failed_buys} failed"]
    if tally.unknown_buys:
        counts.append(f"{tally.unknown_buys} unknown")
    return f"{', '.join(counts)}; {to_sol(tally.spent_lamports):.9g} SOL spent"


def _result(operation: Operation, error: tuple[str, str] | None) -> dict[str, Any]:
    tally, request = operation.story.tally, operation.request
    result: dict[str, Any] = {
        "success": error is None,
        "mode": request.mode.value,
        "platform": operation.story.platform,
        "buyAmount": request.buy_amount,
        "successfulBuys": tally.successful_buys,
        "failedBuys": tally.failed_buys,
        "unknownBuys": tally.unknown_buys,
        "totalSpent": to_sol(tally.spent_lamports),
        "tokensBought": tally.tokens,
        "walletsUsed": len(tally.wallets),
        "transactionSignatures": tally.signatures,
        "durationMs": round((time.monotonic() - operation.started_s) * 1000),
        "steps": [_step_result(step, outcome) for step, outcome in operation.done],
    }
    if error:
        result["errorCode"], result["error"] = error
    return result


def _step_result(step: Step, outcome: Outcome) -> dict[str, Any]:
    document: dict[str, Any] = {
        "kind": "buy" if isinstance(step.intent, Buy) else "transfer",
        "wallet": step.wallet,
        "status": outcome.status.value,
        "signature": outcome.signature or None,  # an order that was refused before it was sent has none
        "spent": to_sol(outcome.spent_lamports),
        "tokens": outcome.tokens,
    }
    if outcome.error_code:
        document["errorCode"], document["error"] = outcome.error_code, outcome.error
    return document

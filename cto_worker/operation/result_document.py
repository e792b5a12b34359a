"""The result of an operation, as in REST and in Celery's metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cto_worker.domain.lamports import to_sol
from cto_worker.domain.market_port import Buy, OutcomeStatus
from cto_worker.domain.progress_event import StepStatus

if TYPE_CHECKING:
    from cto_worker.domain.buy_plan import Step
    from cto_worker.domain.market_port import Outcome
    from cto_worker.domain.operation_request import OperationRequest
    from cto_worker.domain.progress_event import StepResult
    from cto_worker.domain.purchase_outcome import PurchaseOutcome
    from cto_worker.operation.step_totals import Totals

NOT_STARTED = "not_started"  # a planned transfer or buy for which no order was prepared
PARTIAL = "partial"  # a wallet that is planned to make several buys, and made only some


@dataclass(frozen=True, slots=True)
class Ending:
    """How an operation ended."""

    outcome: PurchaseOutcome
    error: tuple[str, str] | None  # code and text; ``None``: success
    review: bool  # whether an operator must look at the job
    duration_ms: int  # since its first run began


def operation_result(
    totals: Totals, request: OperationRequest, platform: str, ending: Ending
) -> dict[str, Any]:
    """Return the complete result. SOL, milliseconds and base units."""
    result: dict[str, Any] = {
        "success": ending.error is None,
        "outcome": ending.outcome.value,
        "needsReview": ending.review,
        "mode": request.mode.value,
        "platform": platform,
        "buyAmount": request.buy_amount,
        "plannedBuys": totals.planned_buys or 0,
        "successfulBuys": totals.successful_buys,
        "failedBuys": totals.failed_buys,
        "unknownBuys": totals.unknown_buys,
        "unknownTransfers": totals.unknown_transfers,
        "totalSpent": to_sol(totals.spent_lamports),
        "tokensBought": totals.tokens,
        "walletsUsed": len(totals.wallets),
        "transactionSignatures": totals.signatures,
        "durationMs": ending.duration_ms,
        "steps": [step_result(step, outcome) for step, outcome in totals.outcomes],
        "wallets": _wallet_results(totals),
    }
    if ending.error:
        result["errorCode"], result["error"] = ending.error
    return result


def step_result(step: Step, outcome: Outcome) -> StepResult:
    """Return the result of one transfer or buy. SOL and base units."""
    document: StepResult = {
        "kind": "buy" if isinstance(step.intent, Buy) else "transfer",
        "wallet": step.wallet,
        "status": StepStatus(outcome.status.value),
        "signature": outcome.signature or None,  # an order that was refused before it was sent has none
        "spent": to_sol(outcome.spent_lamports),
        "tokens": outcome.tokens,
    }
    if outcome.error_code:
        document["errorCode"], document["error"] = outcome.error_code, outcome.error
    return document


def _wallet_results(totals: Totals) -> list[dict[str, Any]]:
    """Return the outcome of each planned wallet, in the plan's order."""
    if totals.plan is None:
        return []
    outcomes = {step.intent.intent_id: outcome for step, outcome in totals.outcomes}
    planned: dict[str, list[Step]] = {wallet: [] for wallet in totals.plan.wallets}
    for step in totals.plan.steps:
        planned[step.wallet].append(step)
    return [
        _wallet_result(wallet, [(step, outcomes.get(step.intent.intent_id)) for step in steps])
        for wallet, steps in planned.items()
    ]


def _wallet_result(wallet: str, steps: list[tuple[Step, Outcome | None]]) -> dict[str, Any]:
    buys = [_state(outcome) for step, outcome in steps if isinstance(step.intent, Buy)]
    transfers = [_state(outcome) for step, outcome in steps if not isinstance(step.intent, Buy)]
    ended = [outcome for _, outcome in steps if outcome]
    document: dict[str, Any] = {
        "wallet": wallet,
        **({"transfer": transfers[0]} if transfers else {}),
        "buy": _combined(buys),
        "plannedBuys": len(buys),
        "successfulBuys": buys.count(OutcomeStatus.CONFIRMED.value),
        "spent": to_sol(sum(outcome.spent_lamports for outcome in ended)),
        "tokens": sum(outcome.tokens for outcome in ended),
    }
    if failed := next((outcome for outcome in ended if outcome.error_code), None):
        document["errorCode"], document["error"] = failed.error_code, failed.error
    return document


def _state(outcome: Outcome | None) -> str:
    return outcome.status.value if outcome else NOT_STARTED


def _combined(states: list[str]) -> str:
    """Return one state for all buys of a wallet. ``unknown`` takes precedence."""
    if OutcomeStatus.UNKNOWN.value in states:
        return OutcomeStatus.UNKNOWN.value
    if len(set(states)) == 1:
        return states[0]
    if OutcomeStatus.CONFIRMED.value in states:
        return PARTIAL
    return OutcomeStatus.FAILED.value  # some have failed, the others were not started

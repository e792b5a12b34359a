"""What an operation comes to: the result in its REST status and in Celery's metadata."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cto_worker.domain.market import OutcomeStatus
from cto_worker.domain.money import to_sol

if TYPE_CHECKING:
    from cto_worker.domain.market import Outcome
    from cto_worker.domain.outcome import JobOutcome

from typing import TYPE_CHECKING

from cto_worker.domain.market import Buy

if TYPE_CHECKING:
    from cto_worker.domain.market import Outcome
    from cto_worker.domain.outcome import JobOutcome
    from cto_worker.domain.plan import Step
    from cto_worker.operation.phases import Operation


def summary_of(operation: Operation) -> str:
    """The counts in one line, for people."""
    totals = operation.reporter.totals
    counts = [f"{totals.successful_buys} buys succeeded", f"{totals.failed_buys} failed"]
    if totals.unknown_buys or totals.unknown_transfers:
        counts.append(f"{totals.unknown_buys + totals.unknown_transfers} unknown")
    return f"{', '.join(counts)}; {to_sol(totals.spent_lamports):.9g} SOL spent"


def result_of(
    operation: Operation, error: tuple[str, str] | None, outcome: JobOutcome, *, review: bool
) -> dict[str, Any]:
    """The complete result. ``error`` is code and text, ``None`` for success. SOL, ms and base units."""
    totals, request = operation.reporter.totals, operation.request
    result: dict[str, Any] = {
        "success": error is None,
        "outcome": outcome.value,
        "needsReview": review,
        "mode": request.mode.value,
        "platform": operation.reporter.platform,
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
        "durationMs": round((time.monotonic() - operation.started_s) * 1000),
        "steps": [step_result(step, outcome) for step, outcome in operation.done],
        "wallets": wallet_results(operation),
    }
    if error:
        result["errorCode"], result["error"] = error
    return result


def step_result(step: Step, outcome: Outcome) -> dict[str, Any]:
    """What became of one transfer or buy. SOL and base units."""
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


NOT_STARTED = "not_started"  # of a planned transfer or buy for which no order was prepared
PARTIAL = "partial"  # of a wallet's buys, when it is planned to make several


def wallet_results(operation: Operation) -> list[dict[str, Any]]:
    """What became of each planned wallet, in the plan's order. SOL and base units."""
    if operation.plan is None:
        return []
    outcomes = {step.intent.intent_id: outcome for step, outcome in operation.done}
    planned: dict[str, list[Step]] = {wallet: [] for wallet in operation.plan.wallets}
    for step in operation.plan.steps:
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
        "buy": _together(buys),
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


def _together(states: list[str]) -> str:
    """One state for all buys of a wallet: an unknown one takes precedence."""
    if OutcomeStatus.UNKNOWN.value in states:
        return OutcomeStatus.UNKNOWN.value
    if len(set(states)) == 1:
        return states[0]
    if OutcomeStatus.CONFIRMED.value in states:
        return PARTIAL
    return OutcomeStatus.FAILED.value  # some have failed, the others were not started


@dataclass(slots=True)
class Totals:
    """What has been done so far. Money in lamports, tokens in base units."""

    planned_buys: int | None = None  # ``None`` before there is a plan
    successful_buys: int = 0
    failed_buys: int = 0
    unknown_buys: int = 0
    unknown_transfers: int = 0
    spent_lamports: int = 0
    tokens: int = 0
    wallets: set[str] = field(default_factory=set)  # those that have sent a buy
    signatures: list[str] = field(default_factory=list)  # confirmed, in order

    def add(self, outcome: Outcome) -> None:
        """Count what one transfer or buy cost and brought."""
        self.spent_lamports += outcome.spent_lamports
        self.tokens += outcome.tokens
        if outcome.status is OutcomeStatus.CONFIRMED:
            self.signatures.append(outcome.signature)

    def add_buy(self, wallet: str, outcome: Outcome) -> None:
        """Count how one buy ended."""
        if outcome.signature:
            self.wallets.add(wallet)
        if outcome.status is OutcomeStatus.CONFIRMED:
            self.successful_buys += 1
        elif outcome.status is OutcomeStatus.FAILED:
            self.failed_buys += 1
        else:
            self.unknown_buys += 1

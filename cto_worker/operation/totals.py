"""The totals of one operation, and the result that they make in REST and in Celery's metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cto_worker.domain.market import Buy, OutcomeStatus
from cto_worker.domain.money import to_sol

if TYPE_CHECKING:
    from cto_worker.domain.events import StepResult
    from cto_worker.domain.job_outcome import JobOutcome
    from cto_worker.domain.market import Outcome
    from cto_worker.domain.plan import Plan, Step
    from cto_worker.domain.request import OperationRequest

NOT_STARTED = "not_started"  # a planned transfer or buy for which no order was prepared
PARTIAL = "partial"  # a wallet that is planned to make several buys, and made only some


@dataclass(frozen=True, slots=True)
class Ending:
    """How an operation ended."""

    outcome: JobOutcome
    error: tuple[str, str] | None  # code and text; ``None``: success
    review: bool  # whether an operator must look at the job
    duration_ms: int  # since its first run began


@dataclass(slots=True)
class Totals:
    """The steps that have ended, and their counts. Money in lamports, tokens in base units."""

    plan: Plan | None = None  # ``None`` before phase 4
    outcomes: list[tuple[Step, Outcome]] = field(default_factory=list)  # in the order in which they ended
    successful_buys: int = 0
    failed_buys: int = 0
    unknown_buys: int = 0
    unknown_transfers: int = 0
    spent_lamports: int = 0
    tokens: int = 0
    wallets: set[str] = field(default_factory=set)  # those that have sent a buy
    signatures: list[str] = field(default_factory=list)  # confirmed, in order

    @property
    def planned_buys(self) -> int | None:
        """The number of buys in the plan; ``None`` before there is a plan."""
        return self.plan.buys if self.plan else None

    @property
    def unknown(self) -> int:
        """The number of transfers and buys without a known outcome."""
        return self.unknown_buys + self.unknown_transfers

    def settle(self, step: Step, outcome: Outcome, rest: list[Step]) -> list[Step]:
        """Count a step that has ended, and return the steps left of ``rest``.

        A wallet that did not get its SOL buys nothing, so the buys of such a wallet are left out.
        """
        self.outcomes.append((step, outcome))
        self._count(outcome)
        if isinstance(step.intent, Buy):
            self._count_buy(step.wallet, outcome)
            return rest
        if outcome.status is OutcomeStatus.CONFIRMED:
            return rest
        left = [other for other in rest if other.wallet != step.wallet]
        if outcome.status is OutcomeStatus.FAILED:
            self.failed_buys += len(rest) - len(left)
        else:
            self.unknown_transfers += 1
        return left

    def summary(self) -> str:
        """Return the counts in one line of text, in SOL."""
        counts = [f"{self.successful_buys} buys succeeded", f"{self.failed_buys} failed"]
        if self.unknown:
            counts.append(f"{self.unknown} unknown")
        return f"{', '.join(counts)}; {to_sol(self.spent_lamports):.9g} SOL spent"

    def result(self, request: OperationRequest, platform: str, ending: Ending) -> dict[str, Any]:
        """Return the complete result. SOL, milliseconds and base units."""
        result: dict[str, Any] = {
            "success": ending.error is None,
            "outcome": ending.outcome.value,
            "needsReview": ending.review,
            "mode": request.mode.value,
            "platform": platform,
            "buyAmount": request.buy_amount,
            "plannedBuys": self.planned_buys or 0,
            "successfulBuys": self.successful_buys,
            "failedBuys": self.failed_buys,
            "unknownBuys": self.unknown_buys,
            "unknownTransfers": self.unknown_transfers,
            "totalSpent": to_sol(self.spent_lamports),
            "tokensBought": self.tokens,
            "walletsUsed": len(self.wallets),
            "transactionSignatures": self.signatures,
            "durationMs": ending.duration_ms,
            "steps": [step_result(step, outcome) for step, outcome in self.outcomes],
            "wallets": self._wallet_results(),
        }
        if ending.error:
            result["errorCode"], result["error"] = ending.error
        return result

    def _count(self, outcome: Outcome) -> None:
        self.spent_lamports += outcome.spent_lamports
        self.tokens += outcome.tokens
        if outcome.status is OutcomeStatus.CONFIRMED:
            self.signatures.append(outcome.signature)

    def _count_buy(self, wallet: str, outcome: Outcome) -> None:
        if outcome.signature:
            self.wallets.add(wallet)
        if outcome.status is OutcomeStatus.CONFIRMED:
            self.successful_buys += 1
        elif outcome.status is OutcomeStatus.FAILED:
            self.failed_buys += 1
        else:
            self.unknown_buys += 1

    def _wallet_results(self) -> list[dict[str, Any]]:
        """Return the outcome of each planned wallet, in the plan's order."""
        if self.plan is None:
            return []
        outcomes = {step.intent.intent_id: outcome for step, outcome in self.outcomes}
        planned: dict[str, list[Step]] = {wallet: [] for wallet in self.plan.wallets}
        for step in self.plan.steps:
            planned[step.wallet].append(step)
        return [
            _wallet_result(wallet, [(step, outcomes.get(step.intent.intent_id)) for step in steps])
            for wallet, steps in planned.items()
        ]


def step_result(step: Step, outcome: Outcome) -> StepResult:
    """Return the result of one transfer or buy. SOL and base units."""
    document: StepResult = {
        "kind": "buy" if isinstance(step.intent, Buy) else "transfer",
        "wallet": step.wallet,
        "status": outcome.status,
        "signature": outcome.signature or None,  # an order that was refused before it was sent has none
        "spent": to_sol(outcome.spent_lamports),
        "tokens": outcome.tokens,
    }
    if outcome.error_code:
        document["errorCode"], document["error"] = outcome.error_code, outcome.error
    return document


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

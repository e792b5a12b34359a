"""The steps of an operation that have ended, and their totals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cto_worker.domain.lamports import format_sol
from cto_worker.domain.market_port import Buy, OutcomeStatus

if TYPE_CHECKING:
    from cto_worker.domain.buy_plan import Plan, Step
    from cto_worker.domain.market_port import Outcome


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
        buys = "buy" if self.successful_buys == 1 else "buys"
        counts = [f"{self.successful_buys} {buys} succeeded", f"{self.failed_buys} failed"]
        if self.unknown:
            counts.append(f"{self.unknown} unknown")
        return f"{', '.join(counts)}; {format_sol(self.spent_lamports)} SOL spent"

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

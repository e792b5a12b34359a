"""The summary of one operation's entries in the paper market's ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cto_worker.markets.paper.ledger import CURVE, SOL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cto_worker.markets.paper.ledger import Entry

FEES = ("network_fees", "priority_fees", "platform_fees")  # ledger accounts that receive fees


@dataclass(frozen=True, slots=True)
class StepCosts:
    """The costs of one transfer or buy, in lamports, and the base units that it bought."""

    kind: str  # of the entry
    wallet: str  # the operation's wallet
    amount: int  # moved to another wallet, or paid to the curve; without fees
    network_fees: int
    priority_fees: int
    platform_fees: int
    tokens: int
    signature: str
    intent_id: str

    @property
    def executed(self) -> bool:
        """Whether the market executed the step, and not only charged the fees of a failed transaction."""
        return self.kind in {"transfer", "buy"}

    @property
    def spent(self) -> int:
        """The costs of the step in lamports: its fees, and the SOL paid for a buy."""
        paid = self.amount if self.kind == "buy" else 0
        return paid + self.network_fees + self.priority_fees + self.platform_fees


@dataclass(frozen=True, slots=True)
class OperationCosts:
    """The steps of one operation, and their sums in lamports and base units."""

    job_id: str
    steps: tuple[StepCosts, ...]
    counts: dict[str, int] = field(default_factory=dict)  # steps by kind
    transferred: int = 0
    paid_to_curve: int = 0
    network_fees: int = 0
    priority_fees: int = 0
    platform_fees: int = 0
    spent: int = 0  # paid to the curve, and all fees
    tokens: int = 0


def job_ids(entries: Iterable[Entry]) -> list[str]:
    """Return the ids of all operations that have an entry, in the order of their first entries."""
    return list(dict.fromkeys(entry.intent_id.partition(":")[0] for entry in entries if entry.intent_id))


def operation_costs(entries: Iterable[Entry], job_id: str) -> OperationCosts:
    """Return the summary of the entries of one operation."""
    steps = tuple(
        _step_costs(entry) for entry in entries if entry.intent_id.startswith(f"{job_id}:") and entry.executed
    )
    fees = {name: sum(getattr(step, name) for step in steps) for name in FEES}
    paid = sum(step.amount for step in steps if step.kind == "buy")
    return OperationCosts(
        job_id,
        steps,
        dict(Counter(step.kind for step in steps)),
        transferred=sum(step.amount for step in steps if step.kind == "transfer"),
        paid_to_curve=paid,
        spent=paid + sum(fees.values()),
        tokens=sum(step.tokens for step in steps),
        **fees,
    )


def _step_costs(entry: Entry) -> StepCosts:
    lamports: Counter[str] = Counter()
    for posting in entry.postings:
        if posting.asset == SOL:
            lamports[posting.account] += posting.amount
    fees = {name: lamports.pop(name, 0) for name in FEES}
    tokens = sum(
        posting.amount
        for posting in entry.postings
        if posting.asset != SOL and not posting.account.startswith(CURVE)
    )
    return StepCosts(
        kind=entry.kind,
        wallet=entry.intent_id.split(":")[1],
        amount=sum(amount for amount in lamports.values() if amount > 0),
        tokens=tokens,
        signature=entry.signature,
        intent_id=entry.intent_id,
        **fees,
    )

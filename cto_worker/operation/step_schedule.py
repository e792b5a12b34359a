"""The schedule of an operation's steps: the next steps, the rounds that are left, and a text for users."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cto_worker.domain.market_port import Buy, Transfer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cto_worker.domain.buy_plan import Step
    from cto_worker.operation.step_totals import Totals

_TEXTS: dict[type, str] = {Transfer: "Distributing SOL to", Buy: "Buying with"}


def next_steps(waiting: Sequence[Step], in_flight: Sequence[Step], limit: int) -> list[Step]:
    """Return the steps that may begin now, in the plan's order, so that at most ``limit`` are in flight.

    The steps of one wallet run in sequence: its transfer, and then its buys.
    """
    busy = {step.wallet for step in in_flight}
    chosen: list[Step] = []
    for step in waiting:
        if len(in_flight) + len(chosen) >= limit:
            break
        if step.wallet not in busy:
            chosen.append(step)
            busy.add(step.wallet)
    return chosen


def rounds(steps: Sequence[Step], limit: int) -> int:
    """Return the number of rounds of at most ``limit`` orders that these steps take: transfers, then buys."""
    transfers = sum(isinstance(step.intent, Transfer) for step in steps)
    buys = Counter(step.wallet for step in steps if isinstance(step.intent, Buy))
    return -(-transfers // limit) + max(-(-buys.total() // limit), *buys.values(), 0)


def description(active: Sequence[Step], totals: Totals) -> str:
    """Return a text about the active steps, e.g. "Buying with 7 wallets, 3 of 10 done"."""
    if len(active) == 1:
        return active[0].description
    counts = {kind: sum(isinstance(step.intent, kind) for step in active) for kind in _TEXTS}
    return "; ".join(
        f"{_TEXTS[kind]} {count} wallet{'' if count == 1 else 's'}, "
        f"{_ended(kind, totals)} of {_planned(kind, totals)} done"
        for kind, count in counts.items()
        if count
    )


def _planned(kind: type, totals: Totals) -> int:
    if totals.plan is None:
        return 0
    return totals.plan.buys if kind is Buy else len(totals.plan.steps) - totals.plan.buys


def _ended(kind: type, totals: Totals) -> int:
    return sum(isinstance(step.intent, kind) for step, _ in totals.outcomes)

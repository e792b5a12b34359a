"""The outcomes of orders on the paper market, as its script writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cto_worker.domain.market_port import Outcome, OutcomeStatus
from cto_worker.store.script_runner import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from cto_worker.domain.market_port import Order


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of orders by intent id, each with its time, in the market's time.

    An order that has not been executed has the outcome ``EXPIRED``, with the time from which it is final: the
    script that executes orders compares the same clock. Without an expiry, such an order is missing.
    """

    now_ms: int
    by_intent: dict[str, tuple[Outcome, int]]


class OutcomeReader:
    """Reads the outcomes of orders, in one round trip."""

    def __init__(self, store: Redis) -> None:
        self._outcomes = Script(store, "outcomes", __package__)

    def __call__(self, orders: Sequence[Order]) -> Outcomes:
        """Return the outcomes. Raises an error of the store."""
        parts = [part for order in orders for part in (order.intent_id, order.signature)]
        now_ms, *rows = self._outcomes(parts)
        found = {order.intent_id: _outcome(order, row) for order, row in zip(orders, rows, strict=True)}
        return Outcomes(now_ms, {intent_id: outcome for intent_id, outcome in found.items() if outcome})


def _outcome(order: Order, row: list[bytes]) -> tuple[Outcome, int] | None:
    if row:
        status, spent, tokens, code, error, executed_ms = (field.decode() for field in row)
        outcome = Outcome(OutcomeStatus(status), order.signature, int(spent), int(tokens), code, error)
        return outcome, int(executed_ms)
    if order.expires:
        return Outcome(OutcomeStatus.EXPIRED, order.signature), order.expires + 1
    return None

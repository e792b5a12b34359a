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
class Quote:
    """A quote of a ledger. Its text is the context of the orders that were prepared with it."""

    ledger_id: str  # random; empty before the first quote
    number: int  # the ledger's first quote has the number 1

    def __str__(self) -> str:
        """Return the context of an order."""
        return f"{self.ledger_id}:{self.number}"

    def follows(self, order: Order) -> bool:
        """Return whether an order was prepared with this quote of the ledger, or an earlier one.

        A copy of a ledger has the same id, but no quotes that were given after it was made.
        """
        ledger_id, _, number = order.context.rpartition(":")
        return bool(ledger_id) and ledger_id == self.ledger_id and int(number) <= self.number


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of orders by intent id, each with its time, in the market's time.

    An order that has not been executed has the outcome ``EXPIRED``, with the time from which it is final: the
    script that executes orders compares the same clock. Without an expiry, such an order is missing.
    """

    now_ms: int
    ledger: Quote  # the latest quote of the ledger that has answered
    by_intent: dict[str, tuple[Outcome, int]]


class OutcomeReader:
    """Reads the outcomes of orders, in one round trip."""

    def __init__(self, store: Redis) -> None:
        self._outcomes = Script(store, "outcomes", __package__)

    def __call__(self, orders: Sequence[Order]) -> Outcomes:
        """Return the outcomes. Raises an error of the store."""
        parts = [part for order in orders for part in (order.intent_id, order.signature)]
        now_ms, ledger_id, quotes, *rows = self._outcomes(parts)
        ledger = Quote(ledger_id.decode(), int(quotes))
        found = {order.intent_id: _outcome(order, row) for order, row in zip(orders, rows, strict=True)}
        known = {intent_id: outcome for intent_id, outcome in found.items() if outcome}
        return Outcomes(now_ms, ledger, known)


def _outcome(order: Order, row: list[bytes]) -> tuple[Outcome, int] | None:
    if row:
        status, spent, tokens, code, error, executed_ms = (field.decode() for field in row)
        outcome = Outcome(OutcomeStatus(status), order.signature, int(spent), int(tokens), code, error)
        return outcome, int(executed_ms)
    if order.expires:
        return Outcome(OutcomeStatus.EXPIRED, order.signature), order.expires + 1
    return None

"""The states of orders on the paper market, without the simulated latency and silence of its outcomes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cto_worker.domain.market_port import OrderState, OutcomeStatus
from cto_worker.markets.paper.order_outcomes import OutcomeReader
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from cto_worker.domain.market_port import Order
    from cto_worker.markets.paper.order_outcomes import Outcomes

# The market forgets executed orders later than this after their preparation. A day less than the
# time-to-live, because the clock of the worker that prepared an order may be wrong.
KNOWN_MS = (keys.PAPER_INTENT_TTL_S - 86_400) * 1_000


class OrderStates:
    """Implements the function of :func:`cto_worker.market_registry.order_reader`, in one round trip.

    The script that executes an order writes this state together with the entry in the ledger. An order that
    has not been executed is unknown unless it was prepared with a quote of this ledger: that of another
    market, or of a worker with another ``CTO_PAPER_URL``, may have been executed there.
    """

    def __init__(self, store: Redis) -> None:
        self._outcomes = OutcomeReader(store)

    def __call__(self, orders: Sequence[Order]) -> Mapping[str, OrderState]:
        """Return the states by intent id. Raises an error of the store."""
        found = self._outcomes(orders)
        states = {order.intent_id: _state(order, found) for order in orders}
        return {intent_id: state for intent_id, state in states.items() if state}


def _state(order: Order, found: Outcomes) -> OrderState | None:
    outcome, at_ms = found.by_intent.get(order.intent_id, (None, 0))
    if outcome and outcome.status is not OutcomeStatus.EXPIRED:
        executed = outcome.status is OutcomeStatus.CONFIRMED
        return OrderState(executed, True, outcome.spent_lamports, outcome.tokens, at_ms, outcome.error)
    if not found.ledger.follows(order):
        return None
    prepared_ms = json.loads(order.payload).get("prepared_ns", 0) // 1_000_000
    if found.now_ms - prepared_ms > KNOWN_MS:
        return None
    return OrderState(executed=False, final=outcome is not None and at_ms <= found.now_ms)

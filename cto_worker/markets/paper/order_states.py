"""The states of orders on the paper market, without the simulated latency and silence of its outcomes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cto_worker.domain.market_port import OrderState, OutcomeStatus
from cto_worker.store import keys
from cto_worker.store.script_runner import Script

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from cto_worker.domain.market_port import Order

# The market forgets executed orders later than this after their preparation. A day less than the
# time-to-live, because the clock of the worker that prepared an order may be wrong.
KNOWN_MS = (keys.PAPER_INTENT_TTL_S - 86_400) * 1_000


class OrderStates:
    """Implements the function of :func:`cto_worker.market_registry.order_reader`, in one round trip.

    The script that executes an order writes this state together with the entry in the ledger.
    """

    def __init__(self, store: Redis) -> None:
        self._outcomes = Script(store, "outcomes", __package__)

    def __call__(self, orders: Sequence[Order]) -> Mapping[str, OrderState]:
        """Return the states by intent id. Raises an error of the store."""
        parts = [part for order in orders for part in (order.intent_id, order.signature)]
        now_ms, *answers = self._outcomes(parts)
        states = {
            order.intent_id: _state(order, answer, int(now_ms))
            for order, answer in zip(orders, answers, strict=True)
        }
        return {intent_id: state for intent_id, state in states.items() if state}


def _state(order: Order, answer: list[bytes], now_ms: int) -> OrderState | None:
    if not answer:
        prepared_ms = json.loads(order.payload).get("prepared_ns", 0) // 1_000_000
        if now_ms - prepared_ms > KNOWN_MS:
            return None
        return OrderState(executed=False, final=0 < order.expires < now_ms)
    status, spent, tokens, _, error, at_ms = (field.decode() for field in answer)
    executed = status == OutcomeStatus.CONFIRMED
    return OrderState(executed, True, int(spent), int(tokens), int(at_ms), error)

"""The simulated faults of the paper market. The id of an intent selects them, so it always has the same."""

from __future__ import annotations

import hashlib
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cto_worker.config import Settings
    from cto_worker.domain.market_port import Order


class Fault(Enum):
    """A fault of an order, apart from its outcome."""

    DROPPED = auto()  # the order never arrives, however often it is sent
    LOST = auto()  # the order is executed, but the reply to its submission is lost
    SILENT = auto()  # the order is executed, but its outcome is reported only after the timeout
    LATE = auto()  # the order arrives only after the timeout


class Faults:
    """Selects the orders with a fault. ``CTO_PAPER_…_RATE`` are the fractions of orders."""

    def __init__(self, settings: Settings) -> None:
        self._failure_rate = settings.paper_failure_rate
        self._dropped_rate = settings.paper_dropped_rate
        self._rates = {
            Fault.LOST: settings.paper_lost_rate,
            Fault.SILENT: settings.paper_silent_rate,
            Fault.LATE: settings.paper_late_rate,
        }
        self._any = any((self._dropped_rate, *self._rates.values()))  # otherwise an order needs no hashes

    def fails(self, order: Order) -> bool:
        """Return whether an order fails when it is executed."""
        return bool(self._failure_rate) and _chance(order.intent_id) < self._failure_rate

    def of(self, order: Order) -> Fault | None:
        """Return the fault of an order.

        Only ``DROPPED`` can be different for the order that replaces it: otherwise no replacement would ever
        arrive.
        """
        if not self._any:
            return None
        if _chance(f"arrival of {len(order.replaced)} for {order.intent_id}") < self._dropped_rate:
            return Fault.DROPPED
        remainder = _chance(f"fate of {order.intent_id}")
        for fault, rate in self._rates.items():
            if remainder < rate:
                return fault
            remainder -= rate
        return None


def _chance(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48

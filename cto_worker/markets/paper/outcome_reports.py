"""When the paper market reports the outcomes of orders."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cto_worker.domain.market_port import OutcomeStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cto_worker.domain.market_port import Order, Outcome
    from cto_worker.markets.paper.order_outcomes import OutcomeReader

MAX_KEPT = 10_000  # outcomes; those that no operation waits for any longer would stay for ever


@dataclass(frozen=True, slots=True)
class Report:
    """An outcome, and the time of the monotonic clock from which it is reported."""

    outcome: Outcome
    at_s: float
    is_final: bool  # an order that expires later may execute until then


class OutcomeReports:
    """Reads when the outcomes of orders are reported. Thread-safe.

    The outcome of an executed order is final, so it is kept until it is reported, and not read again.
    """

    def __init__(self, read: OutcomeReader, delay_ms: Callable[[Order], int]) -> None:
        """``delay_ms`` returns the time from the execution of an order until its outcome is reported."""
        self._read = read
        self._delay_ms = delay_ms
        self._kept: dict[str, Report] = {}  # by signature
        self._lock = threading.Lock()

    def of(self, orders: Sequence[Order]) -> dict[str, Report]:
        """Return the reports of orders by intent id. An order without an expiry may have none.

        Raises an error of the store.
        """
        with self._lock:
            kept = {order.intent_id: self._kept.get(order.signature) for order in orders}
        reports = {intent_id: report for intent_id, report in kept.items() if report}
        if others := [order for order in orders if order.intent_id not in reports]:
            reports |= self._query(others)
        return reports

    def forget(self, outcomes: Iterable[Outcome]) -> None:
        """Forget outcomes that have been reported."""
        with self._lock:
            for outcome in outcomes:
                self._kept.pop(outcome.signature, None)

    def _query(self, orders: Sequence[Order]) -> dict[str, Report]:
        found = self._read(orders)
        now_s = time.monotonic()
        reports: dict[str, Report] = {}
        for order in orders:
            if order.intent_id not in found.by_intent:
                continue
            outcome, at_ms = found.by_intent[order.intent_id]
            is_executed = outcome.status is not OutcomeStatus.EXPIRED
            if is_executed:
                at_ms += self._delay_ms(order)
            left_ms = at_ms - found.now_ms
            report = Report(outcome, now_s + left_ms / 1_000, is_final=is_executed or left_ms <= 0)
            reports[order.intent_id] = report
            if is_executed and left_ms > 0:
                self._keep(report)
        return reports

    def _keep(self, report: Report) -> None:
        with self._lock:
            if len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[report.outcome.signature] = report

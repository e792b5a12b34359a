"""The ports of the journal and the market with tracing.

A call is a span, or begins or ends one of the run's spans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from opentelemetry.propagate import inject
from opentelemetry.trace import SpanKind, use_span

from cto_worker.domain.market_port import OutcomeStatus, Rejection
from cto_worker.observability.run_spans import MESSAGING, active_run, span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.trace import Tracer

    from cto_worker.domain.audit_entry import Change
    from cto_worker.domain.journal_ports import (
        AppendResult,
        CreateResult,
        Entry,
        EventLog,
        Idempotency,
        JobStore,
    )
    from cto_worker.domain.market_port import Account, Buy, Market, Order, Outcome, Strategy, Transfer
    from cto_worker.domain.progress_event import ProgressEvent


class TracedJobStore:
    """Wraps a :class:`~cto_worker.domain.journal_ports.JobStore`, and traces new jobs."""

    def __init__(self, jobs: JobStore, tracer: Tracer) -> None:
        self._jobs = jobs
        self._tracer = tracer
        self.request_cancel = jobs.request_cancel
        self.find_orphans = jobs.find_orphans
        self.ms_until_due = jobs.ms_until_due

    def create(
        self,
        event: ProgressEvent,
        request: dict[str, Any],
        idempotency: Idempotency | None = None,
        trace: str = "",
        change: Change | None = None,
    ) -> CreateResult:
        """See :meth:`JobStore.create`.

        The span's context is stored with a new job, and its trace id is in the event.
        """
        attributes = MESSAGING | {"messaging.operation.type": "create", "cto.mode": event.mode}
        creation = self._tracer.start_span("create job", kind=SpanKind.PRODUCER, attributes=attributes)
        with use_span(creation, record_exception=False, set_status_on_exception=False):
            carrier = {"traceparent": trace}
            inject(carrier)
            details = replace(event.details, trace_id=f"{creation.get_span_context().trace_id:032x}")
            traced = replace(event, details=details)
            created = self._jobs.create(traced, request, idempotency, carrier["traceparent"], change)
        if created.new:  # otherwise no job was created; a span that never ends is not exported
            creation.set_attributes({"messaging.message.id": created.job_id, "cto.job_id": created.job_id})
            creation.end()
        return created


class TracedEventLog:
    """Wraps an :class:`~cto_worker.domain.journal_ports.EventLog`, and traces phases and intents."""

    def __init__(self, events: EventLog, tracer: Tracer) -> None:
        self._events = events
        self._tracer = tracer
        self.record_submission = events.record_submission

    def append(self, entry: Entry) -> AppendResult:
        """See :meth:`EventLog.append`. The first event of a phase begins its span."""
        run = active_run()
        if run:
            run.begin_phase(entry.event)
        return self._events.append(entry)

    def intend(self, job_id: str, attempt: int, orders: Sequence[Order], *, heed_cancel: bool = True) -> bool:
        """See :meth:`EventLog.intend`."""
        with span(self._tracer, "record intents", attributes={"cto.orders": len(orders)}):
            return self._events.intend(job_id, attempt, orders, heed_cancel=heed_cancel)


class TracedMarket:
    """Wraps a :class:`~cto_worker.domain.market_port.Market` and traces its calls."""

    def __init__(self, market: Market, tracer: Tracer) -> None:
        self.check: Callable[[], str] = market.check
        self.transfer_fee: Callable[[], int] = market.transfer_fee
        self.buy_fee: Callable[[Strategy], int] = market.buy_fee
        self._market = market
        self._tracer = tracer

    @property
    def patience_s(self) -> float:
        """See :attr:`Market.patience_s`. It may change with the speed of a chain."""
        return self._market.patience_s

    @patience_s.setter
    def patience_s(self, seconds: float) -> None:  # the protocol's attribute is not read-only
        self._market.patience_s = seconds

    def account(self, user_id: str, wallet_count: int) -> Account:
        """See :meth:`Market.account`."""
        with span(self._tracer, "account"):
            return self._market.account(user_id, wallet_count)

    def detect(self, token_address: str) -> Strategy:
        """See :meth:`Market.detect`."""
        with span(self._tracer, "detect"):
            return self._market.detect(token_address)

    def strategy(self, platform: str) -> Strategy:
        """See :meth:`Market.strategy`."""
        with span(self._tracer, "strategy"):
            return self._market.strategy(platform)

    def account_costs(
        self, strategy: Strategy, token_address: str, wallets: Sequence[str]
    ) -> Mapping[str, int]:
        """See :meth:`Market.account_costs`."""
        with span(self._tracer, "account costs"):
            return self._market.account_costs(strategy, token_address, wallets)

    def prepare(self, intents: Sequence[Transfer | Buy]) -> list[Order | Rejection]:
        """See :meth:`Market.prepare`. Begins the spans of transfers and buys; a rejection ends one."""
        run = active_run()
        if run:
            run.begin_steps([intent.intent_id for intent in intents])
        with span(self._tracer, "prepare", attributes={"cto.orders": len(intents)}):
            prepared = self._market.prepare(intents)
        for intent, answer in zip(intents, prepared, strict=True):
            if run and isinstance(answer, Rejection):
                run.end_step(intent.intent_id, answer.code)
        return prepared

    def submit(self, orders: Sequence[Order]) -> None:
        """See :meth:`Market.submit`."""
        with span(self._tracer, "submit", attributes={"cto.orders": len(orders)}):
            self._market.submit(orders)

    def outcomes(self, orders: Sequence[Order], *, wait_s: float) -> Mapping[str, Outcome]:
        """See :meth:`Market.outcomes`. Ends the spans of steps; after a takeover also begins them."""
        run = active_run()
        if run:
            run.begin_steps([order.intent_id for order in orders])
        with span(self._tracer, "outcomes", attributes={"cto.orders": len(orders)}) as query:
            outcomes = self._market.outcomes(orders, wait_s=wait_s)
            query.set_attribute("cto.known", len(outcomes))
        for intent_id, outcome in outcomes.items():
            if run:
                expired = outcome.status if outcome.status is OutcomeStatus.EXPIRED else ""
                run.end_step(intent_id, outcome.error_code or expired)
        return outcomes

"""Spans of a job: its recording, each run, and in a run each phase, transfer and buy.

::

    POST /api/cto/jobs
      create job                 whose context is recorded with the job
        cto.run                  one for each attempt
          cto.validating …       the phases, as the events tell them
          cto.executing
            cto.transfer, cto.buy
              prepare, record intent, submit, outcome
      send cto

Names and attributes are OpenTelemetry's where it has some (HTTP, messaging). Nothing signed or secret is in
them, and no text of an error, which may hold anything.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.context import attach, detach
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, use_span

from cto_worker.domain.events import Phase
from cto_worker.domain.market import OutcomeStatus
from cto_worker.domain.plan import kind_of
from cto_worker.errors import Handover, OperationFailed, OrderRejectedError
from cto_worker.store import keys
from cto_worker.store.journal import RedisJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer
    from redis import Redis

    from cto_worker.config import Settings
    from cto_worker.domain.events import ProgressEvent
    from cto_worker.domain.journal import AppendResult, Claim, CreateResult, Idempotency
    from cto_worker.domain.market import Account, Buy, Market, Order, Outcome, Strategy, Transfer

MESSAGING = {"messaging.system": "celery", "messaging.destination.name": keys.QUEUE}


@contextmanager
def span(
    tracer: Tracer,
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Any] | None = None,
    parent: Context | None = None,
) -> Iterator[Span]:
    """Do the block in a span. How it fails is told by a code, or a class: a text may hold anything."""
    with tracer.start_as_current_span(
        name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as one:
        try:
            yield one
        except Handover:
            raise
        except BaseException as error:
            _fail(one, _code(error))
            raise


@contextmanager
def attached(traceparent: str) -> Iterator[None]:
    """Do the block in the context that a W3C ``traceparent`` names, if it is one."""
    token = attach(extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        detach(token)


def trace_id(one: Span) -> str:
    """The id of a span's trace, 32 hexadecimal digits."""
    return f"{one.get_span_context().trace_id:032x}"


@contextmanager
def in_run(tracer: Tracer, job_id: str, claim: Claim) -> Iterator[None]:
    """Do the block, one run of a job, in a span that is a child of the job's recording."""
    attributes = MESSAGING | {
        "messaging.operation.type": "process",
        "messaging.message.id": job_id,
        "cto.job_id": job_id,
        "cto.attempt": claim.attempt,
        "cto.mode": claim.latest.mode,
    }
    with span(tracer, "cto.run", SpanKind.CONSUMER, attributes, extract({"traceparent": claim.trace})) as one:
        run = _Run(tracer, one, {"cto.job_id": job_id, "cto.attempt": claim.attempt})
        token = _RUN.set(run)
        try:
            yield
        except BaseException as error:
            one.set_attribute("cto.outcome", _code(error))
            raise
        else:
            one.set_attribute("cto.outcome", "completed")
        finally:
            run.end_phase()
            _RUN.reset(token)


class TracedJournal(RedisJournal):
    """A journal whose recordings, events and intents are seen in traces."""

    def __init__(self, store: Redis, settings: Settings, tracer: Tracer) -> None:
        super().__init__(store, settings)
        self._tracer = tracer

    def create(
        self,
        event: ProgressEvent,
        request: dict[str, Any],
        idempotency: Idempotency | None = None,
        trace: str = "",
    ) -> CreateResult:
        """See :meth:`Journal.create`. The span's context goes into the job; a job that was there has none."""
        attributes = MESSAGING | {"messaging.operation.type": "create", "cto.mode": event.mode}
        one = self._tracer.start_span("create job", kind=SpanKind.PRODUCER, attributes=attributes)
        with use_span(one, record_exception=False, set_status_on_exception=False):
            carrier = {"traceparent": trace}
            inject(carrier)
            created = super().create(event, request, idempotency, carrier["traceparent"])
        if created.new:  # else nothing was created, and a span that does not end is not told
            one.set_attributes({"messaging.message.id": created.job_id, "cto.job_id": created.job_id})
            one.end()
        return created

    def append(self, event: ProgressEvent, *args: Any, **recorded: Any) -> AppendResult:
        """See :meth:`Journal.append`. A phase begins with its first event."""
        run = _RUN.get()
        if run:
            run.begin_phase(event)
        return super().append(event, *args, **recorded)

    def intend(self, *args: Any, **recorded: Any) -> bool:
        """See :meth:`Journal.intend`."""
        with span(self._tracer, "record intent"):
            return super().intend(*args, **recorded)


class TracedMarket:
    """Implements :class:`~cto_worker.domain.market.Market`: asks another one, and traces what it is asked."""

    def __init__(self, market: Market, tracer: Tracer) -> None:
        self.patience_s = market.patience_s
        self.transfer_fee: Callable[[], int] = market.transfer_fee
        self.buy_fee: Callable[[Strategy], int] = market.buy_fee
        self._market = market
        self._tracer = tracer

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

    def prepare(self, intent: Transfer | Buy) -> Order:
        """See :meth:`Market.prepare`. With it a transfer or buy begins; one that is refused ends at once."""
        run = _RUN.get()
        if run:
            run.begin_step(intent.intent_id)
        try:
            with span(self._tracer, "prepare"):
                return self._market.prepare(intent)
        except OrderRejectedError as refusal:
            if run:
                run.end_step(refusal.code)
            raise

    def submit(self, order: Order) -> None:
        """See :meth:`Market.submit`."""
        with span(self._tracer, "submit"):
            self._market.submit(order)

    def outcome(self, order: Order, *, wait_s: float) -> Outcome:
        """See :meth:`Market.outcome`. It ends a transfer or buy; after a takeover it also begins one."""
        run = _RUN.get()
        if run:
            run.begin_step(order.intent_id)
        with span(self._tracer, "outcome") as one:
            found = self._market.outcome(order, wait_s=wait_s)
            one.set_attribute("cto.outcome", found.status)
        if run and found.status is not OutcomeStatus.UNKNOWN:
            run.end_step(found.error_code)
        return found


@dataclass(slots=True)
class _Run:
    """The spans that are open in one run: its own, in it a phase's, and in that a transfer's or buy's."""

    tracer: Tracer
    span: Span
    common: dict[str, Any]  # attributes of all of them: a worker that is killed never tells of its run itself
    phase: int = 0
    intent_id: str = ""
    step: Span | None = None
    phases: ExitStack = field(default_factory=ExitStack)
    steps: ExitStack = field(default_factory=ExitStack)

    def begin_phase(self, event: ProgressEvent) -> None:
        """End the phase before this event's, and begin its own."""
        if event.phase == self.phase:
            return
        self.end_phase()
        self.phase = event.phase
        self.span.set_attribute("cto.platform", event.platform)
        name = f"cto.{Phase.of(event.phase).name.lower()}"
        self.phases.enter_context(span(self.tracer, name, attributes=self.common))

    def end_phase(self) -> None:
        """End the phase, and what is open in it."""
        self.end_step(OutcomeStatus.UNKNOWN)
        self.phases.close()

    def begin_step(self, intent_id: str) -> None:
        """Begin a transfer or buy, unless it is the one that is open."""
        if self.step and intent_id == self.intent_id:
            return
        self.end_step(OutcomeStatus.UNKNOWN)
        self.intent_id = intent_id
        attributes = self.common | {"cto.intent_id": intent_id}
        self.step = self.steps.enter_context(
            span(self.tracer, f"cto.{kind_of(intent_id)}", attributes=attributes)
        )

    def end_step(self, error: str) -> None:
        """End the transfer or buy that is open: confirmed, or failed with this code."""
        if self.step:
            self.step.set_attribute("cto.outcome", error or OutcomeStatus.CONFIRMED)
            if error:
                _fail(self.step, error)
            self.steps.close()
            self.step = None


_RUN: ContextVar[_Run | None] = ContextVar("run", default=None)


def _fail(one: Span, code: str) -> None:
    one.set_attribute("error.type", code)
    one.set_status(Status(StatusCode.ERROR, code))


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, OperationFailed | OrderRejectedError) else type(error).__name__

"""The spans of a job: its creation, each run, and in a run each phase, transfer and buy.

::

    POST /api/cto/jobs
      create job                 its context is stored with the job
        cto.run                  one per attempt
          cto.validating …       one per phase, by the events
          cto.executing
            cto.transfer, cto.buy
              prepare, record intent, submit, outcome
      send cto

Names and attributes follow OpenTelemetry's semantic conventions for HTTP and messaging. Attributes contain no
signed bytes, no secrets and no error texts, because an error text may contain either.
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
    """Run the block in a span. An exception is recorded by its code or class name, without its text."""
    with tracer.start_as_current_span(
        name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except Handover:
            raise
        except BaseException as error:
            _fail(current, _code(error))
            raise


@contextmanager
def attached(traceparent: str) -> Iterator[None]:
    """Run the block in the context of a W3C ``traceparent``, if it is valid."""
    token = attach(extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        detach(token)


def trace_id(current: Span) -> str:
    """Return the id of a span's trace, 32 hexadecimal digits."""
    return f"{current.get_span_context().trace_id:032x}"


@contextmanager
def in_run(tracer: Tracer, job_id: str, claim: Claim) -> Iterator[None]:
    """Run the block, one run of a job, in a child span of the job's creation."""
    attributes = MESSAGING | {
        "messaging.operation.type": "process",
        "messaging.message.id": job_id,
        "cto.job_id": job_id,
        "cto.attempt": claim.attempt,
        "cto.mode": claim.latest.mode,
    }
    parent = extract({"traceparent": claim.trace})
    with span(tracer, "cto.run", SpanKind.CONSUMER, attributes, parent) as run_span:
        run = _Run(tracer, run_span, {"cto.job_id": job_id, "cto.attempt": claim.attempt})
        token = _RUN.set(run)
        try:
            yield
        except BaseException as error:
            run_span.set_attribute("cto.outcome", _code(error))
            raise
        else:
            run_span.set_attribute("cto.outcome", "completed")
        finally:
            run.end_phase()
            _RUN.reset(token)


class TracedJournal(RedisJournal):
    """A journal that traces new jobs, phases and intents."""

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
        """See :meth:`Journal.create`. The span's context is stored with a new job."""
        attributes = MESSAGING | {"messaging.operation.type": "create", "cto.mode": event.mode}
        creation = self._tracer.start_span("create job", kind=SpanKind.PRODUCER, attributes=attributes)
        with use_span(creation, record_exception=False, set_status_on_exception=False):
            carrier = {"traceparent": trace}
            inject(carrier)
            created = super().create(event, request, idempotency, carrier["traceparent"])
        if created.new:  # otherwise no job was created; a span that never ends is not exported
            creation.set_attributes({"messaging.message.id": created.job_id, "cto.job_id": created.job_id})
            creation.end()
        return created

    def append(self, event: ProgressEvent, *args: Any, **options: Any) -> AppendResult:
        """See :meth:`Journal.append`. The first event of a phase begins its span."""
        run = _RUN.get()
        if run:
            run.begin_phase(event)
        return super().append(event, *args, **options)

    def intend(self, *args: Any, **options: Any) -> bool:
        """See :meth:`Journal.intend`."""
        with span(self._tracer, "record intent"):
            return super().intend(*args, **options)


class TracedMarket:
    """Wraps a :class:`~cto_worker.domain.market.Market` and traces its calls."""

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
        """See :meth:`Market.prepare`. Begins the span of a transfer or buy; a rejected order ends it."""
        run = _RUN.get()
        if run:
            run.begin_step(intent.intent_id)
        try:
            with span(self._tracer, "prepare"):
                return self._market.prepare(intent)
        except OrderRejectedError as rejection:
            if run:
                run.end_step(rejection.code)
            raise

    def submit(self, order: Order) -> None:
        """See :meth:`Market.submit`."""
        with span(self._tracer, "submit"):
            self._market.submit(order)

    def outcome(self, order: Order, *, wait_s: float) -> Outcome:
        """See :meth:`Market.outcome`. Ends the span of a transfer or buy; after a takeover also begins it."""
        run = _RUN.get()
        if run:
            run.begin_step(order.intent_id)
        with span(self._tracer, "outcome") as query:
            outcome = self._market.outcome(order, wait_s=wait_s)
            query.set_attribute("cto.outcome", outcome.status)
        if run and outcome.status is not OutcomeStatus.UNKNOWN:
            run.end_step(outcome.error_code)
        return outcome


@dataclass(slots=True)
class _Run:
    """The active spans of one run: the run's, the phase's, and the transfer's or buy's."""

    tracer: Tracer
    span: Span
    common: dict[
        str, Any
    ]  # attributes of all spans, because the run's own span is lost if the worker is killed
    phase: int = 0
    intent_id: str = ""
    step: Span | None = None
    phases: ExitStack = field(default_factory=ExitStack)
    steps: ExitStack = field(default_factory=ExitStack)

    def begin_phase(self, event: ProgressEvent) -> None:
        """Begin the span of an event's phase, and end the previous phase."""
        if event.phase == self.phase:
            return
        self.end_phase()
        self.phase = event.phase
        self.span.set_attribute("cto.platform", event.platform)
        name = f"cto.{Phase.of(event.phase).name.lower()}"
        self.phases.enter_context(span(self.tracer, name, attributes=self.common))

    def end_phase(self) -> None:
        """End the spans of the phase, and of its transfer or buy."""
        self.end_step(OutcomeStatus.UNKNOWN)
        self.phases.close()

    def begin_step(self, intent_id: str) -> None:
        """Begin the span of a transfer or buy, unless it is already active."""
        if self.step and intent_id == self.intent_id:
            return
        self.end_step(OutcomeStatus.UNKNOWN)
        self.intent_id = intent_id
        attributes = self.common | {"cto.intent_id": intent_id}
        self.step = self.steps.enter_context(
            span(self.tracer, f"cto.{kind_of(intent_id)}", attributes=attributes)
        )

    def end_step(self, error: str) -> None:
        """End the active transfer or buy: as confirmed if ``error`` is "", otherwise as failed with it."""
        if self.step:
            self.step.set_attribute("cto.outcome", error or OutcomeStatus.CONFIRMED)
            if error:
                _fail(self.step, error)
            self.steps.close()
            self.step = None


_RUN: ContextVar[_Run | None] = ContextVar("run", default=None)


def _fail(failed: Span, code: str) -> None:
    failed.set_attribute("error.type", code)
    failed.set_status(Status(StatusCode.ERROR, code))


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, OperationFailed | OrderRejectedError) else type(error).__name__

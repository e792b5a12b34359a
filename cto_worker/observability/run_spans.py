"""The spans of a run: the run itself, and in it each phase, transfer and buy.

The trace of a job, with the spans of :mod:`cto_worker.observability.traced_ports` and of HTTP requests::

    POST /api/cto/jobs
      create job                 its context is stored with the job
        cto.run                  one per attempt
          cto.validating …       one per phase, by the events
          cto.executing
            prepare, record intents, submit, outcomes    one per call, of several orders
            cto.transfer, cto.buy                        one per order, from its preparation to its outcome
      send cto

Names and attributes follow OpenTelemetry's semantic conventions for HTTP and messaging. Attributes contain no
signed bytes, no secrets and no error texts, because an error text may contain either.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.propagate import extract
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from cto_worker.domain.buy_plan import kind_of
from cto_worker.domain.market_port import OutcomeStatus
from cto_worker.domain.progress_event import Phase
from cto_worker.errors import Handover, OperationFailed, OrderRejectedError
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

    from cto_worker.domain.journal_ports import Claim
    from cto_worker.domain.progress_event import ProgressEvent

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


def active_run() -> RunSpans | None:
    """Return the spans of the run that this thread executes, or ``None`` outside a run."""
    return _RUN_SPANS.get()


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
        run = RunSpans(tracer, run_span, {"cto.job_id": job_id, "cto.attempt": claim.attempt})
        token = _RUN_SPANS.set(run)
        try:
            yield
        except BaseException as error:
            run_span.set_attribute("cto.outcome", _code(error))
            raise
        else:
            run_span.set_attribute("cto.outcome", "completed")
        finally:
            run.end_phase()
            _RUN_SPANS.reset(token)


@dataclass(slots=True)
class RunSpans:
    """The active spans of one run: the run's, the phase's, and those of its transfers and buys."""

    tracer: Tracer
    span: Span
    # Attributes of all spans, because the run's own span is lost if the worker is killed.
    common: dict[str, Any]
    phase: int = 0
    phases: ExitStack = field(default_factory=ExitStack)
    steps: dict[str, Span] = field(default_factory=dict)  # the transfers and buys in flight, by intent id

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
        """End the spans of the phase, and of its transfers and buys."""
        for intent_id in list(self.steps):
            self.end_step(intent_id, OutcomeStatus.UNKNOWN)
        self.phases.close()

    def begin_steps(self, intent_ids: Sequence[str]) -> None:
        """Begin the spans of transfers and buys that are not active yet."""
        for intent_id in intent_ids:
            if intent_id not in self.steps:
                attributes = self.common | {"cto.intent_id": intent_id}
                name = f"cto.{kind_of(intent_id)}"
                self.steps[intent_id] = self.tracer.start_span(name, attributes=attributes)

    def end_step(self, intent_id: str, error: str) -> None:
        """End a transfer or buy: as confirmed if ``error`` is "", otherwise as failed with it."""
        step = self.steps.pop(intent_id)
        step.set_attribute("cto.outcome", error or OutcomeStatus.CONFIRMED)
        if error:
            _fail(step, error)
        step.end()


_RUN_SPANS: ContextVar[RunSpans | None] = ContextVar("run", default=None)


def _fail(failed: Span, code: str) -> None:
    failed.set_attribute("error.type", code)
    failed.set_status(Status(StatusCode.ERROR, code))


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, OperationFailed | OrderRejectedError) else type(error).__name__

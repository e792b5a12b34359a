"""The state of one run of an operation, and the progress that it reports."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cto_worker.domain.intent_log import settled
from cto_worker.domain.market_port import Outcome, OutcomeStatus
from cto_worker.domain.progress_event import Phase
from cto_worker.errors import CancelRequested
from cto_worker.operation.progress_reporter import ProgressReporter, request_from_event
from cto_worker.operation.run_guard import RunGuard
from cto_worker.operation.step_schedule import rounds

if TYPE_CHECKING:
    from cto_worker.domain.buy_plan import Step
    from cto_worker.domain.intent_log import IntentLog
    from cto_worker.domain.journal_ports import Claim, EventLog
    from cto_worker.domain.market_port import Order
    from cto_worker.domain.operation_request import OperationRequest
    from cto_worker.operation.step_totals import Totals

ORDER_EXPIRED = "order_expired"  # error code of a step
_EXECUTING_SPAN = 99 - Phase.EXECUTING.progress  # the progress that phase 4 adds, in per cent


@dataclass(frozen=True, slots=True)
class EndedStep:
    """A step with its outcome. ``order`` is ``None`` if the market prepared none."""

    step: Step
    order: Order | None
    outcome: Outcome


@dataclass(slots=True)
class OrderInFlight:
    """A recorded order, which may have been submitted, and has no outcome yet."""

    step: Step
    order: Order
    deadline_s: float = 0.0  # on the monotonic clock; an order without an outcome by then is unknown
    submitted: bool = False  # whether the market has certainly received it from this run
    recorded: bool = False  # whether the log says so


def expired_for_good(sent: OrderInFlight) -> EndedStep:
    """Return the end of a step whose order has expired and is not replaced."""
    count = len(sent.order.replaced) + 1
    times = "once" if count == 1 else f"{count} times"
    error = f"the order expired {times} without being executed, so no money moved"
    outcome = Outcome(OutcomeStatus.FAILED, sent.order.signature, error_code=ORDER_EXPIRED, error=error)
    return EndedStep(sent.step, sent.order, outcome)


@dataclass(slots=True)
class RunState:
    """The state of one run of one job."""

    job_id: str
    request: OperationRequest
    reporter: ProgressReporter
    guard: RunGuard = field(default_factory=RunGuard)
    intent_log: IntentLog | None = None  # of the earlier runs
    uncertain: bool = False  # whether more may have happened than is recorded
    started_s: float = field(default_factory=time.monotonic)  # of the first run, on this process's clock
    parallelism: int = 1  # the maximum number of orders in flight
    in_flight: dict[str, OrderInFlight] = field(default_factory=dict)  # by intent id, in order of submission
    expired: dict[str, OrderInFlight] = field(default_factory=dict)  # to be replaced; their steps are waiting
    measured_round_ms: float | None = None  # average duration in this run

    @classmethod
    def of_claim(
        cls,
        events: EventLog,
        job_id: str,
        claim: Claim,
        guard: RunGuard,
        request: OperationRequest | None = None,
    ) -> RunState:
        """Return the initial state of the run that made the claim, without an intent log.

        Without ``request`` the state is enough to end the job, not to run it.
        """
        request = request or request_from_event(claim.latest)
        reporter = ProgressReporter(events, job_id, request, attempt=claim.attempt, latest=claim.latest)
        return cls(job_id, request, reporter, guard, started_s=time.monotonic() - claim.elapsed_ms / 1000)

    @property
    def totals(self) -> Totals:
        """The steps that have ended, and their counts."""
        return self.reporter.totals

    @property
    def steps_in_flight(self) -> list[Step]:
        """The steps whose orders are in flight, in order of submission."""
        return [sent.step for sent in self.in_flight.values()]

    def settle(self, ended: EndedStep, waiting: list[Step]) -> list[Step]:
        """Count a step that has ended; the next event records it. Returns the steps left of ``waiting``."""
        intent_id = ended.step.intent.intent_id
        self.in_flight.pop(intent_id, None)
        self.expired.pop(intent_id, None)
        left = self.totals.settle(ended.step, ended.outcome, waiting)
        place = len(self.totals.outcomes)
        self.reporter.unrecorded_outcomes[intent_id] = settled(ended.order, ended.outcome, place)
        return left

    def put_back(self, ended: EndedStep, waiting: list[Step]) -> list[Step]:
        """Let a step whose order has expired wait again. Returns the steps that wait, this one first.

        The log still contains the expired order, so another run can find out that it has expired.
        """
        intent_id = ended.step.intent.intent_id
        self.expired[intent_id] = self.in_flight.pop(intent_id)
        return [ended.step, *waiting]

    def report_or_stop(self, phase: Phase, current_operation: str) -> None:
        """Report what this run does next, unless it must stop first.

        Raises :class:`CancelRequested` when the job is to be cancelled, and what the guard raises.
        """
        if self.reporter.report(phase, current_operation):
            raise CancelRequested
        self.guard.check_owned()
        self.guard.check_stopping()

    def progress(self, waiting: list[Step]) -> float:
        """Return the progress in phase 4, per cent, with these steps yet to begin."""
        total = len(self.totals.plan.steps) if self.totals.plan else 1
        ended = total - len(waiting) - len(self.in_flight)
        return round(Phase.EXECUTING.progress + _EXECUTING_SPAN * ended / total, 2)

    def remaining_ms(self, waiting: list[Step]) -> int | None:
        """Return how long the steps in flight and these will take; ``None`` if nothing was measured yet."""
        round_ms = self.reporter.expected_round_ms
        if round_ms is None:
            return None
        return round(round_ms * rounds([*self.steps_in_flight, *waiting], self.parallelism))

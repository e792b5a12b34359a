"""The state of one run of an operation, and the progress that it reports."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cto_worker.domain.intent_log import settled
from cto_worker.domain.progress_event import Phase
from cto_worker.errors import CancelRequested
from cto_worker.operation.progress_reporter import ProgressReporter, request_from_event
from cto_worker.operation.run_guard import RunGuard

if TYPE_CHECKING:
    from cto_worker.domain.buy_plan import Step
    from cto_worker.domain.intent_log import IntentLog, IntentRecord
    from cto_worker.domain.journal import Claim, EventLog
    from cto_worker.domain.market import Order, Outcome
    from cto_worker.domain.operation_request import OperationRequest
    from cto_worker.operation.step_totals import Totals

_EXECUTING_SPAN = 99 - Phase.EXECUTING.progress  # the progress that phase 4 adds, in per cent


@dataclass(slots=True)
class RunContext:
    """The state of one run of one job."""

    job_id: str
    request: OperationRequest
    reporter: ProgressReporter
    guard: RunGuard = field(default_factory=RunGuard)
    intent_log: IntentLog | None = None  # of the earlier runs
    uncertain: bool = False  # whether more may have happened than is recorded
    started_s: float = field(default_factory=time.monotonic)  # of the first run, on this process's clock
    in_flight: tuple[Step, Order] | None = None  # possibly submitted, and without an outcome
    expected_step_ms: float | None = None  # duration of a transfer or buy in earlier runs
    measured_step_ms: float | None = None  # average duration in this run

    @classmethod
    def of_claim(
        cls,
        events: EventLog,
        job_id: str,
        claim: Claim,
        guard: RunGuard,
        request: OperationRequest | None = None,
    ) -> RunContext:
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

    def record_of(self, step: Step) -> IntentRecord | None:
        """Return what earlier runs have recorded for a step."""
        return self.intent_log.records.get(step.intent.intent_id) if self.intent_log else None

    def settle(self, step: Step, order: Order | None, outcome: Outcome, rest: list[Step]) -> list[Step]:
        """Count a step that has ended; the next event records it. Returns the steps left of ``rest``."""
        left = self.totals.settle(step, outcome, rest)
        self.reporter.unrecorded_outcomes[step.intent.intent_id] = settled(order, outcome)
        return left

    def report(self, phase: Phase, current_operation: str, **progress: Any) -> bool:
        """Report what this run does next. Returns whether the job is to be cancelled.

        ``progress`` and ``remaining_ms`` as in :meth:`ProgressReporter.report`.
        """
        appended = self.reporter.report(phase, current_operation, **progress)
        self.expected_step_ms = appended.step_ms
        return appended.cancel

    def report_or_stop(self, phase: Phase, current_operation: str, **progress: Any) -> None:
        """Report what this run does next, unless it must stop first.

        Raises :class:`CancelRequested` when the job is to be cancelled, and what the guard raises.
        """
        if self.report(phase, current_operation, **progress):
            raise CancelRequested
        self.guard.check_owned()
        self.guard.check_stopping()

    def progress(self, pending: list[Step]) -> float:
        """Return the progress in phase 4, per cent, with these steps yet to run."""
        total = len(self.totals.plan.steps) if self.totals.plan else 1
        return round(Phase.EXECUTING.progress + _EXECUTING_SPAN * (total - len(pending)) / total, 2)

    def remaining_ms(self, pending: list[Step]) -> int | None:
        """Return how long these steps will probably take; ``None`` when no earlier run was measured."""
        return None if self.expected_step_ms is None else round(self.expected_step_ms * len(pending))

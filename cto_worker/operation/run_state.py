"""The state of one run of an operation, and the progress that it reports."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cto_worker.domain.events import Phase
from cto_worker.domain.intent_log import settled
from cto_worker.errors import CancelRequested
from cto_worker.operation.run_guard import RunGuard
from cto_worker.operation.step_executor import StepExecutor
from cto_worker.operation.totals import step_result

if TYPE_CHECKING:
    from cto_worker.domain.intent_log import IntentLog, IntentRecord
    from cto_worker.domain.market import Market, Order, Outcome
    from cto_worker.domain.plan import Plan, Step
    from cto_worker.domain.request import OperationRequest
    from cto_worker.operation.reporter import ProgressReporter
    from cto_worker.operation.totals import Totals

_EXECUTING_SPAN = 99 - Phase.EXECUTING.progress  # the progress that phase 4 adds, in per cent


@dataclass(slots=True)
class RunState:
    """The state of one run of one job: its parts, its intent log, and what is not recorded yet."""

    job_id: str
    request: OperationRequest
    market: Market
    reporter: ProgressReporter
    guard: RunGuard = field(default_factory=RunGuard)
    log: IntentLog | None = None  # the intent log of the earlier runs
    uncertain: bool = False  # whether more may have happened than is recorded
    started_s: float = field(default_factory=time.monotonic)  # of the first run, on this process's clock
    executor: StepExecutor = field(init=False)
    unrecorded_plan: Plan | None = None  # the next event records it
    unrecorded_outcomes: dict[str, IntentRecord] = field(default_factory=dict)  # the next event records them
    reported: int = 0  # how many of the ended steps an event contains
    expected_step_ms: float | None = None  # duration of a transfer or buy in earlier runs
    measured_step_ms: float | None = None  # average duration in this run

    def __post_init__(self) -> None:
        self.executor = StepExecutor(self.market, self.reporter, self.guard)

    @property
    def totals(self) -> Totals:
        """The steps that have ended, and their counts."""
        return self.reporter.totals

    def record_of(self, step: Step) -> IntentRecord | None:
        """Return what earlier runs have recorded for a step."""
        return self.log.records.get(step.intent.intent_id) if self.log else None

    def settle(self, step: Step, order: Order | None, outcome: Outcome, rest: list[Step]) -> list[Step]:
        """Count a step that has ended; the next event records it. Returns the steps left of ``rest``."""
        left = self.totals.settle(step, outcome, rest)
        self.unrecorded_outcomes[step.intent.intent_id] = settled(order, outcome)
        return left

    def report(self, phase: Phase, current_operation: str, **progress: Any) -> bool:
        """Report what this run does next. Returns whether the job is to be cancelled.

        ``progress`` and ``remaining_ms`` as in :meth:`ProgressReporter.report`.
        """
        appended = self.reporter.report(
            phase,
            current_operation,
            last_step=self.unreported_step(),
            plan=self.unrecorded_plan,
            records=self.unrecorded_outcomes,
            **progress,
        )
        self.unrecorded_plan, self.unrecorded_outcomes = None, {}
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

    def unreported_step(self) -> dict[str, Any] | None:
        """Return the result of the newest step if no event contains it yet, and count it as reported."""
        ended = self.totals.outcomes
        if self.reported == len(ended):
            return None
        self.reported = len(ended)
        return step_result(*ended[-1])

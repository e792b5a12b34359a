"""Phase 4 of an operation: its transfers and buys, several of them at the same time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cto_worker.domain.market_port import OutcomeStatus
from cto_worker.domain.progress_event import Phase
from cto_worker.errors import CancelRequested, Handover
from cto_worker.operation.step_schedule import description, next_steps, rounds

if TYPE_CHECKING:
    from cto_worker.domain.buy_plan import Step
    from cto_worker.operation.run_state import EndedStep, RunState
    from cto_worker.operation.step_executor import StepExecutor


@dataclass(slots=True)
class Execution:
    """The steps of one run that have not ended: some in flight, the others waiting.

    A new step begins as soon as one has ended. No step begins after a cancellation, or when the worker must
    stop; the orders in flight are followed first.
    """

    run: RunState
    executor: StepExecutor
    waiting: list[Step]  # not begun, in the plan's order
    halt: CancelRequested | Handover | None = None  # why no further step may begin
    begun: list[Step] = field(default_factory=list)  # by this run

    def finish(self) -> None:
        """Execute all steps. There is one event at the beginning, and one for each step that ends.

        Raises :class:`CancelRequested` or :class:`Handover` if steps are left. The event of the last step is
        appended together with the next event. Errors of guard and journal are passed on.
        """
        begun_s = time.monotonic()
        ended = self._reconcile() if self.run.in_flight else []
        while True:
            self._settle(ended)
            if not (self.waiting or self.run.in_flight):
                break
            batch = self._report_next()
            if self.halt and not self.run.in_flight:
                raise self.halt
            ended = self._begin(batch) or self.executor.await_outcomes()
            self.run.guard.reached("before_outcome")
        if self.begun:
            elapsed_ms = (time.monotonic() - begun_s) * 1000
            self.run.measured_round_ms = elapsed_ms / rounds(self.begun, self.run.parallelism)
        self._report_with_next("Finishing")

    def _reconcile(self) -> list[EndedStep]:
        steps = self.run.steps_in_flight
        subject = steps[0].description if len(steps) == 1 else f"{len(steps)} orders"
        self.run.reporter.report(
            Phase.EXECUTING,
            f"Checking the outcome of: {subject}",
            progress=self.run.progress(self.waiting),
        )
        ended = self.executor.reconcile()
        self.run.guard.reached("before_outcome")
        return ended

    def _settle(self, ended: list[EndedStep]) -> None:
        """Count the steps that have ended. Makes the events of all but the last, which is reported later.

        A step whose order has expired has not ended: it waits for its next order.
        """
        final = [step for step in ended if step.outcome.status is not OutcomeStatus.EXPIRED]
        for step in ended:
            if step.outcome.status is OutcomeStatus.EXPIRED:
                self.waiting = self.run.put_back(step, self.waiting)
        for place, step in enumerate(final, 1):
            self.waiting = self.run.settle(step, self.waiting)
            if place < len(final):
                self._report_with_next(self._description([]))

    def _report_next(self) -> list[Step]:
        """Append an event, and return the steps to begin now."""
        run = self.run
        batch = [] if self.halt else next_steps(self.waiting, run.steps_in_flight, run.parallelism)
        point = "after_plan" if run.reporter.unrecorded_plan else "after_outcome"
        progress, remaining_ms = run.progress(self.waiting), run.remaining_ms(self.waiting)
        cancel = run.reporter.report(
            Phase.EXECUTING,
            self._description(batch),
            progress=progress,
            remaining_ms=remaining_ms,
            starting=batch,
        )
        if cancel:
            self.halt = CancelRequested()
        elif run.guard.stopping.is_set():
            self.halt = Handover("this worker stops")
        if self.halt:
            return []
        run.guard.reached(point)
        return batch

    def _begin(self, batch: list[Step]) -> list[EndedStep]:
        """Begin these steps. Returns those that the market rejected."""
        if not batch:
            return []
        try:
            rejected = self.executor.begin(batch)
        except (CancelRequested, Handover) as request:
            if not self.run.in_flight:
                raise
            self.halt = request
            return []
        begun = {step.intent.intent_id for step in batch}
        self.waiting = [step for step in self.waiting if step.intent.intent_id not in begun]
        self.begun += batch
        return rejected

    def _report_with_next(self, text: str) -> None:
        progress, remaining_ms = self.run.progress(self.waiting), self.run.remaining_ms(self.waiting)
        self.run.reporter.report_with_next(
            Phase.EXECUTING, text, progress=progress, remaining_ms=remaining_ms
        )

    def _description(self, batch: list[Step]) -> str:
        active = [*self.run.steps_in_flight, *batch]
        return description(active, self.run.totals) if active else "Stopping"

"""Makes the events of one operation: their ``seq``, progress and counts."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cto_worker.domain.field_types import TOTAL_PHASES
from cto_worker.domain.journal_ports import Entry
from cto_worker.domain.lamports import to_sol
from cto_worker.domain.operation_request import OperationRequest
from cto_worker.domain.progress_event import WORKER_TYPE, Details, Phase, ProgressEvent, Status
from cto_worker.operation.result_document import step_result
from cto_worker.operation.step_totals import Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cto_worker.domain.buy_plan import Plan, Step
    from cto_worker.domain.intent_log import IntentRecord
    from cto_worker.domain.journal_ports import AppendResult, EventLog
    from cto_worker.domain.market_port import Order
    from cto_worker.domain.progress_event import StepResult
    from cto_worker.domain.purchase_outcome import PurchaseOutcome

UNKNOWN_PLATFORM = "unknown"


def accepted_event(job_id: str, request: OperationRequest) -> ProgressEvent:
    """Return the event that is written at acceptance: ``seq`` 1, ``attempt`` 0."""
    return _event(
        job_id,
        request,
        Phase.STARTED,
        seq=1,
        attempt=0,
        status=Status.STARTED,
        details=Details(current_operation="Waiting for a worker"),
    )


def request_from_event(event: ProgressEvent) -> OperationRequest:
    """Return the part of a job's request that its events contain: enough to end the job, not to run it."""
    return OperationRequest(
        token_address=event.token_address,
        user_id=event.user_id,
        user_chat_id=event.user_chat_id,
        mode=event.mode,
        buy_amount=event.buy_amount,
        socket_user_id=event.socket_user_id,
    )


class ProgressReporter:
    """Writes one run's events to the journal. Every event contains the current totals."""

    def __init__(
        self, events: EventLog, job_id: str, request: OperationRequest, *, attempt: int, latest: ProgressEvent
    ) -> None:
        self.totals = Totals()
        self.platform = latest.platform
        self.unrecorded_plan: Plan | None = None  # the next event records it
        self.unrecorded_outcomes: dict[str, IntentRecord] = {}  # the next event records them
        self.reported = 0  # how many of the ended steps an event contains
        self.expected_round_ms: float | None = None  # duration of a round of orders in earlier runs
        self._events = events
        self._job_id = job_id
        self._request = request
        self._attempt = attempt
        self._latest = latest
        self._unwritten: list[ProgressEvent] = []  # appended with the next event

    def report(
        self,
        phase: Phase,
        current_operation: str,
        *,
        progress: float | None = None,
        remaining_ms: int | None = None,
        starting: Sequence[Step] = (),
    ) -> bool:
        """Append an event of a phase, with the phase's initial progress by default.

        Returns whether a cancellation of the job is requested.

        ``starting`` are the steps to begin next; each has a different wallet.
        After a takeover a run repeats the phases before the first transfer; the reported phase and progress
        never decrease. A new plan and new outcomes go into the intent log. Raises what
        :meth:`EventLog.append` raises.
        """
        details = self._details(
            current_operation=current_operation,
            estimated_time_remaining=remaining_ms,
            planned_wallets=self.unrecorded_plan and self.unrecorded_plan.wallets,
            starting_wallets=tuple(step.wallet for step in starting) or None,
        )
        if phase.number < self._latest.phase:
            phase = Phase.of(self._latest.phase)
        progress = max(self._latest.progress, phase.progress if progress is None else progress)
        event = self._next(phase, Status.IN_PROGRESS, details, progress=progress)
        appended = self._append(event, plan=self.unrecorded_plan)
        self.unrecorded_plan, self.unrecorded_outcomes = None, {}
        self.expected_round_ms = appended.step_ms
        return appended.cancel

    def report_with_next(
        self, phase: Phase, current_operation: str, *, progress: float, remaining_ms: int | None
    ) -> None:
        """Make an event that is appended together with the next one, in one step of the journal."""
        details = self._details(current_operation=current_operation, estimated_time_remaining=remaining_ms)
        event = self._next(phase, Status.IN_PROGRESS, details, progress=max(self._latest.progress, progress))
        self._unwritten.append(event)

    def intend(self, orders: Sequence[Order], *, heed_cancel: bool) -> bool:
        """Record orders before their submission. See :meth:`EventLog.intend`."""
        return self._events.intend(self._job_id, self._attempt, orders, heed_cancel=heed_cancel)

    def record_submission(self, orders: Sequence[Order]) -> None:
        """Record that orders have been submitted. See :meth:`EventLog.record_submission`."""
        self._events.record_submission(self._job_id, self._attempt, orders)

    def end(
        self,
        result: dict[str, Any],
        error: tuple[str, str] | None,
        *,
        outcome: PurchaseOutcome | None = None,
        step_ms: float | None = None,
        review: bool = False,
    ) -> None:
        """Append the terminal event. ``error`` is code and text, ``None`` for success.

        ``result``, ``step_ms`` and ``review`` as in :class:`Entry`.
        """
        code, text = error or (None, None)
        status = Status.FAILED if error else Status.COMPLETED
        details = self._details(outcome=outcome, needs_review=review, error=text, error_code=code)
        event = self._next(Phase.ENDED, status, details, summary=self.totals.summary())
        self._append(event, result=result, step_ms=step_ms, review=review)

    def _details(self, **fields: Any) -> Details:
        totals = self.totals
        return Details(
            successful_buys=totals.successful_buys,
            failed_buys=totals.failed_buys,
            unknown_buys=totals.unknown_buys or None,
            unknown_transfers=totals.unknown_transfers or None,
            total_spent=to_sol(totals.spent_lamports),
            wallets_used=len(totals.wallets),
            planned_buys=totals.planned_buys,
            transaction_signatures=tuple(totals.signatures),
            last_step=self._unreported_step(),
            **fields,
        )

    def _unreported_step(self) -> StepResult | None:
        """Return the result of the newest step if no event contains it yet, and count it as reported."""
        ended = self.totals.outcomes
        if self.reported == len(ended):
            return None
        self.reported = len(ended)
        return step_result(*ended[-1])

    def _append(self, event: ProgressEvent, **recorded: Any) -> AppendResult:
        earlier, self._unwritten = self._unwritten, []
        appended = self._events.append(Entry(event, earlier, records=self.unrecorded_outcomes, **recorded))
        self._latest = event
        return appended

    def _next(self, phase: Phase, status: Status, details: Details, **fields: Any) -> ProgressEvent:
        return _event(
            self._job_id,
            self._request,
            phase,
            seq=self._latest.seq + len(self._unwritten) + 1,
            attempt=self._attempt,
            status=status,
            details=details,
            platform=self.platform,
            **fields,
        )


def _event(  # noqa: PLR0913 - an event has many fields
    job_id: str,
    request: OperationRequest,
    phase: Phase,
    *,
    seq: int,
    attempt: int,
    status: Status,
    details: Details,
    platform: str = "",
    progress: float | None = None,
    summary: str = "",
) -> ProgressEvent:
    words = {
        "mode": request.mode,
        "platform": platform,
        "amount": format(Decimal(str(request.buy_amount)), "f"),
        "outcome": "Failed" if status is Status.FAILED else "Completed",
        "summary": summary,
    }
    return ProgressEvent(
        worker_type=WORKER_TYPE,
        total_phases=TOTAL_PHASES,
        job_id=job_id,
        seq=seq,
        attempt=attempt,
        token_address=request.token_address,
        user_id=request.user_id,
        user_chat_id=request.user_chat_id,
        phase=phase.number,
        phase_title=phase.title.format_map(words),
        phase_description=phase.description.format_map(words),
        progress=phase.progress if progress is None else progress,
        status=status,
        timestamp=time.time_ns() // 1_000_000,
        mode=request.mode,
        platform=platform or request.platform or UNKNOWN_PLATFORM,
        buy_amount=request.buy_amount,
        socket_user_id=request.socket_user_id,
        details=details,
    )

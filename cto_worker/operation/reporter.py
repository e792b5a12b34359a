"""Makes the events of one operation: their ``seq``, progress and counts."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cto_worker.domain.events import WORKER_TYPE, Details, Phase, ProgressEvent, Status
from cto_worker.domain.field_types import TOTAL_PHASES
from cto_worker.domain.money import to_sol
from cto_worker.domain.request import OperationRequest
from cto_worker.operation.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cto_worker.domain.intent_log import IntentRecord
    from cto_worker.domain.job_outcome import JobOutcome
    from cto_worker.domain.journal import AppendResult, Journal
    from cto_worker.domain.market import Order
    from cto_worker.domain.plan import Plan

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
        self, journal: Journal, job_id: str, request: OperationRequest, *, attempt: int, latest: ProgressEvent
    ) -> None:
        self.totals = Totals()
        self.platform = latest.platform
        self._journal = journal
        self._job_id = job_id
        self._request = request
        self._attempt = attempt
        self._latest = latest
        self._unwritten: list[ProgressEvent] = []  # appended with the next event

    def report(  # noqa: PLR0913 - an event and the parts of its journal entry
        self,
        phase: Phase,
        current_operation: str,
        *,
        progress: float | None = None,
        remaining_ms: int | None = None,
        last_step: dict[str, Any] | None = None,
        plan: Plan | None = None,
        records: Mapping[str, IntentRecord] | None = None,
    ) -> AppendResult:
        """Append an event of a phase, with the phase's initial progress by default.

        After a takeover a run repeats the phases before the first transfer; the reported phase and progress
        never decrease. ``plan`` and ``records`` go into the intent log. Raises what :meth:`Journal.append`
        raises.
        """
        details = self._details(
            current_operation=current_operation,
            estimated_time_remaining=remaining_ms,
            last_step=last_step,
            planned_wallets=plan and plan.wallets,
        )
        if phase.number < self._latest.phase:
            phase = Phase.of(self._latest.phase)
        progress = max(self._latest.progress, phase.progress if progress is None else progress)
        return self._append(phase, Status.IN_PROGRESS, details, progress=progress, plan=plan, records=records)

    def report_with_next(
        self,
        phase: Phase,
        current_operation: str,
        *,
        progress: float,
        remaining_ms: int | None,
        last_step: dict[str, Any] | None,
    ) -> None:
        """Make an event that is appended together with the next one, in one step of the journal."""
        details = self._details(
            current_operation=current_operation, estimated_time_remaining=remaining_ms, last_step=last_step
        )
        event = self._next(phase, Status.IN_PROGRESS, details, progress=max(self._latest.progress, progress))
        self._unwritten.append(event)

    def intend(self, intent_id: str, order: Order, *, heed_cancel: bool) -> bool:
        """Record an order before its submission. See :meth:`Journal.intend`."""
        return self._journal.intend(self._job_id, self._attempt, intent_id, order, heed_cancel=heed_cancel)

    def submitted(self, intent_id: str, order: Order) -> None:
        """Record that an order has been submitted. See :meth:`Journal.submitted`."""
        self._journal.submitted(self._job_id, self._attempt, intent_id, order)

    def end(  # noqa: PLR0913 - an event and the parts of its journal entry
        self,
        summary: str,
        result: dict[str, Any],
        *,
        error: tuple[str, str] | None,
        step_ms: float | None,
        outcome: JobOutcome | None = None,
        last_step: dict[str, Any] | None = None,
        records: Mapping[str, IntentRecord] | None = None,
        review: bool = False,
    ) -> None:
        """Append the terminal event. ``error`` is code and text, ``None`` for success.

        ``review`` lists the job for an operator.
        """
        code, text = error or (None, None)
        self._append(
            Phase.ENDED,
            Status.FAILED if error else Status.COMPLETED,
            self._details(
                outcome=outcome, needs_review=review, error=text, error_code=code, last_step=last_step
            ),
            summary=summary,
            result=result,
            step_ms=step_ms,
            records=records,
            review=review,
        )

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
            **fields,
        )

    def _append(
        self,
        phase: Phase,
        status: Status,
        details: Details,
        *,
        progress: float | None = None,
        summary: str = "",
        **recorded: Any,
    ) -> AppendResult:
        event = self._next(phase, status, details, progress=progress, summary=summary)
        earlier, self._unwritten = self._unwritten, []
        appended = self._journal.append(event, earlier=earlier, **recorded)
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

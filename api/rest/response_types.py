"""The published descriptions of responses that no view creates from a class.

Their JSON is put together from the bytes in the store, or by Flask. The other responses are described where
they are created, in ``api/rest/job_views.py``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Struct

from cto_worker.domain.field_types import (
    Amount,
    BuyAmount,
    Count,
    JobId,
    OwnerId,
    Percent,
    PhaseNumber,
    Platform,
    TokenAddress,
    doc,
)
from cto_worker.domain.progress_event import FundingMode, JobStatus, ProgressEvent, StepResult
from cto_worker.domain.purchase_outcome import OUTCOMES, PurchaseOutcome

State = Annotated[
    JobStatus,
    doc("`waiting`: no worker has claimed the job; `active`: a worker runs it; or how it ended"),
]
_Outcome = Annotated[PurchaseOutcome | None, doc(f"null until the job ends. {OUTCOMES}")]
_NeedsReview = Annotated[bool, doc("Whether an operator must review the job now")]
_LatestEvent = Annotated[ProgressEvent, doc("The latest event")]
_CurrentPhase = Annotated[PhaseNumber, doc("The phase of the latest event")]
_CurrentProgress = Annotated[Percent, doc("The progress of the latest event, in per cent")]
_StepState = Literal["confirmed", "failed", "unknown", "not_started"]


class Health(Struct):
    """The health of a gateway."""

    status: Annotated[Literal["alive", "ready"], doc("`alive` from `/healthz`, `ready` from `/readyz`")]


class WalletResult(Struct, rename="camel", kw_only=True):
    """The result of one planned wallet."""

    wallet: Annotated[str, doc("The address of the wallet")]
    transfer: (
        Annotated[_StepState, doc("The state of the transfer to the wallet; not with mode `prefunded`")]
        | None
    ) = None
    buy: Annotated[
        Literal["confirmed", "failed", "unknown", "not_started", "partial"],
        doc("The state of its buys; `partial`: some of several were confirmed"),
    ]
    planned_buys: Annotated[Count, doc("Buys planned with the wallet")]
    successful_buys: Annotated[Count, doc("Confirmed buys with the wallet")]
    spent: Annotated[Amount, doc("SOL spent, fees included")]
    tokens: Annotated[Count, doc("Tokens bought, in base units")]
    error_code: Annotated[str, doc("The reason for its first failed step, machine-readable")] | None = None
    error: Annotated[str, doc("The reason for its first failed step, as text")] | None = None


class OperationResult(Struct, rename="camel", kw_only=True):
    """The result of an ended job."""

    success: Annotated[bool, doc("Whether at least one buy was confirmed")]
    outcome: Annotated[PurchaseOutcome, doc(OUTCOMES)] | None = None
    needs_review: Annotated[bool, doc("Whether an operator had to review the job when it ended")] | None = (
        None
    )
    mode: FundingMode
    platform: Annotated[str, doc("The platform on which the token trades; empty if it was not detected")]
    buy_amount: Annotated[Amount, doc("SOL that was to be spent in total")]
    planned_buys: (
        Annotated[Count, doc("Planned buys; 0 if the job ended before its plan was made")] | None
    ) = None
    successful_buys: Annotated[Count, doc("Confirmed buys")]
    failed_buys: Annotated[Count, doc("Failed buys")]
    unknown_buys: Annotated[Count, doc("Buys whose outcome is not known")]
    unknown_transfers: Annotated[Count, doc("Transfers whose outcome is not known")]
    total_spent: Annotated[Amount, doc("SOL spent, fees included")]
    tokens_bought: Annotated[Count, doc("Tokens bought, in base units")]
    wallets_used: Annotated[Count, doc("Wallets that have bought")]
    transaction_signatures: Annotated[list[str], doc("The signatures of the confirmed transactions")]
    duration_ms: Annotated[Count, doc("The duration of the last run, in milliseconds")]
    steps: Annotated[list[StepResult], doc("Every transfer and buy, in order")]
    wallets: Annotated[list[WalletResult], doc("Every planned wallet, in order")] | None = None
    error_code: Annotated[str, doc("The reason for the job's failure, machine-readable")] | None = None
    error: Annotated[str, doc("The reason for the job's failure, as text")] | None = None


class JobView(Struct, rename="camel"):
    """A job with its events and its result."""

    job_id: JobId
    status: State
    outcome: _Outcome
    needs_review: _NeedsReview
    progress_events: Annotated[list[ProgressEvent], doc("All events of the job, oldest first")]
    latest_progress: _LatestEvent
    operation_result: Annotated[OperationResult | None, doc("The result; null until the job ends")]
    current_phase: _CurrentPhase
    current_progress: _CurrentProgress


class Events(Struct, rename="camel"):
    """The events of a job."""

    job_id: JobId
    events: Annotated[list[ProgressEvent], doc("The events, oldest first")]


class JobSummary(Struct, rename="camel"):
    """A job in a list."""

    job_id: JobId
    status: State
    outcome: _Outcome
    needs_review: _NeedsReview
    created_at: Annotated[Count, doc("The time of acceptance, in milliseconds since 1970-01-01 UTC")]
    current_phase: _CurrentPhase
    current_progress: _CurrentProgress
    token_address: TokenAddress
    user_id: OwnerId
    mode: FundingMode
    platform: Platform
    buy_amount: BuyAmount
    latest_progress: _LatestEvent


class Page(Struct, rename="camel"):
    """One page of jobs."""

    jobs: Annotated[list[JobSummary], doc("The jobs, newest first")]
    next_cursor: Annotated[str | None, doc("The `cursor` of the next page; null on the last page")]


class ErrorDetails(Struct):
    """Further values of an error."""

    fields: Annotated[dict[str, Any], doc("The messages for each invalid field")] | None = None


class Error(Struct):
    """The ``error`` of a response."""

    code: Annotated[str, doc("Machine-readable and stable")]
    message: Annotated[str, doc("The problem and the remedy, as text")]
    details: Annotated[ErrorDetails | None, doc("Further values for a malformed request")] = None

"""The values that the client sends and returns. Fields that a newer server adds are ignored.

Amounts are in SOL, times in milliseconds since 1970-01-01 UTC, tokens in base units.
"""

from __future__ import annotations

from typing import Any, TypedDict

from msgspec import UNSET, Struct, UnsetType

ENDED = ("completed", "failed")


class _Model(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The names in JSON are camelCase."""


class Operation(_Model, frozen=True, kw_only=True):
    """A request to buy one token with several wallets of a user."""

    token_address: str
    user_id: str
    user_chat_id: int
    mode: str  # "standard": from the funding wallet; "prefunded": from the operation's wallets
    buy_amount: float  # for all wallets together
    wallet_count: int | UnsetType = UNSET  # or ``wallets``
    wallets: list[str] | UnsetType = UNSET
    platform: str | UnsetType = UNSET
    socket_user_id: str | UnsetType = UNSET
    slippage_bps: int | UnsetType = UNSET


class Step(Struct, frozen=True, kw_only=True, rename="camel"):
    """The result of one transfer or buy."""

    kind: str  # "transfer" or "buy"
    wallet: str
    status: str  # "confirmed", "failed" or "unknown"
    signature: str | None = None
    spent: float = 0.0
    tokens: int = 0
    error_code: str | None = None
    error: str | None = None


class Details(_Model, frozen=True, kw_only=True):
    """The counts and texts of an event. A field that is not known yet is ``None``."""

    successful_buys: int | None = None
    failed_buys: int | None = None
    unknown_buys: int | None = None
    unknown_transfers: int | None = None
    total_spent: float | None = None
    wallets_used: int | None = None
    planned_buys: int | None = None
    planned_wallets: list[str] | None = None
    starting_wallets: list[str] | None = None
    outcome: str | None = None  # of the last event: "full", "partial", "none" or "unknown"
    needs_review: bool | None = None
    error: str | None = None
    error_code: str | None = None
    transaction_signatures: list[str] = []
    estimated_time_remaining: int | None = None
    current_operation: str | None = None
    last_step: Step | None = None
    trace_id: str | None = None


class Event(_Model, frozen=True, kw_only=True):
    """One progress report of a job. ``seq`` counts 1, 2, 3 … within the job."""

    job_id: str
    seq: int
    attempt: int
    token_address: str
    user_id: str
    user_chat_id: int
    phase: int
    total_phases: int
    phase_title: str
    phase_description: str
    progress: float
    status: str  # "started", "in_progress", "completed" or "failed"
    timestamp: int
    mode: str
    platform: str
    buy_amount: float
    socket_user_id: str | None = None
    details: Details = Details()

    @property
    def ended(self) -> bool:
        """Whether this is the last event of its job."""
        return self.status in ENDED


class WalletResult(_Model, frozen=True, kw_only=True):
    """The transfers and buys of one wallet of an operation."""

    wallet: str
    buy: str  # "confirmed", "partial", "failed", "unknown" or "not_started"
    transfer: str | None = None  # the same, in the mode "standard"
    planned_buys: int = 0
    successful_buys: int = 0
    spent: float = 0.0
    tokens: int = 0
    error_code: str | None = None
    error: str | None = None


class OperationResult(_Model, frozen=True, kw_only=True):
    """The result of an operation that has ended."""

    success: bool
    mode: str
    platform: str
    buy_amount: float
    successful_buys: int
    failed_buys: int
    unknown_buys: int
    unknown_transfers: int
    total_spent: float
    tokens_bought: int
    wallets_used: int
    transaction_signatures: list[str]
    duration_ms: int
    steps: list[Step]  # in the order of completion
    # Results of early releases lack these.
    outcome: str | None = None  # "full", "partial", "none" or "unknown"
    needs_review: bool = False  # when the job ended; ``Job.needs_review`` is the current value
    planned_buys: int = 0
    wallets: list[WalletResult] = []
    error_code: str | None = None
    error: str | None = None


class Resolution(_Model, frozen=True, kw_only=True):
    """The outcome of an unknown step, as an operator recorded it after the job's end."""

    intent_id: str
    kind: str  # "transfer" or "buy"
    wallet: str
    signature: str
    executed: bool
    spent: float
    tokens: int
    by: str  # the operator; "" if an earlier release of the server recorded it
    at: int  # 0 as above


class Job(_Model, frozen=True, kw_only=True):
    """A job with its complete history."""

    job_id: str
    status: str  # "waiting", "active", "completed" or "failed"
    progress_events: list[Event]
    latest_progress: Event
    current_phase: int
    current_progress: float
    outcome: str | None = None  # ``None`` before the end
    needs_review: bool = False
    resolutions: list[Resolution] = []
    operation_result: OperationResult | None = None  # ``None`` before the end

    @property
    def ended(self) -> bool:
        """Whether the job has ended."""
        return self.status in ENDED


class JobSummary(_Model, frozen=True, kw_only=True):
    """A job in a list."""

    job_id: str
    status: str
    created_at: int
    user_id: str
    token_address: str
    mode: str
    platform: str
    buy_amount: float
    current_phase: int
    current_progress: float
    latest_progress: Event
    outcome: str | None = None
    needs_review: bool = False
    ended_at: int | None = None
    planned_buys: int | None = None
    successful_buys: int = 0
    failed_buys: int = 0
    total_spent: float = 0.0
    error_code: str | None = None
    parent_job_id: str | None = None
    retried_by: str | None = None


class JobFilters(TypedDict, total=False):
    """Which jobs: those that match every given filter. ``None`` is no filter."""

    status: str | None  # "waiting", "active", "completed", "failed" or "needs_review"
    outcome: str | None  # "full", "partial", "none" or "unknown"
    needs_review: bool | None
    user_id: str | None  # for operators and the service, which otherwise get the jobs of all users
    token_address: str | None
    wallet: str | None  # of the operation
    signature: str | None  # of a transaction
    error_code: str | None
    mode: str | None
    platform: str | None
    from_ms: int | None  # created at or after this time
    to_ms: int | None  # created before this time


class StatusCounts(_Model, frozen=True, kw_only=True):
    """The number of jobs with each status."""

    waiting: int
    active: int
    completed: int
    failed: int


class OutcomeCounts(_Model, frozen=True, kw_only=True):
    """The number of ended jobs with each outcome."""

    full: int
    partial: int
    none: int
    unknown: int


class Summary(_Model, frozen=True, kw_only=True):
    """The totals of some jobs."""

    total: int
    by_status: StatusCounts
    by_outcome: OutcomeCounts
    successful_buys: int
    failed_buys: int
    total_spent: float


class Stats(_Model, frozen=True, kw_only=True):
    """How many of some jobs are in each state."""

    total: int
    queued: int
    active: int
    completed: int
    failed: int
    average_progress: float
    not_found: int = 0


class Cancelling(_Model, frozen=True, kw_only=True):
    """The state of a job whose cancellation was requested."""

    job_id: str
    status: str
    cancel_requested: bool


class Created(_Model, frozen=True, kw_only=True):
    """The answer to a submission."""

    job_id: str
    status: str
    status_url: str


class Events(_Model, frozen=True, kw_only=True):
    """The history of a job."""

    job_id: str
    events: list[Event]


class Page(_Model, frozen=True, kw_only=True):
    """One page of a list."""

    jobs: list[JobSummary]
    next_cursor: Any = None

"""The ports of the journal: every write to a job, each one an atomic step in the store.

A job belongs to the run that claimed it, as long as that run renews its lease. The lease counts in the
store's time. Each claim has a number, ``attempt``; it is the fencing token that every write carries.

One step appends an event to the job's stream, writes Celery's result metadata (so that ``AsyncResult``,
Flower and REST read the same state), publishes the event to the job's rooms, and records the outcomes of
steps. The store refuses an event out of sequence, an event of a run that no longer
owns the job, and an event after the terminal one.

:mod:`cto_worker.store.redis_journal` implements the ports on Redis,
:mod:`cto_worker.testing.in_memory_journal` for unit tests. :mod:`cto_worker.store.journal_queries` reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from cto_worker.domain.intent_codec import decode_log
from cto_worker.domain.progress_event import Status
from cto_worker.errors import OperationFailed, SequenceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cto_worker.domain.audit_entry import Change
    from cto_worker.domain.buy_plan import Plan
    from cto_worker.domain.intent_log import IntentLog, IntentRecord
    from cto_worker.domain.market_port import Order
    from cto_worker.domain.progress_event import JobStatus, ProgressEvent


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The identity of a submission. A repeated submission returns the same job."""

    caller: str  # "service", or "user:" and a user id; each caller has its own keys
    key: str  # from the caller
    fingerprint: str  # a hash of the request; the same key with another fingerprint is a conflict

    @property
    def user_id(self) -> str:
        """The caller's user id; empty for the service."""
        return self.caller.partition(":")[2]


@dataclass(frozen=True, slots=True)
class CreateResult:
    """The job of a submission: a new job, or the job of an equal earlier submission."""

    job_id: str
    new: bool
    status: JobStatus


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that now belongs to this run only."""

    attempt: int  # the fencing token of every write of this run
    latest: ProgressEvent
    request: bytes  # the request document, JSON
    intent_log_fields: Mapping[str, bytes]  # as in the store
    stalls: int = 0  # takeovers since the job last made progress
    elapsed_ms: int = 0  # since the first claim
    trace: str = ""  # the trace context of the submission, as a W3C traceparent

    @property
    def trace_id(self) -> str:
        """The id of the job's trace, 32 hexadecimal digits; empty without a trace."""
        return self.trace[3:35]  # 00-<trace>-<span>-<flags>

    @property
    def intent_log(self) -> IntentLog | None:
        """The intent log of the earlier runs; ``None`` if there is no plan yet."""
        return decode_log(self.intent_log_fields)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event, and what is recorded with it in the same step."""

    event: ProgressEvent
    earlier: Sequence[ProgressEvent] = ()  # events directly before it, which are written in the same step
    plan: Plan | None = None  # goes into the intent log
    records: Mapping[str, IntentRecord] = field(default_factory=dict)  # by intent id; into the intent log
    result: dict[str, Any] | None = None  # the operation's result, present with a terminal event
    step_ms: float | None = None  # of a successful run: average duration of a round of orders
    review: bool = False  # lists the ended job for an operator

    @property
    def events(self) -> tuple[ProgressEvent, ...]:
        """All events of this entry, oldest first."""
        return (*self.earlier, self.event)


@dataclass(frozen=True, slots=True)
class AppendResult:
    """The store's answer to an appended event."""

    cancel: bool  # whether a cancellation of the job is requested
    step_ms: float | None  # median of :attr:`Entry.step_ms` in the last 20 runs, same mode and platform


@dataclass(frozen=True, slots=True)
class CancelResult:
    """The state of a job when its cancellation was requested."""

    status: JobStatus
    attempt: int  # 0: no run has claimed it yet


@dataclass(frozen=True, slots=True)
class Orphan:
    """A job that no worker will continue: its message must be sent again."""

    job_id: str
    request: bytes
    attempt: int  # of the run that lost the job; 0: the job was never claimed


class JobStore(Protocol):
    """The job records: new jobs, requested cancellations, and orphans."""

    def create(
        self,
        event: ProgressEvent,
        request: dict[str, Any],
        idempotency: Idempotency | None = None,
        trace: str = "",
        change: Change | None = None,
    ) -> CreateResult:
        """Record a job with its first event (``seq`` 1, ``attempt`` 0), unless it is already recorded.

        ``trace`` is the trace context for the job's runs; see :attr:`Claim.trace`. ``change`` enters the
        audit log in the same step, if the job is new. Raises
        :class:`IdempotencyConflictError` if the key was used for another request, and
        :class:`NotDurableError` if the job may not be on disk; it may nevertheless be recorded.
        """

    def request_cancel(self, job_id: str, change: Change | None = None) -> CancelResult:
        """Request that a job stops before its next transfer or buy. Returns the job's state.

        ``change`` enters the audit log in the same step, unless a cancellation was requested before.
        Raises :class:`JobNotFoundError` or :class:`JobEndedError`, and :class:`NotDurableError` if the
        request may not be on disk; it may nevertheless be recorded.
        """

    def find_orphans(self) -> list[Orphan]:
        """Return the orphans: first the jobs that a run has begun. The caller must send the message of each.

        A job that is still an orphan is returned again after a while.
        """

    def ms_until_due(self) -> int | None:
        """Return the milliseconds until the next begun job may become an orphan; ``None`` without such a job.

        0 means that one is due already.
        """


class Leases(Protocol):
    """The ownership of jobs by runs."""

    def claim(self, job_id: str, claimant: str) -> Claim | None:
        """Claim a job for the run named ``claimant``, and return when the claim is on disk.

        Repeatable with the same name. Returns ``None`` if the job is unknown, belongs to another run or has
        ended. Raises :class:`NotDurableError`; the run must then not begin, because a store that loses the
        claim would issue its fencing token again.
        """

    def renew(self, owned: Mapping[str, int]) -> dict[str, bool]:
        """Renew the leases of these jobs (id → attempt). Returns whether each attempt still owns its job."""

    def release(self, job_id: str, attempt: int) -> bytes | None:
        """Release a job, so that another run can claim it at once. Returns its request as JSON.

        The caller must send the job's message. Returns ``None`` if this attempt does not own the job.
        """


class EventLog(Protocol):
    """The history and the intent log of jobs. Only the run that owns a job can write them."""

    def append(self, entry: Entry) -> AppendResult:
        """Write an entry, in one atomic step. Repeatable for a job's last entry.

        Raises :class:`FencedError`, :class:`JobEndedError`, :class:`SequenceError` or
        :class:`JobNotFoundError`; nothing was then written.
        """

    def intend(self, job_id: str, attempt: int, orders: Sequence[Order], *, heed_cancel: bool = True) -> bool:
        """Record orders before their submission, all in one step, and return when they are on disk.

        An order may follow another one of its intent only if it names that one as ``replaced``.
        Returns ``False`` and records nothing if a cancellation is requested and ``heed_cancel`` is set.
        Raises what :meth:`append` raises, and :class:`NotDurableError`; no order must then be submitted,
        although the records may exist.
        """

    def record_submission(self, job_id: str, attempt: int, orders: Sequence[Order]) -> None:
        """Record that orders have been submitted. Raises what :meth:`append` raises."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The three ports, for code that needs several. Metrics and traces wrap each port separately."""

    jobs: JobStore
    leases: Leases
    events: EventLog

    @classmethod
    def of(cls, implementation: _AllPorts) -> Journal:
        """Return the journal of an object that implements all three ports."""
        return cls(implementation, implementation, implementation)


class _AllPorts(JobStore, Leases, EventLog, Protocol):
    """An implementation of all three ports."""


def validate_sequence(events: Sequence[ProgressEvent]) -> None:
    """Raise :class:`SequenceError` unless each event may follow its predecessor."""
    for event, following in pairwise(events):
        if following.seq != event.seq + 1 or following.progress < event.progress or event.status.terminal:
            raise SequenceError(f"job {event.job_id}: event {following.seq} cannot follow event {event.seq}")


def celery_result(event: ProgressEvent, result: dict[str, Any]) -> dict[str, Any]:
    """Return the result of an ended job for Celery's metadata.

    SUCCESS: the operation's result. FAILURE: an :class:`OperationFailed`, in the form that
    ``celery.backends.base.Backend.prepare_exception`` writes for the JSON serializer.
    """
    if event.status is Status.COMPLETED:
        return result
    return {
        "exc_type": OperationFailed.__name__,
        "exc_message": [event.details.error or "", event.details.error_code or "", result],
        "exc_module": OperationFailed.__module__,
    }

"""The journal: every write about a job, each one atomic step in the store.

A job belongs to the one run that has claimed it, for as long as that renews its lease; the lease counts in
the store's own time. Each claim has a number, the fencing token ``attempt``, and every write carries it. One
step appends the event to the job's stream, writes Celery's result metadata (so that ``AsyncResult``, Flower
and REST read the same truth), publishes the event to the job's rooms, records what has become of the
operation's intents and renews the job's expiry. The store itself refuses what must not happen: an event out
of sequence, one of a worker that no longer owns the job, one after the end. This page is the port;
:mod:`cto_worker.store.journal` keeps it in the store, :mod:`cto_worker.testing.in_memory_journal` is the
twin for unit
tests. Reading is :mod:`cto_worker.store.history`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from cto_worker.domain.events import Status
from cto_worker.domain.intents import decode_log
from cto_worker.errors import OperationFailed, SequenceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cto_worker.domain.events import JobStatus, ProgressEvent
    from cto_worker.domain.intents import IntentLog, IntentRecord
    from cto_worker.domain.market import Order
    from cto_worker.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What makes a repeated submission the same job."""

    caller: str  # "service", or "user:" and a user id; keys of different callers never meet
    key: str  # as the caller sent it
    fingerprint: str  # of the request; the same key with another fingerprint is a conflict

    @property
    def user_id(self) -> str:
        """The user that the caller is, or "" for the service."""
        return self.caller.partition(":")[2]


@dataclass(frozen=True, slots=True)
class CreateResult:
    """The job a submission stands for: a new one, or the one the same submission made before."""

    job_id: str
    new: bool
    status: JobStatus


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that now belongs to this run alone."""

    attempt: int  # the fencing token, carried by every event of this run
    latest: ProgressEvent
    request: bytes  # the request document, JSON
    recorded: Mapping[str, bytes]  # the intent log of the runs before, as the store keeps it
    stalls: int = 0  # takeovers since the job last got further
    elapsed_ms: int = 0  # since the first claim
    trace: str = ""  # the trace context that the job was recorded in, as a W3C traceparent

    @property
    def trace_id(self) -> str:
        """The trace that the job belongs to, 32 hexadecimal digits, or ""."""
        return self.trace[3:35]  # 00-<trace>-<span>-<flags>

    @property
    def log(self) -> IntentLog | None:
        """The intent log; ``None`` when nothing was planned yet."""
        return decode_log(self.recorded)


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What the store answers to a step it has taken."""

    cancel: bool  # somebody has asked to cancel the job
    step_ms: float | None  # what a transfer or buy took in recent runs of the event's mode and platform


@dataclass(frozen=True, slots=True)
class CancelResult:
    """Where a job stood when its cancellation was asked for."""

    status: JobStatus
    attempt: int  # 0: no run has claimed it yet


@dataclass(frozen=True, slots=True)
class Orphan:
    """A job that nobody works on: its message must be sent again."""

    job_id: str
    request: bytes
    attempt: int  # of the run that has lost the job; 0 when none has had it


class Journal(Protocol):
    """What is written about jobs."""

    def create(
        self,
        event: ProgressEvent,
        request: dict[str, Any],
        idempotency: Idempotency | None = None,
        trace: str = "",
    ) -> CreateResult:
        """Record a job with its first event (``seq`` 1, ``attempt`` 0), unless it is recorded already.

        ``trace`` is the context that the runs of the job belong to, as :attr:`Claim.trace` tells it.
        Raises :class:`IdempotencyConflictError` when the key stands for another request, and
        :class:`NotDurableError` when it is not on disk as it must be; then it may be there.
        """

    def claim(self, job_id: str, claimant: str) -> Claim | None:
        """Take a job for the run named ``claimant``, and return once that is on disk.

        Asking again with the same name is harmless. Returns ``None`` when the job is unknown, belongs to
        another run or has ended. Raises :class:`NotDurableError`; then the run must not begin, for a store
        that forgets the claim would give its fencing token away again.
        """

    def append(  # noqa: PLR0913 - an event and what is recorded with it
        self,
        event: ProgressEvent,
        result: dict[str, Any] | None = None,
        step_ms: float | None = None,
        *,
        earlier: Sequence[ProgressEvent] = (),
        plan: Plan | None = None,
        records: Mapping[str, IntentRecord] | None = None,
        review: bool = False,
    ) -> AppendResult:
        """Append one event; a terminal one brings the operation's ``result``. Repeating the last is harmless.

        ``earlier`` are events right before it that need no step of their own: all are written, or none.
        ``plan`` and ``records`` (by intent id) go into the intent log in the same step. ``step_ms``, given
        with a terminal event, is how long a transfer or buy took on average; later runs learn their
        remaining time from it, as the median of the last twenty. ``review`` lists an ended job for an
        operator.

        Raises :class:`FencedError`, :class:`JobEndedError`, :class:`SequenceError` or
        :class:`JobNotFoundError`; then nothing was written.
        """

    def intend(
        self, job_id: str, attempt: int, intent_id: str, order: Order, *, heed_cancel: bool = True
    ) -> bool:
        """Record an order that is about to be submitted, and return once that is on disk.

        Returns ``False``, with nothing recorded, when somebody has asked to cancel the job and that is
        heeded. Raises what :meth:`append` raises, and :class:`NotDurableError`; then nothing may be
        submitted, though the record may be there.
        """

    def submitted(self, job_id: str, attempt: int, intent_id: str, order: Order) -> None:
        """Record that an order has been submitted. Raises what :meth:`append` raises."""

    def renew(self, owned: Mapping[str, int]) -> dict[str, bool]:
        """Renew the leases of these jobs (id → attempt). Returns whether each is still that attempt's."""

    def release(self, job_id: str, attempt: int) -> bytes | None:
        """Give a job up, so that another run may take it at once. Returns its request, JSON.

        The caller must send its message. ``None`` when it was not this attempt's to give up.
        """

    def due(self) -> list[Orphan]:
        """Return the jobs that nobody works on, though it is their turn; each again after a while.

        Begun ones come first. The caller must send the message of each.
        """

    def request_cancel(self, job_id: str) -> CancelResult:
        """Ask for a job to stop before its next transfer or buy. Returns where it stands.

        Raises :class:`JobNotFoundError` or :class:`JobEndedError`, and :class:`NotDurableError` when that is
        not on disk as it must be; then it may be asked for.
        """


def validate_sequence(events: Sequence[ProgressEvent]) -> None:
    """Raise :class:`SequenceError` unless each event may follow the one before it."""
    for one, other in pairwise(events):
        if other.seq != one.seq + 1 or other.progress < one.progress or one.status.terminal:
            raise SequenceError(f"job {one.job_id}: event {other.seq} cannot follow event {one.seq}")


def celery_result(event: ProgressEvent, result: dict[str, Any]) -> dict[str, Any]:
    """Return what Celery's metadata holds as the result of an ended job.

    SUCCESS: the operation's result. FAILURE: an :class:`OperationFailed` as
    ``celery.backends.base.Backend.prepare_exception`` writes exceptions for the JSON serializer.
    """
    if event.status is Status.COMPLETED:
        return result
    return {
        "exc_type": OperationFailed.__name__,
        "exc_message": [event.details.error or "", event.details.error_code or "", result],
        "exc_module": OperationFailed.__module__,
    }

"""The journal: every write about a job, each one atomic step in the store.

One step appends the event to the job's stream, writes Celery's result metadata (so that ``AsyncResult``,
Flower and REST read the same truth), publishes the event to the job's rooms and renews the job's expiry.
The store itself refuses what must not happen: an event out of sequence, one of a worker that no longer owns
the job, one after the end. Reading is :mod:`cto_worker.history`; the twin for unit tests is
:mod:`cto_worker.memory_journal`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from redis.exceptions import ResponseError

from cto_worker import keys
from cto_worker.errors import (
    FencedError,
    IdempotencyConflictError,
    JobEndedError,
    JobNotFoundError,
    OperationFailed,
    SequenceError,
)
from cto_worker.events import JobStatus, ProgressEvent, Status, dumps, encode
from cto_worker.store import script

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What makes a repeated submission the same job."""

    caller: str  # keys of different callers never meet
    key: str  # as the caller sent it
    fingerprint: str  # of the request; the same key with another fingerprint is a conflict


@dataclass(frozen=True, slots=True)
class Created:
    """The job a submission stands for: a new one, or the one the same submission made before."""

    job_id: str
    new: bool
    status: JobStatus


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that now belongs to this run alone."""

    attempt: int  # the fencing token, carried by every event of this run
    seq: int  # of the latest event
    request: bytes  # the request document, JSON


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the store answers to a step it has taken."""

    cancel: bool  # somebody has asked to cancel the job
    step_ms: float | None  # what a transfer or buy took in recent runs of the event's mode and platform


class Journal(Protocol):
    """What is written about jobs."""

    def create(
        self, event: ProgressEvent, request: dict[str, Any], idempotency: Idempotency | None = None
    ) -> Created:
        """Record a job with its first event (``seq`` 1, ``attempt`` 0), unless it is recorded already.

        Raises :class:`IdempotencyConflictError` when the key stands for another request.
        """

    def claim(self, job_id: str, claimant: str) -> Claim | None:
        """Take a waiting job for the run named ``claimant``. Asking again with the same name is harmless.

        Returns ``None`` when the job is unknown, has been taken by another run or has ended.
        """

    def append(
        self, event: ProgressEvent, result: dict[str, Any] | None = None, step_ms: float | None = None
    ) -> Receipt:
        """Append one event; a terminal one brings the operation's ``result``. Repeating the last is harmless.

        ``step_ms``, given with a terminal event, is how long a transfer or buy took on average; later runs
        learn their remaining time from it, as the median of the last twenty.

        Raises :class:`FencedError`, :class:`JobEndedError`, :class:`SequenceError` or
        :class:`JobNotFoundError`; then nothing was written.
        """

    def request_cancel(self, job_id: str) -> JobStatus:
        """Ask for a job to stop before its next transfer or buy. Returns where it stands.

        Raises :class:`JobNotFoundError` or :class:`JobEndedError`.
        """


class RedisJournal:
    """The journal in Redis or Valkey. Any method may raise ``redis.exceptions.RedisError``."""

    def __init__(self, store: Redis, retention_s: int) -> None:
        self._store = store
        self._retention_s = retention_s
        self._create = script(store, "create")
        self._claim = script(store, "claim")
        self._append = script(store, "append")
        self._cancel = script(store, "cancel")

    def create(
        self, event: ProgressEvent, request: dict[str, Any], idempotency: Idempotency | None = None
    ) -> Created:
        """See :meth:`Journal.create`."""
        rooms = keys.rooms(event.job_id, event.user_id, event.socket_user_id)
        job_id, new, fingerprint, status = self._create(
            keys=[
                keys.job(event.job_id),
                keys.events(event.job_id),
                keys.meta(event.job_id),
                keys.SERIAL,
                keys.idempotency(idempotency.caller, idempotency.key) if idempotency else "",
            ],
            args=[
                event.job_id,
                encode(event),
                dumps(request),
                event.user_id,
                event.progress,
                event.timestamp,
                " ".join(rooms),
                self._retention_s,
                idempotency.fingerprint if idempotency else "",
                keys.IDEMPOTENCY_TTL_S,
                keys.CHANNEL_PREFIX,
                keys.OPEN_PREFIX,
                keys.LIST_PREFIX,
                keys.job(""),
            ],
        )
        if idempotency and fingerprint.decode() != idempotency.fingerprint:
            raise IdempotencyConflictError(job_id.decode())
        return Created(job_id.decode(), bool(new), JobStatus(status.decode()))

    def claim(self, job_id: str, claimant: str) -> Claim | None:
        """See :meth:`Journal.claim`."""
        claimed = self._claim(keys=[keys.job(job_id)], args=[claimant])
        return Claim(int(claimed[0]), int(claimed[1]), claimed[2]) if claimed else None

    def append(
        self, event: ProgressEvent, result: dict[str, Any] | None = None, step_ms: float | None = None
    ) -> Receipt:
        """See :meth:`Journal.append`."""
        try:
            cancel, learned = self._append(
                keys=[
                    keys.job(event.job_id),
                    keys.events(event.job_id),
                    keys.meta(event.job_id),
                    keys.pace(event.mode, event.platform),
                ],
                args=[
                    event.job_id,
                    event.seq,
                    event.attempt,
                    event.progress,
                    event.status,
                    encode(event),
                    self._retention_s,
                    keys.CHANNEL_PREFIX,
                    dumps(celery_result(event, result or {})) if event.status.terminal else "",
                    datetime.now(UTC).isoformat() if event.status.terminal else "",
                    keys.OPEN_PREFIX,
                    keys.LIST_PREFIX,
                    "" if step_ms is None else step_ms,
                    keys.PACE_RUNS,
                    keys.job(""),
                ],
            )
        except ResponseError as error:
            raise _refusal(error, event) from error
        return Receipt(bool(cancel), float(learned) if learned else None)

    def request_cancel(self, job_id: str) -> JobStatus:
        """See :meth:`Journal.request_cancel`."""
        status = self._cancel(keys=[keys.job(job_id)])
        if status is None:
            raise JobNotFoundError(job_id)
        if JobStatus(status.decode()).ended:
            raise JobEndedError(f"job {job_id} has ended: {status.decode()}")
        return JobStatus(status.decode())


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


_REFUSALS: dict[str, Callable[[ProgressEvent], Exception]] = {
    "NOTFOUND": lambda event: JobNotFoundError(event.job_id),
    "ENDED": lambda event: JobEndedError(f"job {event.job_id} has ended"),
    "FENCED": lambda event: FencedError(f"job {event.job_id} is no longer owned by attempt {event.attempt}"),
    "SEQUENCE": lambda event: SequenceError(f"job {event.job_id}: {event.seq} is not the next seq"),
}


def _refusal(error: ResponseError, event: ProgressEvent) -> Exception:
    make = _REFUSALS.get(str(error).split(" ", 1)[0])
    return make(event) if make else error

"""Jobs that need a person: which of their intents are unknown, and what an operator says became of them.

History is exact: the job's events, its status, Celery's metadata and the counts in its result stay what they
were when the job ended. What an operator says goes into the intent log alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cto_worker.domain.events import JobStatus
from cto_worker.domain.intents import IntentStatus, decode_log, encode_record, settled
from cto_worker.domain.market import Buy, Outcome, OutcomeStatus
from cto_worker.errors import IntentNotFoundError, IntentNotUnknownError, JobNotEndedError, JobNotFoundError
from cto_worker.store import keys
from cto_worker.store.scripts import script, translate_script_errors

if TYPE_CHECKING:
    from redis import Redis

    from cto_worker.domain.intents import IntentLog


@dataclass(frozen=True, slots=True)
class UnknownIntent:
    """A transfer or buy that has perhaps been executed: the market did not say."""

    intent_id: str
    description: str  # of its step, e.g. "Buying with wallet 3 of 5"
    kind: str  # "transfer" or "buy"
    wallet: str  # the operation wallet it is for
    lamports: int  # to be moved or spent, fees of the network not included
    signature: str  # by which the market or an explorer finds it


def unknown_intents(store: Redis, job_id: str) -> list[UnknownIntent]:
    """Return the unknown intents of an ended job, in the order of its plan.

    Raises :class:`JobNotFoundError` or :class:`JobNotEndedError`.
    """
    log = _log(store, job_id)
    if log is None:
        return []
    return [
        UnknownIntent(
            intent_id=step.intent.intent_id,
            description=step.description,
            kind="buy" if isinstance(step.intent, Buy) else "transfer",
            wallet=step.wallet,
            lamports=step.intent.lamports,
            signature=record.order.signature if record.order else "",
        )
        for step in log.plan.steps
        if (record := log.records.get(step.intent.intent_id)) and record.status is IntentStatus.UNKNOWN
    ]


def resolve(store: Redis, job_id: str, intent_id: str, *, executed: bool) -> int:
    """Record that an unknown intent was executed, or was not. Returns how many of the job are still unknown.

    The record becomes ``confirmed`` or ``failed`` and ``resolved``; what it cost stays untold. With the last
    one the job leaves the lists of jobs that need review, in the same step. Its terminal event, status,
    result and Celery metadata never change.

    Raises :class:`JobNotFoundError`, :class:`JobNotEndedError`, :class:`IntentNotFoundError` or
    :class:`IntentNotUnknownError`; then nothing was written.
    """
    log = _log(store, job_id)
    record = log.records.get(intent_id) if log else None
    if record is None:
        raise IntentNotFoundError(job_id, intent_id)
    if record.status is not IntentStatus.UNKNOWN:
        who = "an operator" if record.resolved else "the market"
        raise IntentNotUnknownError(f"intent {intent_id} is not unknown: {who} says it is {record.status}")
    outcome = Outcome(
        OutcomeStatus.CONFIRMED if executed else OutcomeStatus.FAILED,
        record.order.signature if record.order else "",
    )
    left, _ = _record(
        store, job_id, intent_id, encode_record(replace(settled(record.order, outcome), resolved=True))
    )
    return left


def close(store: Redis, job_id: str) -> bool:
    """Take an ended job off the lists of jobs that need review, if no intent of it is unknown.

    Returns whether it has been taken off. Raises :class:`JobNotFoundError` or :class:`JobNotEndedError`.
    """
    _, removed = _record(store, job_id)
    return bool(removed)


def count(store: Redis) -> int:
    """How many jobs need a person."""
    listed: Any = store.zcard(keys.jobs(keys.ALL_OWNERS, keys.REVIEW))
    return int(listed)


def _log(store: Redis, job_id: str) -> IntentLog | None:
    with store.pipeline() as pipeline:
        pipeline.hget(keys.job(job_id), "status")
        pipeline.hgetall(keys.intents(job_id))
        status, fields = pipeline.execute()
    if status is None:
        raise JobNotFoundError(job_id)
    if not JobStatus(status.decode()).ended:
        raise JobNotEndedError(job_id)
    return decode_log({name.decode(): text for name, text in fields.items()})


def _record(store: Redis, job_id: str, intent_id: str = "", record: bytes = b"") -> tuple[int, int]:
    """Have the store take one step. Returns how many are still unknown, and 1 when the job left the lists."""
    with translate_script_errors(
        NOTFOUND=lambda _: JobNotFoundError(job_id),
        NOTENDED=lambda _: JobNotEndedError(job_id),
        NOTUNKNOWN=lambda _: IntentNotUnknownError(f"intent {intent_id} is not unknown any more"),
    ):
        left, removed = script(store, "resolve")(
            keys=[keys.job(job_id), keys.intents(job_id)],
            args=[job_id, intent_id, record, keys.LIST_PREFIX, keys.REVIEW],
        )
    return int(left), int(removed)

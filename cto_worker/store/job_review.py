"""Review of ended jobs: lists their unknown intents, and records the outcome that an operator found.

A resolution changes only the intent log. The job's events, status, result and Celery metadata stay as they
were when the job ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cto_worker.domain.intent_log import IntentStatus, decode_log, encode_record, settled
from cto_worker.domain.market_port import Buy, Outcome, OutcomeStatus
from cto_worker.domain.progress_event import JobStatus
from cto_worker.errors import IntentNotFoundError, IntentNotUnknownError, JobNotEndedError, JobNotFoundError
from cto_worker.store import keys
from cto_worker.store.script_runner import Script, translate_script_errors

if TYPE_CHECKING:
    from redis import Redis

    from cto_worker.domain.intent_log import IntentLog


@dataclass(frozen=True, slots=True)
class UnknownIntent:
    """A transfer or buy without a known outcome: the market did not report one in time."""

    intent_id: str
    description: str  # of the step, e.g. "Buying with wallet 3 of 5"
    kind: str  # "transfer" or "buy"
    wallet: str  # the operation wallet of the step
    lamports: int  # amount to transfer or spend, without network fees
    signature: str  # identifies the transaction at the market and in a blockchain explorer


def unknown_intents(store: Redis, job_id: str) -> list[UnknownIntent]:
    """Return the unknown intents of an ended job, in the order of its plan.

    Raises :class:`JobNotFoundError` or :class:`JobNotEndedError`.
    """
    log = _intent_log(store, job_id)
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
    """Record whether an unknown intent was executed. Returns the number of the job's unknown intents left.

    The record becomes ``resolved`` and ``confirmed`` or ``failed``, with a cost of 0. When no unknown intent
    is left, the same atomic step removes the job from the review lists.

    Raises :class:`JobNotFoundError`, :class:`JobNotEndedError`, :class:`IntentNotFoundError` or
    :class:`IntentNotUnknownError`. Nothing is written then.
    """
    log = _intent_log(store, job_id)
    record = log.records.get(intent_id) if log else None
    if record is None:
        raise IntentNotFoundError(job_id, intent_id)
    if record.status is not IntentStatus.UNKNOWN:
        source = "an operator" if record.resolved else "the market"
        raise IntentNotUnknownError(
            f"intent {intent_id} is not unknown: {source} reported it as {record.status}. "
            f"List the unknown intents with `cto resolve {job_id}`"
        )
    outcome = Outcome(
        OutcomeStatus.CONFIRMED if executed else OutcomeStatus.FAILED,
        record.order.signature if record.order else "",
    )
    resolved = replace(settled(record.order, outcome, record.place), resolved=True)
    unknown, _ = _resolve(store, job_id, intent_id, encode_record(resolved))
    return unknown


def close(store: Redis, job_id: str) -> bool:
    """Remove an ended job from the review lists, unless it has an unknown intent.

    Returns whether the job was removed. Raises :class:`JobNotFoundError` or :class:`JobNotEndedError`.
    """
    _, removed = _resolve(store, job_id)
    return bool(removed)


def count(store: Redis) -> int:
    """Return the number of jobs that need review."""
    listed: Any = store.zcard(keys.jobs(keys.ALL_OWNERS, keys.REVIEW))
    return int(listed)


def _intent_log(store: Redis, job_id: str) -> IntentLog | None:
    with store.pipeline() as pipeline:
        pipeline.hget(keys.job(job_id), "status")
        pipeline.hgetall(keys.intents(job_id))
        status, fields = pipeline.execute()
    if status is None:
        raise JobNotFoundError(job_id)
    if not JobStatus(status.decode()).ended:
        raise JobNotEndedError(job_id)
    return decode_log({name.decode(): text for name, text in fields.items()})


def _resolve(store: Redis, job_id: str, intent_id: str = "", record: bytes = b"") -> tuple[int, int]:
    """Run the script. Returns the number of unknown intents left, and 1 if the job left the review lists."""
    with translate_script_errors(
        NOTFOUND=lambda _: JobNotFoundError(job_id),
        NOTENDED=lambda _: JobNotEndedError(job_id),
        NOTUNKNOWN=lambda _: IntentNotUnknownError(
            f"intent {intent_id} is no longer unknown: somebody else has just resolved it"
        ),
    ):
        unknown, removed = Script(store, "resolve")(
            job=keys.job(job_id),
            intents=keys.intents(job_id),
            job_id=job_id,
            intent_id=intent_id,
            record=record,
        )
    return int(unknown), int(removed)

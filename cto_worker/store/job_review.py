"""Review of ended jobs: lists their unknown intents, and records the outcome that an operator found.

A resolution is a field of the job record, and applies when the intent log is read. The log itself, and the
job's events, status, result and Celery metadata stay as they were when the job ended. So a process that
records resolutions, such as a gateway, needs no right to write orders.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cto_worker.domain.audit_entry import Action, Change, local_actor
from cto_worker.domain.buy_plan import kind_of
from cto_worker.domain.intent_codec import decode_log, decode_record, encode_record
from cto_worker.domain.intent_log import IntentStatus, Resolver, resolved
from cto_worker.domain.market_port import Outcome, OutcomeStatus
from cto_worker.domain.progress_event import JobStatus, dumps
from cto_worker.errors import (
    IntentNotFoundError,
    IntentNotUnknownError,
    InvalidRequestError,
    JobNotEndedError,
    JobNotFoundError,
)
from cto_worker.store import keys
from cto_worker.store.script_runner import Script, run_durably, translate_script_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from cto_worker.domain.audit_entry import Actor
    from cto_worker.domain.market_port import Order


@dataclass(frozen=True, slots=True)
class UnknownIntent:
    """A transfer or buy without a known outcome: the market did not report one in time."""

    intent_id: str
    description: str  # of the step, e.g. "Buying with wallet 3 of 5"
    kind: str  # "transfer" or "buy"
    wallet: str  # the operation wallet of the step
    lamports: int  # amount to transfer or spend, without network fees
    signature: str  # identifies the transaction at the market and in a blockchain explorer


@dataclass(frozen=True, slots=True)
class StepOrder:
    """The latest order of a step. It may have been sent or not."""

    kind: str  # "transfer" or "buy"
    wallet: str  # the operation wallet of the step
    order: Order


@dataclass(frozen=True, slots=True)
class Resolution:
    """The outcome of an unknown intent, as an operator found it at the market."""

    executed: bool
    spent_lamports: int = 0  # fees, and the SOL paid for a buy; a failed transaction also costs fees
    tokens: int = 0  # base units received by a buy


@dataclass(frozen=True, slots=True)
class ResolvedIntent:
    """An unknown intent whose outcome an operator has recorded."""

    intent_id: str
    kind: str  # "transfer" or "buy"
    wallet: str  # the operation wallet of the step
    signature: str
    resolution: Resolution
    resolver: Resolver


def resolved_in(fields: Mapping[str, bytes]) -> list[ResolvedIntent]:
    """Return the resolved intents in an intent log, in the order of the plan.

    ``fields`` are those of the log, with the resolutions applied.
    """
    log = decode_log(fields)
    if log is None:
        return []
    records = ((step, log.records.get(step.intent.intent_id)) for step in log.plan.steps)
    return [
        ResolvedIntent(
            intent_id=step.intent.intent_id,
            kind=kind_of(step.intent.intent_id),
            wallet=step.wallet,
            signature=outcome.signature,
            resolution=Resolution(
                outcome.status is OutcomeStatus.CONFIRMED, outcome.spent_lamports, outcome.tokens
            ),
            resolver=record.resolver,
        )
        for step, record in records
        if record and record.resolver and (outcome := record.outcome)
    ]


def unknown_intents(store: Redis, job_id: str) -> list[UnknownIntent]:
    """Return the unknown intents of an ended job in the store, in the order of its plan.

    Raises :class:`JobNotFoundError` or :class:`JobNotEndedError`.
    """
    return unknown_in(intent_fields(store, job_id))


def unknown_in(fields: Mapping[str, bytes]) -> list[UnknownIntent]:
    """Return the unknown intents in an intent log, in the order of the plan.

    ``fields`` are those of the log, with the resolutions applied.
    """
    log = decode_log(fields)
    if log is None:
        return []
    return [
        UnknownIntent(
            intent_id=step.intent.intent_id,
            description=step.description,
            kind=kind_of(step.intent.intent_id),
            wallet=step.wallet,
            lamports=step.intent.lamports,
            signature=record.order.signature if record.order else "",
        )
        for step in log.plan.steps
        if (record := log.records.get(step.intent.intent_id)) and record.status is IntentStatus.UNKNOWN
    ]


def orders_in(fields: Mapping[str, bytes]) -> list[StepOrder]:
    """Return the latest order of each step in an intent log that has one, in the order of the plan."""
    log = decode_log(fields)
    if log is None:
        return []
    return [
        StepOrder(kind_of(step.intent.intent_id), step.wallet, record.order)
        for step in log.plan.steps
        if (record := log.records.get(step.intent.intent_id)) and record.order
    ]


def resolve(  # noqa: PLR0913 - the parts of a resolution
    store: Redis,
    job_id: str,
    intent_id: str,
    found: Resolution,
    *,
    actor: Actor | None = None,
    replicas: int = 0,
) -> int:
    """Record the outcome of an unknown intent. Returns the number of the job's unknown intents left.

    The intent's record is then ``resolved``, and ``confirmed`` or ``failed``. When no unknown intent is left,
    the same atomic step removes the job from the review lists. It also writes the audit log, with ``actor``
    as the author, by default the user who runs this process. On return all of this is on disk, also on
    ``replicas`` replicas.

    Raises :class:`JobNotFoundError`, :class:`JobNotEndedError`, :class:`IntentNotFoundError`,
    :class:`IntentNotUnknownError` or :class:`InvalidRequestError`; nothing is written then. Raises
    :class:`NotDurableError`; the outcome may nevertheless be recorded, and the call can be repeated.
    """
    log = decode_log(intent_fields(store, job_id))
    record = log.records.get(intent_id) if log else None
    if record is None:
        raise IntentNotFoundError(job_id, intent_id)
    if record.status is not IntentStatus.UNKNOWN:
        source = "an operator" if record.resolved else "the market"
        raise IntentNotUnknownError(
            f"intent {intent_id} is not unknown: {source} reported it as {record.status}. "
            f"List the unknown intents with `cto resolve {job_id}`"
        )
    if found.tokens and not (found.executed and kind_of(intent_id) == "buy"):
        raise InvalidRequestError({"tokens": ["Must be 0 unless the intent is a buy that was executed."]})
    author = actor or local_actor()
    change = Change(
        actor=author,
        action=Action.JOB_RESOLVE,
        job_id=job_id,
        target=intent_id,
        before={"status": record.status},
        after={
            "status": "confirmed" if found.executed else "failed",
            "spentLamports": found.spent_lamports,
            "tokens": found.tokens,
        },
    )
    resolver = Resolver(author.name, time.time_ns() // 1_000_000)
    unknown, _ = _resolve(store, change, replicas, dumps(asdict(found)), dumps(asdict(resolver)))
    return unknown


def close(store: Redis, job_id: str, *, actor: Actor | None = None, replicas: int = 0) -> bool:
    """Remove an ended job from the review lists, unless it has an unknown intent, and write the audit log.

    Returns whether the job was removed. Raises :class:`JobNotFoundError`, :class:`JobNotEndedError` or
    :class:`NotDurableError`.
    """
    before, after = ({"needsReview": needed} for needed in (True, False))
    change = Change(
        actor=actor or local_actor(),
        action=Action.JOB_CLOSE_REVIEW,
        job_id=job_id,
        before=before,
        after=after,
    )
    _, removed = _resolve(store, change, replicas)
    return bool(removed)


def is_listed(store: Redis, job_id: str) -> bool:
    """Return whether a job is on the list of jobs that need review."""
    return store.zscore(keys.jobs(keys.ALL_OWNERS, keys.REVIEW), job_id) is not None


def count(store: Redis) -> int:
    """Return the number of jobs that need review."""
    listed: Any = store.zcard(keys.jobs(keys.ALL_OWNERS, keys.REVIEW))
    return int(listed)


def intent_fields(store: Redis, job_id: str) -> dict[str, bytes]:
    """Return the fields of a job's intent log, with the resolutions applied.

    Raises :class:`JobNotFoundError` or :class:`JobNotEndedError`.
    """
    with store.pipeline() as pipeline:
        pipeline.hgetall(keys.job(job_id))
        pipeline.hgetall(keys.intents(job_id))
        job, fields = pipeline.execute()
    if not job:
        raise JobNotFoundError(job_id)
    if not JobStatus(job[b"status"].decode()).ended:
        raise JobNotEndedError(job_id)
    return with_resolutions(job, fields)


def with_resolutions(job: Mapping[bytes, bytes], intents: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """Return the fields of an intent log with the resolutions in the fields of the job record applied.

    Both parameters are hashes as the store has them.
    """
    fields = {name.decode(): text for name, text in intents.items()}
    for intent_id, text in intents.items():
        if resolution := job.get(keys.RESOLVED_FIELD.encode() + intent_id):
            resolver = json.loads(job.get(keys.RESOLVER_FIELD.encode() + intent_id, b"{}"))
            fields[intent_id.decode()] = _resolved(
                intent_id.decode(), text, Resolution(**json.loads(resolution)), Resolver(**resolver)
            )
    return fields


def _resolved(intent_id: str, text: bytes, found: Resolution, resolver: Resolver) -> bytes:
    record = decode_record(intent_id, text)
    status = OutcomeStatus.CONFIRMED if found.executed else OutcomeStatus.FAILED
    signature = record.order.signature if record.order else ""
    outcome = Outcome(status, signature, found.spent_lamports, found.tokens)
    return encode_record(resolved(record, outcome, resolver))


def _resolve(
    store: Redis, change: Change, replicas: int, resolution: bytes = b"", resolver: bytes = b""
) -> tuple[int, int]:
    """Run the script. Returns the number of unknown intents left, and 1 if the job left the review lists."""
    job_id, intent_id = change.job_id, change.target
    with translate_script_errors(
        NOTFOUND=lambda _: JobNotFoundError(job_id),
        NOTENDED=lambda _: JobNotEndedError(job_id),
        NOTUNKNOWN=lambda _: IntentNotUnknownError(
            f"intent {intent_id} is no longer unknown: somebody else has just resolved it"
        ),
    ):
        unknown, removed = run_durably(
            store,
            Script(store, "resolve"),
            replicas,
            job=keys.job(job_id),
            job_id=job_id,
            intent_id=intent_id,
            resolution=resolution,
            resolver=resolver,
            change=change.encode(),
        )
    return int(unknown), int(removed)

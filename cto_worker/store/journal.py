"""The journal in Redis or Valkey. Each write is one Lua script, so it is atomic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cto_worker.domain.events import JobStatus, decode, dumps, encode
from cto_worker.domain.ids_and_rooms import rooms as rooms_of_job
from cto_worker.domain.intent_log import (
    PLAN,
    IntentRecord,
    IntentStatus,
    encode_plan,
    encode_record,
)
from cto_worker.domain.journal import (
    AppendResult,
    CancelResult,
    Claim,
    CreateResult,
    Orphan,
    celery_result,
    validate_sequence,
)
from cto_worker.errors import (
    FencedError,
    IdempotencyConflictError,
    JobEndedError,
    JobNotFoundError,
    SequenceError,
)
from cto_worker.store import keys
from cto_worker.store.scripts import run_durably, script, translate_script_errors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from redis import Redis

    from cto_worker.config import Settings
    from cto_worker.domain.events import ProgressEvent
    from cto_worker.domain.journal import Entry, Idempotency
    from cto_worker.domain.market import Order


_GLOBAL_LISTS = [keys.jobs(keys.ALL_OWNERS, status) for status in ("all", *JobStatus, keys.REVIEW)]


class RedisJournal:
    """Implements the ports of :mod:`cto_worker.domain.journal`. Any method may raise a ``RedisError``."""

    def __init__(self, store: Redis, settings: Settings) -> None:
        self._store = store
        self._retention_s = settings.retention_s
        self._lease_ms = settings.lease_ms
        self._replicas = settings.replicas
        self._create = script(store, "create")
        self._claim = script(store, "claim")
        self._append = script(store, "append")
        self._intend = script(store, "intend")
        self._renew = script(store, "renew")
        self._release = script(store, "release")
        self._due = script(store, "due")
        self._cancel = script(store, "cancel")

    def create(
        self,
        event: ProgressEvent,
        request: dict[str, Any],
        idempotency: Idempotency | None = None,
        trace: str = "",
    ) -> CreateResult:
        """See :meth:`JobStore.create`."""
        rooms = rooms_of_job(event.job_id, event.user_id, event.socket_user_id)
        # The caller gets the job's id, so the job must survive a failover to a replica.
        job_id, new, fingerprint, status = self._durably(
            self._create,
            keys=[
                keys.job(event.job_id),
                keys.events(event.job_id),
                keys.meta(event.job_id),
                keys.SERIAL,
                keys.WAITING,
                *(_idempotency_keys(idempotency) if idempotency else []),
            ],
            args=[
                event.job_id,
                encode(event),
                dumps(request),
                event.user_id,
                event.phase,
                event.progress,
                event.timestamp,
                " ".join(rooms),
                idempotency.fingerprint if idempotency else "",
                keys.IDEMPOTENCY_TTL_S,
                keys.CHANNEL_PREFIX,
                keys.OPEN_PREFIX,
                keys.LIST_PREFIX,
                keys.JOB_PREFIX,
                keys.NEW_MESSAGE_CHECK_DELAY_MS,
                trace,
                idempotency.user_id if idempotency else "",
            ],
        )
        if idempotency and fingerprint.decode() != idempotency.fingerprint:
            raise IdempotencyConflictError(job_id.decode())
        return CreateResult(job_id.decode(), bool(new), JobStatus(status.decode()))

    def claim(self, job_id: str, claimant: str) -> Claim | None:
        """See :meth:`Leases.claim`."""
        claimed = self._durably(
            self._claim,
            keys=[
                keys.job(job_id),
                keys.events(job_id),
                keys.intents(job_id),
                keys.DUE,
                keys.WAITING,
                keys.HIGHEST_CLAIMED,
            ],
            args=[job_id, claimant, self._lease_ms],
        )
        if not claimed:
            return None
        attempt, latest, request, stalls, elapsed_ms, trace, intents = claimed
        fields = {name.decode(): text for name, text in zip(*[iter(intents)] * 2, strict=True)}
        return Claim(
            int(attempt), decode(latest), request, fields, int(stalls), int(elapsed_ms), trace.decode()
        )

    def append(self, entry: Entry) -> AppendResult:
        """See :meth:`EventLog.append`."""
        event = entry.event
        validate_sequence(entry.events)
        log_fields: list[Any] = [] if entry.plan is None else [PLAN, encode_plan(entry.plan)]
        for intent_id, record in entry.records.items():
            log_fields += [intent_id, encode_record(record)]
        with _translated_errors(event.job_id, event.attempt):
            cancel, median_ms = self._append(
                keys=[
                    keys.job(event.job_id),
                    keys.events(event.job_id),
                    keys.meta(event.job_id),
                    keys.step_durations(event.mode, event.platform),
                    *([keys.DUE, keys.intents(event.job_id)] if event.attempt else [keys.WAITING]),
                ],
                args=[
                    event.job_id,
                    event.seq,
                    event.attempt,
                    event.phase,
                    event.progress,
                    event.status,
                    encode(event),
                    self._retention_s,
                    keys.CHANNEL_PREFIX,
                    dumps(celery_result(event, entry.result or {})) if event.status.terminal else "",
                    datetime.now(UTC).isoformat() if event.status.terminal else "",
                    keys.OPEN_PREFIX,
                    keys.LIST_PREFIX,
                    "" if entry.step_ms is None else entry.step_ms,
                    keys.STEP_DURATION_SAMPLES,
                    keys.JOB_PREFIX,
                    keys.REVIEW if entry.review else "",
                    len(entry.earlier),
                    *map(encode, entry.earlier),
                    *log_fields,
                ],
            )
        return AppendResult(bool(cancel), float(median_ms) if median_ms else None)

    def intend(
        self, job_id: str, attempt: int, intent_id: str, order: Order, *, heed_cancel: bool = True
    ) -> bool:
        """See :meth:`EventLog.intend`."""
        record = IntentRecord(IntentStatus.INTENDED, order)
        with _translated_errors(job_id, attempt):
            recorded = self._durably(
                self._intend,
                keys=[keys.job(job_id), keys.intents(job_id)],
                args=[attempt, intent_id, encode_record(record), int(heed_cancel)],
            )
        return bool(recorded)

    def record_submission(self, job_id: str, attempt: int, intent_id: str, order: Order) -> None:
        """See :meth:`EventLog.record_submission`."""
        record = IntentRecord(IntentStatus.SUBMITTED, order)
        with _translated_errors(job_id, attempt):
            self._intend(
                keys=[keys.job(job_id), keys.intents(job_id)],
                args=[attempt, intent_id, encode_record(record), 0],
            )

    def renew(self, owned: Mapping[str, int]) -> dict[str, bool]:
        """See :meth:`Leases.renew`."""
        jobs = [value for pair in owned.items() for value in pair]
        renewed = self._renew(keys=[keys.DUE], args=[self._lease_ms, keys.JOB_PREFIX, *jobs])
        return dict(zip(owned, map(bool, renewed), strict=True))

    def release(self, job_id: str, attempt: int) -> bytes | None:
        """See :meth:`Leases.release`."""
        request: bytes | None = self._release(
            keys=[keys.job(job_id), keys.DUE], args=[job_id, attempt, keys.RESUME_CHECK_DELAY_MS]
        )
        return request

    def find_orphans(self) -> list[Orphan]:
        """See :meth:`JobStore.find_orphans`."""
        rows = self._due(
            keys=[
                keys.DUE,
                keys.WAITING,
                keys.HIGHEST_CLAIMED,
                keys.QUEUE,
                keys.RESUMED_QUEUE,
                *_GLOBAL_LISTS,
            ],
            args=[
                keys.SWEEP_LIMIT,
                keys.NEW_MESSAGE_CHECK_DELAY_MS,
                keys.RESUME_CHECK_DELAY_MS,
                keys.RESENT_MESSAGE_TTL_MS,
                keys.JOB_PREFIX,
            ],
        )
        return [Orphan(job_id.decode(), request, int(attempt)) for job_id, request, attempt in rows]

    def request_cancel(self, job_id: str) -> CancelResult:
        """See :meth:`JobStore.request_cancel`."""
        answer = self._durably(self._cancel, keys=[keys.job(job_id)], args=[])
        if answer is None:
            raise JobNotFoundError(job_id)
        status = JobStatus(answer[0].decode())
        if status.ended:
            raise JobEndedError(f"job {job_id} has ended: {status}")
        return CancelResult(status, int(answer[1]))

    def _durably(self, write: Any, *, keys: list[str], args: list[Any]) -> Any:
        return run_durably(self._store, write, keys=keys, args=args, replicas=self._replicas)


def _idempotency_keys(idempotency: Idempotency) -> list[str]:
    caller, key = idempotency.caller, idempotency.key
    return [keys.idempotency(caller, key), keys.ambiguous_idempotency(caller, key)]


def _translated_errors(job_id: str, attempt: int) -> AbstractContextManager[None]:
    return translate_script_errors(
        NOTFOUND=lambda _: JobNotFoundError(job_id),
        ENDED=lambda _: JobEndedError(f"job {job_id} has ended"),
        FENCED=lambda _: FencedError(f"job {job_id} is no longer owned by attempt {attempt}"),
        SEQUENCE=lambda error: SequenceError(f"job {job_id}: {error}"),
    )

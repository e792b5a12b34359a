"""The journal in Redis or Valkey. Each write is one Lua script, so it is atomic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cto_worker.domain.ids_and_rooms import rooms as rooms_of_job
from cto_worker.domain.intent_codec import PLAN, encode_plan, encode_record
from cto_worker.domain.intent_log import IntentRecord, IntentStatus
from cto_worker.domain.journal_ports import (
    AppendResult,
    CancelResult,
    Claim,
    CreateResult,
    Orphan,
    celery_result,
    validate_sequence,
)
from cto_worker.domain.progress_event import JobStatus, decode, dumps, encode
from cto_worker.errors import (
    FencedError,
    IdempotencyConflictError,
    JobEndedError,
    JobNotFoundError,
    SequenceError,
)
from cto_worker.store import keys
from cto_worker.store.script_runner import Script, run_durably, translate_script_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from redis import Redis

    from cto_worker.config import Settings
    from cto_worker.domain.audit_entry import Change
    from cto_worker.domain.journal_ports import Entry, Idempotency
    from cto_worker.domain.market_port import Order
    from cto_worker.domain.progress_event import ProgressEvent


class RedisJournal:
    """Implements :mod:`cto_worker.domain.journal_ports`. Any method may raise a ``RedisError``."""

    def __init__(self, store: Redis, settings: Settings) -> None:
        self._store = store
        self._retention_s = settings.retention_s
        self._lease_ms = settings.lease_ms
        self._replicas = settings.replicas
        self._create = Script(store, "create")
        self._claim = Script(store, "claim")
        self._append = Script(store, "append")
        self._intend = Script(store, "intend")
        self._renew = Script(store, "renew")
        self._release = Script(store, "release")
        self._find_orphans = Script(store, "find_orphans")
        self._ms_until_due = Script(store, "ms_until_due")
        self._cancel = Script(store, "cancel")

    def create(
        self,
        event: ProgressEvent,
        request: dict[str, Any],
        idempotency: Idempotency | None = None,
        trace: str = "",
        change: Change | None = None,
    ) -> CreateResult:
        """See :meth:`JobStore.create`."""
        caller, key = (idempotency.caller, idempotency.key) if idempotency else ("", "")
        # The caller gets the job's id, so the job must survive a failover to a replica.
        job_id, new, fingerprint, status = self._durably(
            self._create,
            job=keys.job(event.job_id),
            events=keys.events(event.job_id),
            meta=keys.meta(event.job_id),
            idempotency=keys.idempotency(caller, key),
            ambiguous=keys.ambiguous_idempotency(caller, key),
            job_id=event.job_id,
            event=encode(event),
            request=dumps(request),
            user=event.user_id,
            phase=event.phase,
            progress=event.progress,
            created_ms=event.timestamp,
            rooms=" ".join(rooms_of_job(event.job_id, event.user_id, event.socket_user_id)),
            trace=trace,
            caller_user=idempotency.user_id if idempotency else "",
            fingerprint=idempotency.fingerprint if idempotency else "",  # empty: not idempotent
            change=change.encode() if change else "",
        )
        if idempotency and fingerprint.decode() != idempotency.fingerprint:
            raise IdempotencyConflictError(job_id.decode())
        return CreateResult(job_id.decode(), bool(new), JobStatus(status.decode()))

    def claim(self, job_id: str, claimant: str) -> Claim | None:
        """See :meth:`Leases.claim`."""
        claimed = self._durably(
            self._claim,
            job=keys.job(job_id),
            events=keys.events(job_id),
            intents=keys.intents(job_id),
            job_id=job_id,
            claimant=claimant,
            lease_ms=self._lease_ms,
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
        terminal = event.status.terminal
        with _translated_errors(event.job_id, event.attempt):
            cancel, median_ms = self._append(
                [*map(encode, entry.earlier), *log_fields],
                job=keys.job(event.job_id),
                events=keys.events(event.job_id),
                meta=keys.meta(event.job_id),
                # An unclaimed job has no intents, and the gateway, which may end it, has no right to them.
                intents=keys.intents(event.job_id) if event.attempt else keys.job(event.job_id),
                durations=keys.step_durations(event.mode, event.platform),
                sweep=keys.DUE if event.attempt else keys.WAITING,
                job_id=event.job_id,
                seq=event.seq,
                attempt=event.attempt,
                phase=event.phase,
                progress=event.progress,
                status=event.status,
                event=encode(event),
                result=dumps(celery_result(event, entry.result or {})) if terminal else "",
                date_done=datetime.now(UTC).isoformat() if terminal else "",
                step_ms="" if entry.step_ms is None else entry.step_ms,
                review="1" if entry.review else "",
                retention_s=self._retention_s,
                earlier=len(entry.earlier),
            )
        return AppendResult(bool(cancel), float(median_ms) if median_ms else None)

    def intend(self, job_id: str, attempt: int, orders: Sequence[Order], *, heed_cancel: bool = True) -> bool:
        """See :meth:`EventLog.intend`."""
        with _translated_errors(job_id, attempt):
            recorded = self._durably(
                self._intend,
                _records(IntentStatus.INTENDED, orders),
                job=keys.job(job_id),
                intents=keys.intents(job_id),
                attempt=attempt,
                heed_cancel=int(heed_cancel),
            )
        return bool(recorded)

    def record_submission(self, job_id: str, attempt: int, orders: Sequence[Order]) -> None:
        """See :meth:`EventLog.record_submission`."""
        with _translated_errors(job_id, attempt):
            self._intend(
                _records(IntentStatus.SUBMITTED, orders),
                job=keys.job(job_id),
                intents=keys.intents(job_id),
                attempt=attempt,
                heed_cancel=0,
            )

    def renew(self, owned: Mapping[str, int]) -> dict[str, bool]:
        """See :meth:`Leases.renew`."""
        jobs = [value for pair in owned.items() for value in pair]
        renewed = self._renew(jobs, lease_ms=self._lease_ms)
        return dict(zip(owned, map(bool, renewed), strict=True))

    def release(self, job_id: str, attempt: int) -> bytes | None:
        """See :meth:`Leases.release`."""
        request: bytes | None = self._release(job=keys.job(job_id), job_id=job_id, attempt=attempt)
        return request

    def find_orphans(self) -> list[Orphan]:
        """See :meth:`JobStore.find_orphans`."""
        rows = self._find_orphans()
        return [Orphan(job_id.decode(), request, int(attempt)) for job_id, request, attempt in rows]

    def ms_until_due(self) -> int | None:
        """See :meth:`JobStore.ms_until_due`."""
        ms: int | None = self._ms_until_due()
        return ms

    def request_cancel(self, job_id: str, change: Change | None = None) -> CancelResult:
        """See :meth:`JobStore.request_cancel`."""
        answer = self._durably(self._cancel, job=keys.job(job_id), change=change.encode() if change else "")
        if answer is None:
            raise JobNotFoundError(job_id)
        status = JobStatus(answer[0].decode())
        if status.ended:
            raise JobEndedError(f"job {job_id} has ended: {status}")
        return CancelResult(status, int(answer[1]))

    def _durably(self, write: Script, rest: Sequence[Any] = (), /, **named: Any) -> Any:
        return run_durably(self._store, write, self._replicas, rest, **named)


def _records(status: IntentStatus, orders: Sequence[Order]) -> list[Any]:
    """Return the records of orders as intent id, record, intent id, record, ..."""
    return [
        part for order in orders for part in (order.intent_id, encode_record(IntentRecord(status, order)))
    ]


def _translated_errors(job_id: str, attempt: int) -> AbstractContextManager[None]:
    return translate_script_errors(
        NOTFOUND=lambda _: JobNotFoundError(job_id),
        ENDED=lambda _: JobEndedError(f"job {job_id} has ended"),
        FENCED=lambda _: FencedError(f"job {job_id} is no longer owned by attempt {attempt}"),
        SEQUENCE=lambda error: SequenceError(f"job {job_id}: {error}"),
    )

"""The producer of jobs: records a job first, and then sends its message."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from cto_worker.crash_points import crash_point
from cto_worker.domain.audit_entry import Action, Change, local_actor
from cto_worker.domain.journal_ports import CreateResult, Idempotency, Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import JobStatus, dumps
from cto_worker.market_registry import platforms
from cto_worker.observability.metered_journal import metered
from cto_worker.observability.traces_port import Traces
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import keys
from cto_worker.store.redis_journal import RedisJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from celery import Celery
    from redis import Redis

    from cto_worker.config import Settings
    from cto_worker.domain.audit_entry import Actor
    from cto_worker.domain.journal_ports import JobStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobProducer:
    """Records jobs and sends their messages. ``send(job_id, document)`` sends one message."""

    jobs: JobStore
    send: Callable[[str, dict[str, Any]], None]
    crash_at: str = ""
    platforms: Collection[str] = ()  # the market's platforms; empty: requests may name any

    def submit(
        self,
        document: Any,
        *,
        caller: str = "service",
        idempotency_key: str = "",
        actor: Actor | None = None,
    ) -> CreateResult:
        """Start the operation that ``document`` describes: a JSON object, see the contract.

        ``actor`` is the author for the audit log, by default this process, as the service.

        An idempotency key is valid for one day and one caller. A repeated submission with the same key
        returns the job of the first. If the message cannot be sent, a worker's sweep sends it later.

        Raises :class:`~cto_worker.errors.InvalidRequestError` and
        :class:`~cto_worker.errors.IdempotencyConflictError`; no job is recorded then. Raises
        :class:`~cto_worker.errors.NotDurableError` and the store's errors; the job may be recorded then, so
        submit it again with the same key.
        """
        request = parse_request(document, self.platforms)
        recorded = request.to_document()
        idempotency = None
        if idempotency_key:
            fingerprint = hashlib.sha256(dumps(sorted(recorded.items()))).hexdigest()
            idempotency = Idempotency(caller, idempotency_key, fingerprint)
        event = accepted_event(str(uuid4()), request)
        change = submission(actor or local_actor("service"), event.job_id, recorded)
        created = self.jobs.create(event, recorded, idempotency, change=change)
        crash_point("after_record", self.crash_at, attempt=1)
        if created.status is JobStatus.WAITING:
            try:
                self.send(created.job_id, recorded)
            except (OperationalError, RedisError) as error:
                # The job is accepted: if this raised, the caller would submit it again, and both would buy.
                log.warning(
                    "cannot send the message of job %s, a sweep will send it: %s", created.job_id, error
                )
        return created


def submission(actor: Actor, job_id: str, document: dict[str, Any]) -> Change:
    """Return the change of the audit log for a new job with this request."""
    return Change(
        actor=actor, action=Action.JOB_SUBMIT, job_id=job_id, after={"status": "waiting", **document}
    )


def make_send(app: Celery) -> Callable[[str, dict[str, Any], bool], None]:
    """Return the function that sends the message of a new job, or of a job to take over, to its queue."""

    def send(job_id: str, document: dict[str, Any], resumed: bool) -> None:  # noqa: FBT001 - selects the queue
        app.send_task(
            keys.TASK_NAME,
            args=[document],
            task_id=job_id,
            queue=keys.RESUMED_QUEUE if resumed else keys.QUEUE,
            headers={keys.RECORDED: True},
            ignore_result=True,
            retry=True,
            retry_policy={
                "max_retries": 2,
                "interval_start": 0.05,
                "interval_step": 0.2,
                "interval_max": 0.5,
            },
        )

    return send


def make_producer(settings: Settings, store: Redis, app: Celery, traces: Traces | None = None) -> JobProducer:
    """Return a producer that records jobs in ``store`` and sends their messages through ``app``."""
    traces = traces or Traces()
    send = traces.send(make_send(app))
    return JobProducer(
        metered(traces.journal(Journal.of(RedisJournal(store, settings)))).jobs,
        lambda job_id, document: send(job_id, document, False),
        settings.crash_at,
        platforms(settings.market),
    )

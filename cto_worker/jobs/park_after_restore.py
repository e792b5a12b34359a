"""Parks all unfinished jobs after a restore from a backup.

A restored job must not continue. A run resumes where the intent log ends, so an order that was sent after the
backup would be sent a second time. Each unfinished job ends here, and is listed for an operator.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from kombu import Queue  # type: ignore[attr-defined]
from kombu.exceptions import ContentDisallowed, DecodeError, OperationalError
from redis.exceptions import RedisError
from structlog.contextvars import bound_contextvars

from cto_worker.domain.progress_event import JobStatus
from cto_worker.errors import InvalidRequestError, NotDurableError, OperationFailed, WorkersRunningError
from cto_worker.jobs.job_claimer import JOB_LOST, JobClaimer
from cto_worker.observability.heartbeat_reader import recent_processes
from cto_worker.operation.phases import park
from cto_worker.operation.run_guard import RunGuard
from cto_worker.operation.run_state import RunState
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery
    from redis import Redis

    from cto_worker.domain.journal_ports import Journal

log = logging.getLogger(__name__)

REASON = "The store was restored from a backup, so the job's progress since the backup is unknown"
RETRY_S = 1.0
_UNACKED = "unacked"  # kombu's hash (kombu.transport.redis): messages that workers had received, by tag


def park_job(journal: Journal, job_id: str, claimant: str, document: Any = None) -> bool:
    """Park one job, unless it has ended, another run owns it, or its id is not a valid job id.

    A job without a record is recorded first, with ``document`` as its request. Returns whether the job was
    parked. Raises ``RedisError`` or :class:`NotDurableError`. A later call with the same ``claimant`` then
    parks the job, or returns ``False`` if the end of the job was written before the error.
    """
    with bound_contextvars(job_id=job_id):
        try:
            claim = JobClaimer(journal).claim(job_id, document, claimant, recorded=False)
            if claim is None:
                log.info("skipped: claimed by another run, or already ended")
            else:
                run = RunState.of_claim(journal.events, job_id, claim, RunGuard())
                park(run, claim, REASON, uncertain=True)
        except OperationFailed as parked:
            log.info("parked: %s", parked)
            return True
        except InvalidRequestError as invalid:
            log.info("skipped: %s", invalid)
        except JOB_LOST as lost:
            log.warning("skipped, because this run lost the job: %s", lost)
        return False


def park_all_with_retries(
    store: Redis,
    journal: Journal,
    app: Celery,
    wait_s: float,
    before_parking: Callable[[str], object] = lambda _: None,
) -> list[str]:
    """Run :func:`park_all`, and retry it for up to ``wait_s`` seconds. Returns the ids of the parked jobs.

    Raises the error of the last attempt.
    """
    deadline = time.monotonic() + wait_s
    claimant = str(uuid4())  # of all attempts, so that each can continue with the jobs of the previous one
    parked: dict[str, None] = {}  # also the jobs of an attempt that failed later
    while True:
        try:
            for job_id in park_all(store, journal, app, claimant, before_parking):
                parked[job_id] = None
        except (RedisError, OperationalError, NotDurableError, WorkersRunningError):
            if time.monotonic() > deadline:
                raise
        else:
            return list(parked)
        time.sleep(RETRY_S)


def park_all(
    store: Redis,
    journal: Journal,
    app: Celery,
    claimant: str,
    before_parking: Callable[[str], object] = lambda _: None,
) -> Iterator[str]:
    """End every unfinished job, including jobs that exist only as a message. Yields the jobs' ids.

    ``claimant`` names this run in its claims. ``before_parking`` is called with the id of each job, before
    the job changes. Each job ends ``failed`` with ``errorCode`` ``needs_review``. The market is not
    contacted, and the queues are empty afterwards. Repeating the call is harmless.

    Raises :class:`WorkersRunningError` before any change if a worker sent a heartbeat in the last 15 s, even
    if it has shut down since. Also raises it at the end if the lease of a job has not expired; the other
    jobs are parked then. Raises ``RedisError`` or :class:`NotDurableError`.
    """
    if workers := recent_processes(store, "worker"):
        raise WorkersRunningError(
            f"a worker has sent a heartbeat in the last 15 s ({', '.join(workers)}): "
            "stop every worker, wait for 15 s, and try again"
        )
    for job_id in _unfinished(store):
        before_parking(job_id)
        if park_job(journal, job_id, claimant):  # the job record contains the request
            yield job_id
    for job_id, document in _messages(store, app):
        if not store.exists(keys.job(job_id)):
            before_parking(job_id)
            if park_job(journal, job_id, claimant, document):
                yield job_id
    if leased := _unfinished(store):
        raise WorkersRunningError(
            f"a worker may still run {', '.join(leased)}: wait until the lease has expired, and try again"
        )


def _unfinished(store: Redis) -> list[str]:
    members: list[Any] = [member for key in (keys.DUE, keys.WAITING) for member in store.zrange(key, 0, -1)]
    job_ids = [member.decode() for member in members]
    statuses: dict[str, Any] = {job_id: store.hget(keys.job(job_id), "status") for job_id in job_ids}
    return [job_id for job_id, status in statuses.items() if status and not JobStatus(status.decode()).ended]


def _messages(store: Redis, app: Celery) -> Iterator[tuple[str, Any]]:
    """Remove all messages from the queues. Yields id and document of those that may have no job record."""
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        tags: list[Any] = store.hkeys(_UNACKED)
        for tag in tags:
            channel.qos.restore_by_tag(tag.decode())
        for name in (keys.QUEUE, keys.RESUMED_QUEUE):
            queue = Queue(name, channel=channel)
            while message := queue.get(accept=["json"]):
                if keys.RECORDED not in message.headers:
                    yield str(message.headers.get("id")), _document(message)
                message.ack()


def _document(message: Any) -> Any:
    try:
        (document,), _, _ = message.decode()  # args, kwargs and Celery's options
    except (ContentDisallowed, DecodeError, TypeError, ValueError):
        return None  # an invalid request, which ends its job
    return document

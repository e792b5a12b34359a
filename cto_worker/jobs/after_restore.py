"""After a backup was restored: no job of it may go on, for what it did since then is recorded nowhere.

A plan is carried out from where its intent log ends, so whatever was sent after the backup would be sent
twice. Every job that had not ended is ended here, as one that needs a person.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kombu import Queue  # type: ignore[attr-defined]
from kombu.exceptions import ContentDisallowed, DecodeError, OperationalError
from redis.exceptions import RedisError

from cto_worker.domain.events import JobStatus
from cto_worker.errors import InvalidRequestError, NotDurableError, OperationFailed, WorkersRunningError
from cto_worker.jobs.runner import Runner
from cto_worker.observability.heartbeat import alive
from cto_worker.operation.phases import NO_MARKET
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from redis import Redis

    from cto_worker.domain.journal import Journal

REASON = "The store was restored from a backup: what became of the job since then is not recorded"
RETRY_S = 1.0
_UNACKED = "unacked"  # kombu's hash (kombu.transport.redis): messages that workers had taken, by tag


def park_all_in_time(store: Redis, journal: Journal, app: Celery, wait_s: float) -> list[str]:
    """Do :func:`park_all` as soon as it can be done; after ``wait_s`` raise what stands against it."""
    deadline = time.monotonic() + wait_s
    parked: dict[str, None] = {}  # also by a try that failed in the end
    while True:
        try:
            for job_id in park_all(store, journal, app):
                parked[job_id] = None
        except (RedisError, OperationalError, NotDurableError, WorkersRunningError):
            if time.monotonic() > deadline:
                raise
        else:
            return list(parked)
        time.sleep(RETRY_S)


def park_all(store: Redis, journal: Journal, app: Celery) -> Iterator[str]:
    """End every job that has not ended, also those that only a message tells of, and tell their ids.

    Each ends ``failed``, ``errorCode`` ``needs_review``; nothing is asked of the market, and the queues are
    left empty. Doing it again does no harm. Raises :class:`WorkersRunningError`, with nothing done, when a
    worker has been heard of within 15 s; or when a job's lease has not run out, with the others parked.
    """
    if workers := alive(store, "worker"):
        raise WorkersRunningError(
            f"a worker runs ({', '.join(workers)}): stop every worker, wait for 15 s, and do this again"
        )
    runner = Runner(journal, NO_MARKET, parked=REASON)
    for job_id in _unended(store):
        _park(runner, job_id, None)  # what it was to do is recorded
        yield job_id
    for job_id, document in _messages(store, app):
        if not store.exists(keys.job(job_id)):
            _park(runner, job_id, document)
            if store.exists(keys.job(job_id)):  # else it was no job's id
                yield job_id
    if leased := _unended(store):
        raise WorkersRunningError(f"a worker may still run {', '.join(leased)}: do this again in a moment")


def _unended(store: Redis) -> list[str]:
    members: list[Any] = [job_id for key in (keys.DUE, keys.WAITING) for job_id in store.zrange(key, 0, -1)]
    statuses: dict[str, Any] = {one.decode(): store.hget(keys.job(one.decode()), "status") for one in members}
    return [job_id for job_id, status in statuses.items() if status and not JobStatus(status.decode()).ended]


def _park(runner: Runner, job_id: str, document: Any) -> None:
    with suppress(OperationFailed, InvalidRequestError):
        runner.run_job(job_id, document)


def _messages(store: Redis, app: Celery) -> Iterator[tuple[str, Any]]:
    """Take every message off the queues; tell id and document of those that may be all there is of a job."""
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
        (document,), _, _ = message.decode()  # args, kwargs and what Celery adds
    except (ContentDisallowed, DecodeError, TypeError, ValueError):
        return None  # refused as no object
    return document

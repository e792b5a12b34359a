"""The Python client for a bot backend: start, cancel and follow operations without HTTP.

```python
from cto_worker.client import Client

cto = Client()  # uses the store in the CTO_* environment variables
job_id = cto.submit({...}, idempotency_key="launch-2031")
for event in cto.follow([job_id]):
    print(event.seq, event.progress, event.details.current_operation)
```
"""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from redis.exceptions import RedisError

from cto_worker.config import Settings
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.progress_event import decode
from cto_worker.errors import EventsGoneError, JobNotFoundError
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import make_producer
from cto_worker.observability.traces_factory import make_traces
from cto_worker.operation.cancel_job import cancel
from cto_worker.store import keys
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.store.redis_journal import RedisJournal
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cto_worker.domain.progress_event import JobStatus, ProgressEvent
    from cto_worker.store.journal_queries import JobDetails

log = logging.getLogger(__name__)

WAIT_MS = 2_000  # for the next event, before the next read; below the connection's time-out
RETRY_S = 1.0
TRACES_S = 2.0  # to export the last traces


class Client:
    """A client with the rights of the service, which acts for any user. Thread-safe.

    Methods raise ``redis.exceptions.RedisError`` while the store is unreachable, unless documented otherwise.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        """Connect to the store. Default ``settings``: the environment's. Raises ``ConfigError``."""
        settings = settings or Settings.from_env()
        self._store = connect(settings)
        self._celery = celery_app(settings)
        self._journal = Journal.of(RedisJournal(self._store, settings))
        self._traces = make_traces(settings, "cto-client")
        self._producer = make_producer(settings, self._store, self._celery, self._traces)
        self._history = JournalQueries(self._store)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and export the last traces."""
        self._traces.stop(TRACES_S)
        self._celery.close()
        self._store.close()

    def submit(self, document: dict[str, Any], *, idempotency_key: str = "") -> str:
        """Start an operation and return its job id. ``document`` is the body of ``POST /api/cto/jobs``.

        The same ``idempotency_key`` within a day returns the same job, so a call that raised can be repeated.
        Raises what :func:`enqueue` raises.
        """
        return self._producer.submit(document, idempotency_key=idempotency_key).job_id

    def cancel(self, job_id: str) -> JobStatus:
        """Cancel a job: it stops before its next transfer or buy. Returns its status.

        Raises :class:`~cto_worker.errors.JobNotFoundError`, :class:`~cto_worker.errors.JobEndedError` or
        :class:`~cto_worker.errors.NotDurableError`.
        """
        latest = self._history.latest(job_id)
        if latest is None:
            raise JobNotFoundError(job_id)
        return cancel(self._journal, job_id, decode(latest.event))

    def status(self, job_id: str) -> JobDetails:
        """Return a job's status, events and result. Raises :class:`~cto_worker.errors.JobNotFoundError`."""
        view = self._history.job_details(job_id)
        if view is None:
            raise JobNotFoundError(job_id)
        return view

    def follow(
        self, job_ids: Iterable[str], after: Mapping[str, int] | None = None
    ) -> Iterator[ProgressEvent]:
        """Yield all events of these jobs, in order per job, until every job has ended.

        ``after`` maps a job to the last ``seq`` that the caller has; the first event is then the next one. A
        caller that stores it can resume in another process. Waits while the store is unreachable. Raises
        :class:`~cto_worker.errors.JobNotFoundError`, and :class:`~cto_worker.errors.EventsGoneError` if the
        next event has expired.
        """
        cursors = {job_id: (after or {}).get(job_id, 0) for job_id in job_ids}
        checked: set[str] = set()
        while cursors:
            try:
                for job_id in cursors.keys() - checked:
                    self._check(job_id, cursors)
                    checked.add(job_id)
                events = self._read(cursors)
            except RedisError as error:
                log.warning("cannot read events: the store is unreachable, retrying: %s", error)
                time.sleep(RETRY_S)
                continue
            for event in events:
                if event.seq > cursors[event.job_id] + 1:
                    raise EventsGoneError(event.job_id, event.seq)
                cursors[event.job_id] = event.seq
                if event.status.terminal:
                    del cursors[event.job_id]
                yield event

    def _check(self, job_id: str, cursors: dict[str, int]) -> None:
        """Raise if the job is unknown, and drop its cursor if the caller already has its last event."""
        latest = self._history.latest(job_id)
        if latest is None:
            raise JobNotFoundError(job_id)
        if latest.seq <= cursors[job_id] and decode(latest.event).status.terminal:
            del cursors[job_id]

    def _read(self, cursors: Mapping[str, int]) -> list[ProgressEvent]:
        """Return the next events of any of the jobs; wait up to ``WAIT_MS`` for one."""
        if not cursors:
            return []
        streams: Any = {keys.events(job_id): f"{seq}-0" for job_id, seq in cursors.items()}
        found: Any = self._store.xread(streams, block=WAIT_MS)
        return [decode(fields[b"event"]) for _, entries in found for _, fields in entries]


def enqueue(document: dict[str, Any], *, idempotency_key: str = "") -> str:
    """Start an operation and return its job id. ``document`` is the body of ``POST /api/cto/jobs``.

    The store is configured by the ``CTO_*`` environment variables. The same ``idempotency_key`` within a day
    returns the same job, so a call that raised can be repeated.

    Raises :class:`~cto_worker.errors.InvalidRequestError`, :class:`~cto_worker.errors.ConfigError`,
    :class:`~cto_worker.errors.IdempotencyConflictError`, :class:`~cto_worker.errors.NotDurableError`,
    ``redis.exceptions.RedisError`` or ``kombu.exceptions.OperationalError``.
    """
    return _client().submit(document, idempotency_key=idempotency_key)


@cache
def _client() -> Client:
    return Client()

"""For the bot's backend: start, cancel and follow operations from Python, without HTTP.

```python
from cto_worker.client import Client

cto = Client()  # the store is the one that the CTO_* environment names
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
from cto_worker.domain.events import decode
from cto_worker.errors import EventsGoneError, JobNotFoundError
from cto_worker.jobs.celery_app import celery_app, make_producer
from cto_worker.observability.setup import make_traces
from cto_worker.operation.cancellation import cancel
from cto_worker.store import keys
from cto_worker.store.connection import connect
from cto_worker.store.history import History
from cto_worker.store.journal import RedisJournal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cto_worker.domain.events import JobStatus, ProgressEvent
    from cto_worker.store.history import JobView

log = logging.getLogger(__name__)

WAIT_MS = 2_000  # for the next event, before the store is asked anew; it hangs if it does not answer that
RETRY_S = 1.0
TRACES_S = 2.0  # for the last traces


class Client:
    """What a backend may do, as the service: for any user. Any number of threads may share one.

    Methods raise ``redis.exceptions.RedisError`` while the store is out of reach, unless they say otherwise.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        """Without ``settings`` they are read from the environment. Raises ``ConfigError``."""
        settings = settings or Settings.from_env()
        self._store = connect(settings)
        self._celery = celery_app(settings)
        self._journal = RedisJournal(self._store, settings)
        self._traces = make_traces(settings, "cto-client")
        self._producer = make_producer(settings, self._store, self._celery, self._traces)
        self._history = History(self._store)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the connections."""
        self._traces.stop(TRACES_S)
        self._celery.close()
        self._store.close()

    def submit(self, document: dict[str, Any], *, idempotency_key: str = "") -> str:
        """Start an operation and return its job id. ``document`` is the body of ``POST /api/cto/jobs``.

        The same ``idempotency_key`` (within a day) gives the same job, so a call that raised can be repeated.
        Raises what :func:`enqueue` does.
        """
        return self._producer.submit(document, idempotency_key=idempotency_key).job_id

    def cancel(self, job_id: str) -> JobStatus:
        """Have a job stop before its next transfer or buy. Returns where it stands.

        Raises :class:`~cto_worker.errors.JobNotFoundError`, :class:`~cto_worker.errors.JobEndedError` or
        :class:`~cto_worker.errors.NotDurableError`.
        """
        latest = self._history.latest(job_id)
        if latest is None:
            raise JobNotFoundError(job_id)
        return cancel(self._journal, job_id, decode(latest.event))

    def status(self, job_id: str) -> JobView:
        """Everything about a job. Raises :class:`~cto_worker.errors.JobNotFoundError`."""
        view = self._history.view(job_id)
        if view is None:
            raise JobNotFoundError(job_id)
        return view

    def follow(
        self, job_ids: Iterable[str], after: Mapping[str, int] | None = None
    ) -> Iterator[ProgressEvent]:
        """Yield the events of these jobs as they happen: of each every one, in order, until all have ended.

        ``after`` says of a job which ``seq`` is known already: whoever keeps it goes on where it was, also in
        another process. While the store is out of reach this waits. Raises
        :class:`~cto_worker.errors.JobNotFoundError`, and :class:`~cto_worker.errors.EventsGoneError` when the
        history no longer reaches back so far.
        """
        positions = {job_id: (after or {}).get(job_id, 0) for job_id in job_ids}
        known: set[str] = set()
        while positions:
            try:
                for job_id in positions.keys() - known:
                    self._check(job_id, positions)
                    known.add(job_id)
                told = self._read(positions)
            except RedisError as error:
                log.warning("cannot follow jobs for now: %s", error)
                time.sleep(RETRY_S)
                continue
            for event in told:
                if event.seq > positions[event.job_id] + 1:
                    raise EventsGoneError(event.job_id, event.seq)
                positions[event.job_id] = event.seq
                if event.status.terminal:
                    del positions[event.job_id]
                yield event

    def _check(self, job_id: str, positions: dict[str, int]) -> None:
        latest = self._history.latest(job_id)
        if latest is None:
            raise JobNotFoundError(job_id)
        if latest.seq <= positions[job_id] and decode(latest.event).status.terminal:
            del positions[job_id]  # its end is known

    def _read(self, positions: Mapping[str, int]) -> list[ProgressEvent]:
        """Wait a while for what comes next, of whichever job."""
        if not positions:
            return []
        streams: Any = {keys.events(job_id): f"{seq}-0" for job_id, seq in positions.items()}
        found: Any = self._store.xread(streams, block=WAIT_MS)
        return [decode(fields[b"event"]) for _, entries in found for _, fields in entries]


def enqueue(document: dict[str, Any], *, idempotency_key: str = "") -> str:
    """Start an operation and return its job id. ``document`` is the body of ``POST /api/cto/jobs``.

    The store is the one the ``CTO_*`` environment names. The same ``idempotency_key`` (within a day) gives
    the same job, so a call that raised can be repeated.

    Raises :class:`~cto_worker.errors.InvalidRequestError`, :class:`~cto_worker.errors.ConfigError`,
    :class:`~cto_worker.errors.IdempotencyConflictError`, :class:`~cto_worker.errors.NotDurableError`,
    ``redis.exceptions.RedisError`` or ``kombu.exceptions.OperationalError``.
    """
    return _client().submit(document, idempotency_key=idempotency_key)


@cache
def _client() -> Client:
    return Client()

"""What the journal holds, read: one round trip per question.

Events are handed on as the JSON bytes the worker wrote; nothing here decodes what its caller only passes on.
A question about an unknown job is answered ``None``, never as if the job waited.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cto_worker.domain.events import JobStatus, dumps
from cto_worker.domain.outcome import JobOutcome, outcome_of
from cto_worker.store import keys
from cto_worker.store.scripts import run_many, script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis


MAX_PURGES_PER_QUERY = (
    1_000  # expired jobs that one question takes off a list: the store serves nobody else meanwhile
)


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as its status page shows it, derived from Celery's result metadata and the stream."""

    job_id: str
    user_id: str
    status: JobStatus
    events: list[bytes]  # the whole history, oldest first
    phase: bytes  # JSON, like the next two
    progress: bytes
    result_json: bytes  # of the operation; ``null`` until the end
    needs_review: bool  # whether an operator must look at it now

    @property
    def outcome(self) -> JobOutcome | None:
        """What the job came to; ``None`` until the end."""
        return outcome_of(json.loads(self.events[-1]))

    @property
    def result(self) -> dict[str, Any] | None:
        """The operation's result; ``None`` until the end."""
        result: dict[str, Any] | None = json.loads(self.result_json)
        return result


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event and what is needed to place it."""

    job_id: str
    user_id: str
    seq: int
    event: bytes


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """A stretch of one job's history, oldest first."""

    user_id: str
    events: list[bytes]


@dataclass(frozen=True, slots=True)
class AcceptedJob:
    """A job's place in the order of acceptance, and the rooms that get its events (none: it has expired)."""

    job_id: str
    serial: int
    rooms: list[str]


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts over the jobs asked about. ``average_progress`` is over those found, 0–100."""

    total: int
    queued: int
    active: int
    completed: int
    failed: int
    not_found: int
    average_progress: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for whom, in the whole system."""

    jobs: dict[str, int]  # by status: those that wait, run, or need an operator
    messages: dict[str, int]  # by queue: those that no worker has taken
    accepted: int  # jobs, since the store was new
    oldest_waiting_s: float  # for how long the oldest job that waits has; 0 when none does
    memory_bytes: int  # that the store uses
    memory_limit_bytes: int  # that it may use: then it refuses what is new
    snapshot_s: int  # when the store last wrote a snapshot, or was started (Unix seconds)


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A line in a list of jobs."""

    job_id: str
    status: JobStatus
    created_ms: int  # ms since the epoch
    event: bytes  # the latest
    needs_review: bool  # whether an operator must look at it now


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, newest first, and where the next page begins (``None``: this is the last).

    A page may have fewer jobs than it could, even none, and not be the last: others had expired.
    """

    jobs: list[JobSummary]
    cursor: int | None


class History:
    """Questions to the journal. Any method may raise ``redis.exceptions.RedisError``."""

    def __init__(self, store: Redis) -> None:
        self._store = store
        self._view = script(store, "view")
        self._stats = script(store, "stats")
        self._page = script(store, "page")
        self._open = script(store, "open")
        self._events = script(store, "events")
        self._accepted = script(store, "accepted")

    def view(self, job_id: str) -> JobView | None:
        """Everything about one job."""
        found = self._view(
            keys=[keys.job(job_id), keys.events(job_id), keys.meta(job_id)],
            args=[keys.LIST_PREFIX, keys.REVIEW, job_id],
        )
        if not found:
            return None
        user_id, status, phase, progress, metadata, events, review = found
        return JobView(
            job_id=job_id,
            user_id=user_id.decode(),
            status=JobStatus(status.decode()),
            events=events,
            phase=phase,
            progress=progress,
            result_json=_result_json(metadata),
            needs_review=bool(review),
        )

    def latest(self, job_id: str) -> StoredEvent | None:
        """The latest event of one job."""
        found = self._events(keys=[keys.job(job_id), keys.events(job_id)], args=["latest"])
        if not found:
            return None
        user_id, seq, events = found
        return StoredEvent(job_id, user_id.decode(), int(seq), events[0])

    def events(self, job_id: str, after: int = 0) -> StoredEvents | None:
        """The events of one job with ``seq`` > ``after``."""
        return self.events_of([(job_id, after)])[0]

    def events_of(self, jobs: Sequence[tuple[str, int]]) -> list[StoredEvents | None]:
        """The same of several jobs, each with its own ``after``."""
        calls: list[Any] = [([keys.job(job_id), keys.events(job_id)], [after]) for job_id, after in jobs]
        return [_stored_events(found) for found in run_many(self._store, self._events, calls)]

    def stats(self, job_ids: Sequence[str], user_id: str | None = None) -> Stats:
        """Count jobs by status; those of other users than ``user_id``, if given, count as not found."""
        *counts, progress = self._stats(keys=[keys.job(job_id) for job_id in job_ids], args=[user_id or ""])
        queued, active, completed, failed, not_found = map(int, counts)
        found = len(job_ids) - not_found
        return Stats(
            total=len(job_ids),
            queued=queued,
            active=active,
            completed=completed,
            failed=failed,
            not_found=not_found,
            average_progress=round(float(progress) / found, 2) if found else 0.0,
        )

    def page(self, user_id: str | None, status: str | None, limit: int, cursor: int | None = None) -> Page:
        """One page of a user's jobs (``None``: everybody's), in ``status`` if given.

        ``status`` is a :class:`JobStatus`, or :data:`keys.REVIEW` for the ended jobs that need an operator.
        """
        index = keys.jobs(user_id or keys.ALL_OWNERS, status or "all")
        rows, next_cursor = self._page(
            keys=[index],
            args=[
                limit,
                cursor or "",
                keys.job(""),
                keys.events(""),
                MAX_PURGES_PER_QUERY,
                keys.LIST_PREFIX,
                keys.REVIEW,
            ],
        )
        jobs = [
            JobSummary(job_id.decode(), JobStatus(state.decode()), int(created), event, bool(review))
            for job_id, state, created, event, review in rows
        ]
        return Page(jobs, int(next_cursor) if next_cursor else None)

    def backlog(self) -> Backlog:
        """What waits. Two round trips."""
        statuses = (JobStatus.WAITING.value, JobStatus.ACTIVE.value, keys.REVIEW)
        queues = (keys.QUEUE, keys.RESUMED_QUEUE)
        lists = {status: keys.jobs(keys.ALL_OWNERS, status) for status in statuses}
        with self._store.pipeline(transaction=False) as pipeline:
            for name in lists.values():
                pipeline.zcard(name)
            for queue in queues:
                pipeline.llen(queue)
            pipeline.get(keys.SERIAL)
            pipeline.zrange(lists[JobStatus.WAITING.value], 0, 0)
            pipeline.time()
            pipeline.info("memory", "persistence")
            *counts, accepted, oldest, (now_s, now_us), info = pipeline.execute()
        created_ms: Any = self._store.hget(keys.job(oldest[0].decode()), "created") if oldest else None
        waited_s = now_s + now_us / 1e6 - int(created_ms) / 1_000 if created_ms else 0.0
        return Backlog(
            jobs=dict(zip(statuses, counts[: len(statuses)], strict=True)),
            messages=dict(zip(queues, counts[len(statuses) :], strict=True)),
            accepted=int(accepted or 0),
            oldest_waiting_s=max(0.0, waited_s),
            memory_bytes=info["used_memory"],
            memory_limit_bytes=info["maxmemory"] or info["total_system_memory"],
            snapshot_s=info["rdb_last_save_time"],
        )

    def jobs_after(self, user_id: str, job_id: str | None) -> list[str]:
        """The ids of a user's jobs accepted after that job, oldest first; all when it is not known."""
        serial: Any = self._store.hget(keys.job(job_id), "serial") if job_id else None
        index, after = keys.jobs(user_id), f"({int(serial or 0)}"
        found: Any = self._store.zrange(index, after, "+inf", byscore=True, offset=0, num=-1)
        return [later.decode() for later in found]

    def latest_serial(self) -> int:
        """The serial number of the job accepted last; 0 before the first."""
        serial: Any = self._store.get(keys.SERIAL)
        return int(serial or 0)

    def jobs_accepted_after(self, serial: int, limit: int) -> list[AcceptedJob]:
        """Everybody's jobs with higher serial numbers, ended or not, oldest first."""
        rows = self._accepted(keys=[keys.jobs(keys.ALL_OWNERS)], args=[serial, limit, keys.job("")])
        return [AcceptedJob(job_id.decode(), int(at), rooms.decode().split()) for job_id, at, rooms in rows]

    def open_jobs(self, room: str) -> list[StoredEvent]:
        """The latest event of every job of a room that has not ended, oldest job first."""
        return self.unfinished_jobs_of_rooms([room])[0]

    def unfinished_jobs_of_rooms(self, rooms: Sequence[str]) -> list[list[StoredEvent]]:
        """The same of several rooms."""
        calls: list[Any] = [([keys.OPEN_PREFIX + room], [keys.job(""), keys.events("")]) for room in rooms]
        return [[_stored_event(row) for row in rows] for rows in run_many(self._store, self._open, calls)]


def _stored_events(found: Any) -> StoredEvents | None:
    if not found:
        return None
    user_id, _, events = found
    return StoredEvents(user_id.decode(), events)


def _stored_event(row: list[Any]) -> StoredEvent:
    job_id, user_id, seq, event = row
    return StoredEvent(job_id.decode(), user_id.decode(), int(seq), event)


_SUCCESS, _AFTER_RESULT = b'{"status":"SUCCESS","result":', b',"traceback":'


def _result_json(metadata: bytes) -> bytes:
    """Cut the operation's result out of Celery's metadata, as ``append.lua`` puts it together."""
    if metadata.startswith(_SUCCESS):
        return metadata[len(_SUCCESS) : metadata.rindex(_AFTER_RESULT)]
    document = json.loads(metadata)
    if document["status"] == "FAILURE":
        return dumps(document["result"]["exc_message"][2])
    return b"null"

"""Queries of the journal. Each takes one round trip, unless its docstring gives another number.

Events are returned as the JSON bytes that were written. They are not decoded, because most callers only
forward them. A query for an unknown job returns ``None``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Struct

from cto_worker.domain.field_types import Count, Percent, doc
from cto_worker.domain.progress_event import JobStatus, dumps
from cto_worker.domain.purchase_outcome import PurchaseOutcome, outcome_of
from cto_worker.store import audit_stream, keys
from cto_worker.store.backlog import Backlog
from cto_worker.store.job_rows import summary_of
from cto_worker.store.script_runner import Script, run_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from cto_worker.domain.job_summary import JobSummary

# Expired jobs that one query removes from a list. It is bounded because the script blocks the store.
MAX_PURGES_PER_QUERY = 1_000


@dataclass(frozen=True, slots=True)
class JobDetails:
    """The details of one job, read from its record, Celery's result metadata and the stream."""

    job_id: str
    user_id: str
    status: JobStatus
    events: list[bytes]  # the complete history, oldest first
    phase: bytes  # JSON
    progress: bytes  # JSON
    result_json: bytes  # the operation's result; ``null`` before the job ends
    needs_review: bool  # whether an operator must look at the job now
    resolved: bool  # whether an operator may have recorded outcomes of unknown steps

    @property
    def outcome(self) -> PurchaseOutcome | None:
        """The job's outcome; ``None`` before the job ends."""
        return outcome_of(msgspec.json.decode(self.events[-1]))

    @property
    def result(self) -> dict[str, Any] | None:
        """The operation's result; ``None`` before the job ends."""
        result: dict[str, Any] | None = json.loads(self.result_json)
        return result


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event with its job, user and sequence number."""

    job_id: str
    user_id: str
    seq: int
    event: bytes


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """Consecutive events of one job, oldest first, and the rooms that receive them."""

    user_id: str
    events: list[bytes]
    rooms: list[str]


@dataclass(frozen=True, slots=True)
class AcceptedJob:
    """A job with its serial number and its rooms."""

    job_id: str
    serial: int  # the job's place in the order of acceptance
    rooms: list[str]  # rooms that receive the job's events; empty if the job has expired


class Stats(Struct, rename="camel"):
    """The number of jobs by status. Responses contain it as it is."""

    total: Annotated[Count, doc("Distinct ids in the request")]
    queued: Annotated[Count, doc("Jobs with status `waiting`")]
    active: Annotated[Count, doc("Jobs with status `active`")]
    completed: Annotated[Count, doc("Jobs with status `completed`")]
    failed: Annotated[Count, doc("Jobs with status `failed`")]
    not_found: Annotated[Count, doc("Ids that are not of a job of the caller")]
    average_progress: Annotated[Percent, doc("The average progress of the jobs found, in per cent")]


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of jobs by status, and the ids that were not found."""

    by_status: dict[JobStatus, int]
    progress_sum: float
    missing: list[str]

    def stats(self) -> Stats:
        """Return these numbers as statistics."""
        found, missing = sum(self.by_status.values()), len(self.missing)
        average = round(self.progress_sum / found, 2) if found else 0.0
        return Stats(found + missing, *self.by_status.values(), missing, average)  # type: ignore[call-arg]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list of jobs.

    A page that is not the last may have fewer jobs than the limit, or be empty, if jobs have expired.
    """

    jobs: list[JobSummary]  # newest first
    cursor: int | None  # start of the next page; ``None`` on the last page


class JournalQueries:
    """Queries of the journal. Any method may raise ``redis.exceptions.RedisError``."""

    def __init__(self, store: Redis) -> None:
        self._store = store
        self._job_details = Script(store, "job_details")
        self._stats = Script(store, "stats")
        self._page = Script(store, "page")
        self._unfinished_jobs = Script(store, "unfinished_jobs")
        self._events = Script(store, "events")
        self._accepted = Script(store, "accepted")

    def job_details(self, job_id: str) -> JobDetails | None:
        """Return all details of one job."""
        answer = self._job_details(
            job=keys.job(job_id), events=keys.events(job_id), meta=keys.meta(job_id), job_id=job_id
        )
        if not answer:
            return None
        user_id, status, phase, progress, metadata, events, review, resolved = answer
        return JobDetails(
            job_id=job_id,
            user_id=user_id.decode(),
            status=JobStatus(status.decode()),
            events=events,
            phase=phase,
            progress=progress,
            result_json=result_json(metadata),
            needs_review=bool(review),
            resolved=bool(resolved),
        )

    def latest(self, job_id: str) -> StoredEvent | None:
        """Return the latest event of one job."""
        answer = self._events(job=keys.job(job_id), events=keys.events(job_id), after="latest")
        if not answer:
            return None
        user_id, seq, events, _ = answer
        return StoredEvent(job_id, user_id.decode(), int(seq), events[0])

    def events(self, job_id: str, after: int = 0) -> StoredEvents | None:
        """Return the events of one job with ``seq`` > ``after``."""
        return self.events_of_jobs([(job_id, after)])[0]

    def events_of_jobs(self, jobs: Sequence[tuple[str, int]]) -> list[StoredEvents | None]:
        """Return the events of several jobs, given as pairs of job id and ``after``."""
        calls = [
            {"job": keys.job(job_id), "events": keys.events(job_id), "after": after} for job_id, after in jobs
        ]
        return [_stored_events(answer) for answer in run_many(self._store, self._events, calls)]

    def stats(self, job_ids: Sequence[str], user_id: str | None = None) -> Stats:
        """Count jobs by status. If ``user_id`` is given, jobs of other users count as not found."""
        return self.counts(job_ids, user_id).stats()

    def counts(self, job_ids: Sequence[str], user_id: str | None = None) -> Counts:
        """Return what :meth:`stats` needs."""
        *counts, progress, missing = self._stats(list(map(keys.job, job_ids)), counted_user=user_id or "")
        by_status = dict(zip(JobStatus, map(int, counts), strict=True))
        return Counts(by_status, float(progress), [job_ids[position] for position in missing])

    def page(self, user_id: str | None, status: str | None, limit: int, cursor: int | None = None) -> Page:
        """Return one page of a user's jobs, or of all jobs if ``user_id`` is ``None``.

        ``status`` limits the page to a :class:`JobStatus`, or to :data:`keys.REVIEW`: ended jobs that an
        operator must look at. ``cursor`` is the previous page's :attr:`Page.cursor`.
        """
        index = keys.jobs(user_id or keys.ALL_OWNERS, status or "all")
        rows, next_cursor = self._page(
            index=index, limit=limit, cursor=cursor or "", removals=MAX_PURGES_PER_QUERY
        )
        return Page(list(map(summary_of, rows)), int(next_cursor) if next_cursor else None)

    def backlog(self) -> Backlog:
        """Return the unfinished work of the whole system. Takes two round trips."""
        statuses = (JobStatus.WAITING.value, JobStatus.ACTIVE.value, keys.REVIEW)
        queues = (keys.QUEUE, keys.RESUMED_QUEUE)
        lists = {status: keys.jobs(keys.ALL_OWNERS, status) for status in statuses}
        with self._store.pipeline(transaction=False) as pipeline:
            for name in lists.values():
                pipeline.zcard(name)
            for queue in queues:
                pipeline.llen(queue)
            pipeline.get(keys.SERIAL)
            pipeline.zcard(keys.ENDED)
            pipeline.get(keys.ARCHIVED)
            pipeline.hget(keys.AUDIT_HEAD, "number")
            pipeline.xrange(keys.AUDIT, count=1)
            pipeline.zrange(lists[JobStatus.WAITING.value], 0, 0)
            pipeline.time()
            pipeline.info("memory", "persistence")
            *counts, accepted, unarchived, archived_ms, head, oldest_change, oldest, now, info = (
                pipeline.execute()
            )
        now_s = now[0] + now[1] / 1e6
        created_ms: Any = self._store.hget(keys.job(oldest[0].decode()), "created") if oldest else None
        waited_s = now_s - int(created_ms) / 1_000 if created_ms else 0.0
        changes = audit_stream.backlog(head, oldest_change, now_s)
        return Backlog(
            jobs=dict(zip(statuses, counts[: len(statuses)], strict=True)),
            messages=dict(zip(queues, counts[len(statuses) :], strict=True)),
            accepted=int(accepted or 0),
            unarchived=unarchived,
            archived_s=int(archived_ms or 0) // 1_000,
            audit_entries=changes.entries,
            oldest_audit_entry_s=changes.oldest_s,
            oldest_waiting_s=max(0.0, waited_s),
            oldest_waiting=oldest[0].decode() if created_ms else None,
            memory_bytes=info["used_memory"],
            memory_limit_bytes=info["maxmemory"] or info["total_system_memory"],
            snapshot_s=info["rdb_last_save_time"],
        )

    def jobs_after(self, user_id: str, job_id: str | None) -> list[str]:
        """Return the ids of a user's jobs accepted after ``job_id``, oldest first.

        Returns all jobs of the user if ``job_id`` is ``None`` or unknown. Takes two round trips.
        """
        serial: Any = self._store.hget(keys.job(job_id), "serial") if job_id else None
        index, after = keys.jobs(user_id), f"({int(serial or 0)}"
        job_ids: Any = self._store.zrange(index, after, "+inf", byscore=True, offset=0, num=-1)
        return [later.decode() for later in job_ids]

    def latest_serial(self) -> int:
        """Return the serial number of the last accepted job; 0 before the first."""
        serial: Any = self._store.get(keys.SERIAL)
        return int(serial or 0)

    def jobs_accepted_after(self, serial: int, limit: int) -> list[AcceptedJob]:
        """Return up to ``limit`` jobs of all users with serial numbers above ``serial``, oldest first."""
        rows = self._accepted(index=keys.jobs(keys.ALL_OWNERS), after=serial, limit=limit)
        return [AcceptedJob(job_id.decode(), int(n), rooms.decode().split()) for job_id, n, rooms in rows]

    def unfinished_jobs(self, room: str) -> list[StoredEvent]:
        """Return the latest event of each unfinished job of a room, oldest job first."""
        return self.unfinished_jobs_of_rooms([room])[0]

    def unfinished_jobs_of_rooms(self, rooms: Sequence[str]) -> list[list[StoredEvent]]:
        """Return for each room the latest events of its unfinished jobs, oldest job first."""
        calls = [{"index": keys.OPEN_PREFIX + room} for room in rooms]
        return [
            [_stored_event(row) for row in rows]
            for rows in run_many(self._store, self._unfinished_jobs, calls)
        ]


def _stored_events(answer: Any) -> StoredEvents | None:
    if not answer:
        return None
    user_id, _, events, rooms = answer
    return StoredEvents(user_id.decode(), events, rooms.decode().split())


def _stored_event(row: list[Any]) -> StoredEvent:
    job_id, user_id, seq, event = row
    return StoredEvent(job_id.decode(), user_id.decode(), int(seq), event)


_SUCCESS, _AFTER_RESULT = b'{"status":"SUCCESS","result":', b',"traceback":'


def result_json(metadata: bytes) -> bytes:
    """Return the operation's result in Celery's metadata, which ``prelude.lua`` has built."""
    if metadata.startswith(_SUCCESS):
        return metadata[len(_SUCCESS) : metadata.rindex(_AFTER_RESULT)]
    document = json.loads(metadata)
    if document["status"] == "FAILURE":
        return dumps(document["result"]["exc_message"][2])
    return b"null"

"""The ended jobs that are not archived yet: how the archiver takes them, and lets them expire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cto_worker.domain.ended_job import EndedJob
from cto_worker.store import keys
from cto_worker.store.job_review import with_resolutions
from cto_worker.store.journal_queries import result_json
from cto_worker.store.script_runner import Script, run_durably

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from redis import Redis

    from cto_worker.config import Settings

TAKEN_EVENTS = 2_000  # events of a batch: limits its size to about 20 MB
TAKEN_MS = 30_000  # after this time without a result, another worker may take the same jobs


class EndedJobs:
    """The jobs in ``cto:ended``. Any method may raise a ``RedisError``."""

    def __init__(self, store: Redis, settings: Settings) -> None:
        self._store = store
        self._replicas = settings.replicas
        self._retention_ms = settings.retention_s * 1_000
        self._take = Script(store, "take_ended")
        self._archived = Script(store, "archived")
        self._relist = Script(store, "relist")

    def take(self, limit: int) -> list[EndedJob]:
        """Take up to ``limit`` jobs for archiving, oldest end first.

        Other workers do not get them for :data:`TAKEN_MS`. Their ends are on disk, so the store cannot lose
        an end that the archive has. Raises :class:`NotDurableError` if that is not certain.
        """
        taken: list[Any] = run_durably(
            self._store,
            self._take,
            self._replicas,
            max_jobs=limit,
            max_events=TAKEN_EVENTS,
            lease_ms=TAKEN_MS,
        )
        return self._read([job_id.decode() for job_id in taken])

    def archived(self, job_ids: Collection[str]) -> None:
        """Record that the archive has these jobs. They expire ``CTO_RETENTION_DAYS`` after their end."""
        self._archived(list(job_ids), retention_ms=self._retention_ms)

    def relist(self) -> bool:
        """Continue the search for jobs of earlier releases. Returns whether there is more to search now."""
        return bool(self._relist(index=keys.jobs(keys.ALL_OWNERS), limit=keys.SWEEP_LIMIT))

    def _read(self, job_ids: Sequence[str]) -> list[EndedJob]:
        """Return the jobs, in one round trip. They no longer change, so separate reads are consistent."""
        with self._store.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hgetall(keys.job(job_id))
                pipeline.xrange(keys.events(job_id))
                pipeline.get(keys.meta(job_id))
                pipeline.hgetall(keys.intents(job_id))
            answers = iter(pipeline.execute())
        # The same iterator four times: the four answers of each job.
        found = zip(job_ids, answers, answers, answers, answers, strict=True)
        # A job of an earlier release may have just expired.
        return [_ended_job(job_id, *parts) for job_id, *parts in found if all(parts[:3])]


def _ended_job(
    job_id: str,
    job: dict[bytes, bytes],
    entries: list[tuple[bytes, dict[bytes, bytes]]],
    metadata: bytes,
    intents: dict[bytes, bytes],
) -> EndedJob:
    events = [fields[b"event"] for _, fields in entries]
    log = with_resolutions(job, intents)
    return EndedJob(job_id, int(job[b"created"]), job[b"request"], events, result_json(metadata), log)

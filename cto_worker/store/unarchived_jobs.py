"""Search of the jobs that are not in the archive: waiting, running, just ended, or to be reviewed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cto_worker.domain.job_summary import JobPosition
from cto_worker.store import keys
from cto_worker.store.job_rows import summary_of
from cto_worker.store.script_runner import Script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from cto_worker.domain.job_filter import JobFilter
    from cto_worker.domain.job_summary import JobSummary

MAX_BATCH = 400  # jobs per round trip, because the script blocks the store


class UnarchivedJobs:
    """The jobs in the sets ``cto:unarchived:*``."""

    def __init__(self, store: Redis) -> None:
        self._script = Script(store, "unarchived")

    def matching(
        self, wanted: JobFilter, after: JobPosition | None = None, batch: int = MAX_BATCH
    ) -> Iterator[JobSummary]:
        """Yield the jobs that match, newest first, or those that follow ``after``.

        Looks at ``batch`` jobs in the first round trip, and at more in each later one. May raise a
        ``RedisError``.
        """
        while True:
            rows, *last = self._read(wanted, after, min(batch, MAX_BATCH))
            for row in rows:
                job = summary_of(row)
                if wanted.matches(job, *_documents(*row[6:])):
                    yield job
            if not last:
                return
            created_ms, job_id = last
            after, batch = JobPosition(int(created_ms), job_id.decode()), 2 * batch

    def _read(self, wanted: JobFilter, after: JobPosition | None, count: int) -> Any:
        created_ms, job_id = after or ("", "")
        return self._script(
            index=keys.unarchived(wanted.user_id or keys.ALL_OWNERS),
            count=count,
            after_ms=created_ms,
            after_id=job_id,
            status=wanted.status or "",
            documents=int(wanted.needs_intents),
        )


def _documents(request: bytes = b"", intents: list[bytes] | None = None) -> tuple[bytes, dict[str, bytes]]:
    """Return a job's request, and its intent log as a dictionary."""
    fields = iter(intents or ())
    return request, {name.decode(): text for name, text in zip(fields, fields, strict=True)}

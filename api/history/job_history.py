"""The events and results of jobs: from the store, or else from the archive."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from cto_worker.domain.purchase_outcome import PurchaseOutcome, outcome_of
from cto_worker.errors import JobNotFoundError
from cto_worker.store.job_review import intent_fields, resolved_in
from cto_worker.store.journal_queries import (
    Counts,
    JobDetails,
    JournalQueries,
    StoredEvent,
    StoredEvents,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from api.history.archive_reader import ArchiveReader
    from cto_worker.store.job_review import ResolvedIntent

ENDED_PROGRESS = 100  # of every ended job, in per cent


class _Latest(Struct):
    """The fields of a job's last event that its responses contain, as their bytes."""

    seq: int
    phase: Raw
    progress: Raw


log = logging.getLogger(__name__)
_latest = msgspec.json.Decoder(_Latest)


class JobHistory(JournalQueries):
    """The journal's queries. ``counts`` and the queries of one job also read the archive.

    They read it for jobs that the store no longer has, return the same bytes as before the job was archived,
    and may raise :class:`ArchiveUnavailableError`. All others read the store only.
    """

    def __init__(self, store: Redis, archive: ArchiveReader) -> None:
        super().__init__(store)
        self._archive = archive

    def job_details(self, job_id: str) -> JobDetails | None:
        """Return all details of one job."""
        if stored := super().job_details(job_id):
            return stored
        job = self._archive.job(job_id)
        if job is None:
            return None
        latest = _latest.decode(job.events[-1])
        return JobDetails(
            job_id=job_id,
            user_id=job.user_id,
            status=job.status,
            events=job.events,
            phase=bytes(latest.phase),
            progress=bytes(latest.progress),
            result_json=job.result_json,
            needs_review=False,  # a job is archived when no operator must look at it
            resolved=outcome_of(json.loads(job.events[-1])) is PurchaseOutcome.UNKNOWN,
        )

    def latest(self, job_id: str) -> StoredEvent | None:
        """Return the latest event of one job."""
        if stored := super().latest(job_id):
            return stored
        job = self._archive.job(job_id)
        if job is None:
            return None
        return StoredEvent(job_id, job.user_id, _latest.decode(job.events[-1]).seq, job.events[-1])

    def events(self, job_id: str, after: int = 0) -> StoredEvents | None:
        """Return the events of one job with ``seq`` > ``after``."""
        return super().events(job_id, after) or self.archived_events(job_id, after)

    def archived_events(self, job_id: str, after: int = 0) -> StoredEvents | None:
        """Return the events of an archived job with ``seq`` > ``after``.

        Its list of rooms is empty, because no more events follow.
        """
        job = self._archive.job(job_id)
        if job is None:
            return None
        first_seq = _latest.decode(job.events[0]).seq
        return StoredEvents(job.user_id, job.events[max(0, after + 1 - first_seq) :], [])

    def intent_fields(self, job_id: str) -> dict[str, bytes]:
        """Return the fields of an ended job's intent log, with the resolutions applied; empty without a log.

        Raises :class:`JobNotFoundError` or :class:`JobNotEndedError`.
        """
        try:
            return intent_fields(self._store, job_id)
        except JobNotFoundError:
            if fields := self._archive.intents(job_id):
                return fields
            if self._archive.job(job_id):
                return {}
            raise

    def resolved_intents(self, job_id: str) -> list[ResolvedIntent]:
        """Return the intents of an ended job whose outcomes an operator has recorded.

        Returns an empty list if the intent log cannot be read, for example because a later release wrote it.
        Such a job ends for review, and its page must still load.
        """
        fields = self.intent_fields(job_id)
        try:
            return resolved_in(fields)
        except (ValueError, KeyError, TypeError):
            log.warning("cannot read the intent log of the job %s", job_id, exc_info=True)
            return []

    def counts(self, job_ids: Sequence[str], user_id: str | None = None) -> Counts:
        """Count jobs by status."""
        stored = super().counts(job_ids, user_id)
        archived = self._archive.statuses(stored.missing, user_id) if stored.missing else {}
        by_status = Counter(archived.values())
        return Counts(
            {status: count + by_status[status] for status, count in stored.by_status.items()},
            stored.progress_sum + ENDED_PROGRESS * len(archived),
            [job_id for job_id in stored.missing if job_id not in archived],
        )

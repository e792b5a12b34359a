"""The archive of ended jobs, for a gateway in a test."""

from __future__ import annotations

from api.history.archive_reader import archive_reader
from cto_worker.archive.database import connect
from cto_worker.archive.job_archive import archive
from cto_worker.archive.schema_migration import migrate
from cto_worker.config import Settings
from cto_worker.domain.ended_job import EndedJob
from cto_worker.store import keys
from cto_worker.store.ended_jobs import EndedJobs
from cto_worker.store.job_review import intent_fields
from cto_worker.store.journal_queries import JournalQueries


def migrated_archive(settings):
    """Return the reader of an archive with this release's schema."""
    engine = connect(settings)
    migrate(engine)
    engine.dispose()
    return archive_reader(settings)


def move_to_archive(store, engine, *job_ids):
    """Archive ended jobs, and delete them from the store as their expiry does."""
    for job_id in job_ids:
        archive(engine, [stored_job(store, job_id)])
        EndedJobs(store, Settings()).archived([job_id])
        store.delete(*(key(job_id) for key in (keys.job, keys.events, keys.intents, keys.meta)))


def stored_job(store, job_id):
    """Return an ended job as the archiver reads it."""
    details = JournalQueries(store).job_details(job_id)
    created_ms, request = store.hmget(keys.job(job_id), "created", "request")
    intents = intent_fields(store, job_id)
    return EndedJob(job_id, int(created_ms), request, details.events, details.result_json, intents)

"""The archive: throughput of one archiver, size of a job on disk, and what is left of it in the store."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from benchmarks.system import embedded_store
from benchmarks.worker import operations_per_s, worker_on
from cto_worker.archive.database import connected
from cto_worker.archive.schema_migration import migrate
from cto_worker.config import Settings
from cto_worker.jobs.archiver import Archiver
from cto_worker.jobs.audit_archiver import AuditArchiver
from cto_worker.store.ended_jobs import EndedJobs
from cto_worker.store.redis_journal import RedisJournal

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy import Engine

    from benchmarks.worker import Worker

NOWHERE = "postgresql://nobody@127.0.0.1:9/none"  # the worker does not archive, so all its jobs are left
WARM_UP = 50  # operations after which the store's own data has its size


@dataclass(frozen=True, slots=True)
class Archiving:
    """The measurements of one run."""

    archived_per_s: float  # of one archiver alone
    operations_per_s: float  # of one worker, while nothing is archived
    disk_bytes: float  # per job, with indexes
    stored_bytes: float  # per job in the store, before it is archived
    left_bytes: float  # per job in the store, after it was archived and has expired


def archive_jobs(count: int = 2_000) -> Archiving:
    """Run operations, then archive all of them.

    The archive is SQLite, or the empty database that ``CTO_ARCHIVE_URL`` names.
    """
    with embedded_store() as environment:
        with worker_on(environment | {"CTO_ARCHIVE_URL": NOWHERE}) as worker:
            operations_per_s(worker, WARM_UP)
            _expire(worker.store)
            before = _used_bytes(worker.store)
            rate = operations_per_s(worker, count)
            stored = _used_bytes(worker.store)
        settings = replace(
            Settings(data_dir=Path(environment["CTO_DATA_DIR"])),
            archive_url=os.environ.get("CTO_ARCHIVE_URL", ""),
        )
        with connected(settings) as engine:
            migrate(engine)
            empty = _database_bytes(engine)
            taken_s = _archive_all(worker, engine, settings)
            disk = _database_bytes(engine) - empty
        _expire(worker.store)
        RedisJournal(worker.store, settings).find_orphans()  # cleans the global lists
        left = _used_bytes(worker.store)
    return Archiving(
        count / taken_s, rate, disk / count, (stored - before) / count, max(0, left - before) / count
    )


def _archive_all(worker: Worker, engine: Engine, settings: Settings) -> float:
    audit = AuditArchiver(worker.store, engine, settings.replicas)
    archiver = Archiver(EndedJobs(worker.store, settings), engine, settings, audit)
    start_s = time.perf_counter()
    while archiver.attempt() == 0:
        pass
    return time.perf_counter() - start_s


def _expire(store: Redis) -> None:
    """Let everything expire that ever expires."""
    for key in store.scan_iter(count=1_000):
        if store.pexpiretime(key) >= 0:
            store.delete(key)


def _used_bytes(store: Redis) -> int:
    """Return the memory of all keys but the simulated market's."""
    names = [key for key in store.scan_iter(count=1_000) if not key.startswith(b"cto:paper:")]
    return sum(store.memory_usage(key, samples=0) or 0 for key in names)


def _database_bytes(engine: Engine) -> int:
    statement = (
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        if engine.dialect.name == "sqlite"
        else "SELECT pg_database_size(current_database())"
    )
    with engine.connect() as connection:
        return int(connection.execute(text(statement)).scalar_one())

"""Faults of archiving: killed workers, and a database that is killed or locked.

Criteria: every ended job is in the archive once, with the data that the store has of it, and everything of it
in the store expires.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from contextlib import closing

import pytest
from sqlalchemy import select
from support.postgresql import PostgreSQL
from support.system import random_worker
from support.waiting import wait_until

from cto_worker.archive.compression import unpacked
from cto_worker.archive.database import connect
from cto_worker.archive.schema_migration import migrate
from cto_worker.archive.tables import DOCUMENTS, JOBS
from cto_worker.store import keys
from cto_worker.store.job_review import with_resolutions
from cto_worker.store.journal_queries import result_json

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
WARNING = "ended jobs stay in the store"
SMALL = {"mode": "prefunded", "walletCount": 1}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """The address of an empty database; "" is SQLite's."""
    return request.getfixturevalue("postgresql").new_database() if request.param == "postgresql" else ""


@pytest.fixture
def server():
    """A PostgreSQL server that the test may kill."""
    server = PostgreSQL()
    yield server
    server.remove()


@pytest.fixture
def archive_of():
    """Return the database of a system, with its tables."""
    engines = []

    def archive_of(system):
        engines.append(connect(system.settings))
        migrate(engines[-1])
        return engines[-1]

    yield archive_of
    for engine in engines:
        engine.dispose()


def archived(engine):
    with engine.connect() as connection:
        return list(connection.scalars(select(JOBS.c.job_id)))


def wait_until_archived(system, engine, job_ids):
    """Wait for the archive of these jobs, and check the criteria."""
    system.wait_for_end(job_ids)

    end_leases(system)
    wait_until(lambda: len(archived(engine)) >= len(job_ids), timeout_s=90)
    wait_until(lambda: not system.client.exists(keys.ENDED))
    check(system, engine, job_ids)


def end_leases(system):
    """Let the time pass for which a dead worker has taken jobs for archiving."""
    for job_id in system.client.zrange(keys.ENDED, 0, -1):
        system.client.zadd(keys.ENDED, {job_id: 0}, xx=True)


def check(system, engine, job_ids):
    assert sorted(archived(engine)) == sorted(job_ids)
    assert list(system.client.scan_iter(keys.UNARCHIVED_PREFIX + "*")) == []
    with engine.connect() as connection:
        stored = {row.job_id: row for row in connection.execute(select(DOCUMENTS))}
    assert sorted(stored) == sorted(job_ids)
    for job_id in job_ids:
        row = stored[job_id]
        events = [*json.loads(unpacked(row.earlier_events)), json.loads(unpacked(row.last_event))]
        assert events == system.events(job_id)
        assert unpacked(row.result) == result_json(system.client.get(keys.meta(job_id)))
        job = system.client.hgetall(keys.job(job_id))
        log = with_resolutions(job, system.client.hgetall(keys.intents(job_id)))
        assert json.loads(unpacked(row.intents)) == {name: json.loads(record) for name, record in log.items()}
        for key in (keys.job, keys.events, keys.meta, keys.intents):
            assert system.client.ttl(key(job_id)) > 0, f"{key(job_id)} does not expire"


@pytest.mark.parametrize("point", ["before_archive", "after_archive"])
def test_jobs_are_archived_once_if_their_worker_dies(build, archive_of, url, point):
    system = build(CTO_ARCHIVE_URL=url)
    engine = archive_of(system)
    doomed = system.worker(CTO_CRASH_AT=point)
    jobs = [system.submit(**SMALL) for _ in range(3)]
    assert doomed.process.wait(30) == -signal.SIGKILL
    assert bool(archived(engine)) == (point == "after_archive")
    assert system.client.zcard(keys.unarchived(keys.ALL_OWNERS)) == 3, "the store keeps the jobs"
    for _ in range(2):
        system.worker()
    wait_until_archived(system, engine, jobs)


def test_no_job_is_lost_or_doubled_if_workers_are_killed(build, archive_of, url):
    chance = random.Random(21)
    system = build(CTO_ARCHIVE_URL=url, CTO_PAPER_LATENCY_MS="0")
    engine = archive_of(system)
    for _ in range(2):
        system.worker()
    jobs = []
    for _ in range(4 * ROUNDS):
        jobs += [system.submit(**SMALL) for _ in range(25)]
        time.sleep(chance.uniform(0.2, 1.5))  # the kill comes at any time of an archiving
        random_worker(system, chance).kill()
        system.worker()
    wait_until_archived(system, engine, jobs)


def test_a_killed_postgresql_server_loses_no_job(build, archive_of, server):
    """It is killed while jobs are written to it, and stays away for a while."""
    chance = random.Random(21)
    system = build(CTO_ARCHIVE_URL=server.new_database(), CTO_PAPER_LATENCY_MS="0")
    engine = archive_of(system)
    worker = system.worker()
    jobs = []
    for number in range(1, 2 * ROUNDS + 1):
        jobs += [system.submit(**SMALL) for _ in range(25)]
        time.sleep(chance.uniform(0.5, 1.5))
        server.kill()
        jobs += [system.submit(**SMALL) for _ in range(5)]
        wait_until(lambda number=number: worker.log.read_text().count(WARNING) >= number)
        system.wait_for_end(jobs)  # operations do not need the archive
        assert system.client.zcard(keys.ENDED) >= 5
        server.start()
        engine.dispose()
        wait_until_archived(system, engine, jobs)
        wait_until(lambda number=number: worker.log.read_text().count("archived again") >= number)


def test_a_locked_sqlite_file_loses_no_job(build, archive_of):
    system = build()
    engine = archive_of(system)
    worker = system.worker()
    with closing(sqlite3.connect(system.settings.archive_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        jobs = [system.submit(**SMALL) for _ in range(5)]
        wait_until(lambda: WARNING in worker.log.read_text())
        system.wait_for_end(jobs)
        assert archived(engine) == []
    wait_until_archived(system, engine, jobs)
    assert worker.log.read_text().count(WARNING) == 1


def test_a_worker_waits_for_a_postgresql_database_without_tables(build, postgresql):
    system = build(CTO_ARCHIVE_URL=postgresql.new_database())
    worker = system.worker()
    job_id = system.submit(**SMALL)
    wait_until(lambda: "run `cto migrate`" in worker.log.read_text())
    system.wait_for_end([job_id])
    done = system.cto("migrate")
    assert done.returncode == 0, done.stderr
    engine = connect(system.settings)
    wait_until_archived(system, engine, [job_id])
    engine.dispose()


def test_a_job_that_needs_review_is_archived_after_an_operator_resolved_it(build, archive_of, url):
    system = build(CTO_ARCHIVE_URL=url, CTO_PAPER_SILENT_RATE="1", CTO_PAPER_TIMEOUT_MS="0")
    engine = archive_of(system)
    system.worker()
    job_id = system.submit(**SMALL)
    system.wait_for_end([job_id])
    listed = json.loads(system.cto("resolve", job_id, "--json").stdout)
    (intent,) = listed["unknownIntents"]
    assert archived(engine) == []
    assert system.client.ttl(keys.job(job_id)) == -1
    resolved = system.cto("resolve", job_id, "--intent", intent["intentId"], "--executed", "--yes")
    assert resolved.returncode == 0, resolved.stderr
    wait_until_archived(system, engine, [job_id])


def test_a_worker_of_this_release_archives_jobs_of_an_earlier_one(build, archive_of, url):
    system = build(CTO_ARCHIVE_URL=url)
    engine = archive_of(system)
    system.worker(CTO_CRASH_AT="before_archive")
    job_id = system.submit(**SMALL)
    wait_until(lambda: not system.workers[0].alive)
    client = system.client  # an earlier release ends a job like this:
    for key in client.scan_iter("cto:unarchived:*"):
        client.delete(key)
    client.delete(keys.ENDED)
    client.delete(keys.RELISTED)
    for key in (keys.job, keys.events, keys.meta, keys.intents):
        client.expire(key(job_id), 7 * 86_400)
    system.worker()
    wait_until_archived(system, engine, [job_id])
    assert client.ttl(keys.job(job_id)) <= 86_400

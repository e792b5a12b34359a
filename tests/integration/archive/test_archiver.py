"""The archiver on both databases: from the end of a job to its expiry in the store, and failures."""

from __future__ import annotations

import logging
from contextlib import suppress
from threading import Thread

import pytest
from sqlalchemy import select, text
from support.waiting import wait_until

from cto_worker.archive.database import connect
from cto_worker.archive.schema_migration import migrate
from cto_worker.archive.tables import DOCUMENTS, JOBS
from cto_worker.config import Settings
from cto_worker.domain.journal_ports import Journal
from cto_worker.errors import ArchiveUnavailableError, OperationFailed
from cto_worker.jobs import archiver
from cto_worker.jobs.archiver import Archiver
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.observability import metric_definitions
from cto_worker.store import ended_jobs, keys
from cto_worker.store.ended_jobs import EndedJobs
from cto_worker.testing.in_memory_market import InMemoryMarket

DAY_MS = 86_400_000


@pytest.fixture
def run(journal, body):
    def run(job_id):
        with suppress(OperationFailed):
            JobRunner(Journal.of(journal), InMemoryMarket()).run_job(job_id, body | {"mode": "prefunded"})

    return run


@pytest.fixture
def make(store, settings, archive_settings):
    """Make an archiver with connections of its own."""
    engines = []

    def make(**changes):
        engines.append(connect(archive_settings))
        return Archiver(EndedJobs(store, settings), engines[-1], Settings(**changes))

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def running(engine, make):
    """Run an archiver in a thread until the test ends, also if it fails."""
    worker = make()
    thread = Thread(target=worker.run)
    thread.start()
    yield
    worker.stop()
    thread.join(30)
    assert not thread.is_alive()


def archived(engine):
    """Return the ids of the archived jobs. Each of them must have its documents."""
    # One statement: an archiver may commit between two.
    query = select(JOBS.c.job_id, DOCUMENTS.c.job_id).outerjoin(DOCUMENTS).order_by(JOBS.c.job_id)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    assert [row for row in rows if row[1] is None] == []
    return [job_id for job_id, _ in rows]


def let_take_again(store):
    for job_id in store.zrange(keys.ENDED, 0, -1):
        store.zincrby(keys.ENDED, -ended_jobs.TAKEN_MS, job_id)


def warnings(caplog):
    return [entry.message for entry in caplog.records if entry.levelno >= logging.WARNING]


def break_table(engine):
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE job_signatures RENAME TO broken"))


def repair_table(engine):
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE broken RENAME TO job_signatures"))


def test_ended_jobs_are_archived_and_expire_a_day_later(engine, make, run, store):
    for job_id in ("j1", "j2"):
        run(job_id)
    counted = metric_definitions.JOBS_ARCHIVED._value.get()
    worker = make()
    assert worker.attempt() == archiver.IDLE_S
    assert archived(engine) == ["j1", "j2"]
    assert store.zcard(keys.unarchived(keys.ALL_OWNERS)) == store.zcard(keys.ENDED) == 0
    assert 0 < store.ttl(keys.job("j1")) <= DAY_MS / 1_000
    assert metric_definitions.JOBS_ARCHIVED._value.get() == counted + 2
    assert worker.attempt() == archiver.IDLE_S


@pytest.mark.parametrize("limit", ["BATCH", "TAKEN_EVENTS"])
def test_a_full_batch_is_followed_by_the_next_one_at_once(engine, make, run, store, monkeypatch, limit):
    for number in range(5):
        run(f"j{number}")
    events = store.xlen(keys.events("j0"))
    for module in ("cto_worker.jobs.archiver", "cto_worker.store.ended_jobs"):
        monkeypatch.setattr(f"{module}.{limit}", 2 if limit == "BATCH" else 2 * events, raising=False)
    worker = make()
    assert [worker.attempt() for _ in range(3)] == [0, 0, archiver.IDLE_S]
    assert len(archived(engine)) == 5


@pytest.mark.usefixtures("running")
def test_a_thread_archives_until_it_is_stopped(engine, run):
    for number in range(3):
        run(f"j{number}")
    wait_until(lambda: len(archived(engine)) == 3)


def test_a_job_that_another_worker_has_written_is_forgotten(engine, make, run, store, settings):
    """The other worker died after its write, and before the store learned of it."""
    run("j1")
    dead = make()
    dead._write(EndedJobs(store, settings).take(1))
    worker = make()
    worker.attempt()
    assert store.ttl(keys.job("j1")) == -1, "the job is still taken"
    let_take_again(store)
    worker.attempt()
    assert archived(engine) == ["j1"]
    assert store.ttl(keys.job("j1")) > 0


def test_a_database_that_fails_loses_nothing_and_is_reported_once(engine, make, run, store, caplog):
    run("j1")
    worker = make()
    worker.attempt()
    break_table(engine)
    caplog.set_level(logging.INFO)
    failures = metric_definitions.ARCHIVE_FAILURES._value.get()
    pauses = []
    for number in range(2, 6):
        run(f"j{number}")
        pauses.append(worker.attempt())
    assert pauses == [1, 2, 4, 8]
    assert metric_definitions.ARCHIVE_FAILURES._value.get() == failures + 4
    assert len(warnings(caplog)) == 1
    assert warnings(caplog)[0].startswith("ended jobs stay in the store: the archive's database fails (")
    assert archived(engine) == ["j1"]
    assert [store.ttl(keys.job(f"j{number}")) for number in range(2, 6)] == [-1] * 4
    repair_table(engine)
    let_take_again(store)
    assert worker.attempt() == archiver.IDLE_S
    assert caplog.messages[-1] == "ended jobs are archived again"
    assert archived(engine) == ["j1", "j2", "j3", "j4", "j5"]


def test_the_pause_between_attempts_is_limited(engine, make, run):
    break_table(engine)
    worker = make()
    for _ in range(12):
        run("j1")
        worker._failures += 100
        worker._jobs._store.zadd(keys.ENDED, {"j1": 0})
        assert worker.attempt() == archiver.MAX_PAUSE_S


def test_a_defective_job_does_not_keep_the_others_out(engine, make, run, store, caplog):
    for job_id in ("j1", "j2", "j3"):
        run(job_id)
    store.hset(keys.job("j2"), "request", b"no JSON")
    worker = make()
    assert worker.attempt() == archiver.IDLE_S
    assert archived(engine) == ["j1", "j3"]
    assert [message.partition(":")[0] for message in warnings(caplog)] == ["job j2 stays in the store"]
    assert store.ttl(keys.job("j2")) == -1
    let_take_again(store)
    worker.attempt()
    run("j4")
    worker.attempt()
    assert archived(engine) == ["j1", "j3", "j4"]


def test_a_job_whose_id_the_archive_has_from_another_job_stays_in_the_store(engine, make, run, store, caplog):
    run("j1")
    worker = make()
    worker.attempt()
    store.delete(keys.job("j1"), keys.events("j1"), keys.intents("j1"), keys.meta("j1"))  # expired
    run("j1")
    store.hincrby(keys.job("j1"), "created", 1)  # it may be the same millisecond
    worker.attempt()
    assert warnings(caplog) == ["job j1 stays in the store: the archive has another job with this id"]
    assert store.ttl(keys.job("j1")) == -1
    assert store.zscore(keys.unarchived("7"), "j1")


def test_a_worker_waits_for_the_schema_of_its_release(empty, make, run, store, caplog):
    run("j1")
    worker = make()
    if empty.dialect.name == "sqlite":
        assert worker.attempt() == archiver.IDLE_S, "SQLite migrates itself"
        assert archived(empty) == ["j1"]
        return
    assert [worker.attempt(), worker.attempt()] == [1, 2]
    assert warnings(caplog) == [
        "ended jobs stay in the store: the archive's database is empty: run `cto migrate`"
    ]
    assert store.zscore(keys.ENDED, "j1") < (store.time()[0] + 1) * 1_000, "taken without a database"
    migrate(empty)
    assert worker.attempt() == archiver.IDLE_S
    assert archived(empty) == ["j1"]


def test_a_later_schema_is_not_written_to(engine, make, run, caplog):
    run("j1")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '99'"))
    worker = make()
    assert worker.attempt() == 1
    assert "upgrade this process" in warnings(caplog)[0]
    assert archived(engine) == []


def test_old_jobs_are_deleted_after_the_configured_days(engine, make, run, monkeypatch):
    monkeypatch.setattr(archiver, "DELETED_AT_ONCE", 2)
    monkeypatch.setattr("cto_worker.archive.job_archive.DELETED_AT_ONCE", 2)
    for number in range(4):
        run(f"j{number}")
    forever = make()
    while forever.attempt() == 0:
        pass
    with engine.begin() as connection:
        connection.execute(
            JOBS.update().where(JOBS.c.job_id != "j3").values(ended_ms=JOBS.c.ended_ms - 5 * DAY_MS)
        )
    forever.attempt()
    assert len(archived(engine)) == 4
    worker = make(archive_days=5)
    assert worker.attempt() == 0, "more than one batch is old"
    assert len(archived(engine)) == 2
    assert worker.attempt() == archiver.IDLE_S
    assert archived(engine) == ["j3"]


def test_statistics_are_updated_at_the_start_and_after_an_interval(engine, make, run, monkeypatch):
    updates = []
    monkeypatch.setattr(archiver, "update_statistics", updates.append)
    worker = make()
    for expected in (1, 1):
        run(f"j{expected}")
        worker.attempt()
        assert len(updates) == expected
    worker._next_statistics_s -= archiver.STATISTICS_INTERVAL_S
    worker.attempt()
    assert len(updates) == 2


def test_statistics_that_fail_do_not_delay_archiving(engine, make, run, monkeypatch):
    def fail(_):
        raise ArchiveUnavailableError("locked")

    monkeypatch.setattr(archiver, "update_statistics", fail)
    worker = make()
    run("j1")
    assert worker.attempt() == 1, "the failure is reported"
    run("j2")
    assert worker.attempt() == archiver.IDLE_S
    assert worker._failures == 0
    assert archived(engine) == ["j1", "j2"]


def test_a_full_disk_keeps_the_jobs_in_the_store(engine, make, run, store, caplog):
    names = [f"j{number:02}" for number in range(40)]
    worker = make()
    worker.attempt()
    fill_disk(worker._engine)
    for job_id in names:
        run(job_id)
    while worker.attempt() == 0:
        pass
    assert "full" in warnings(caplog)[0]
    written = archived(engine)
    assert store.zcard(keys.ENDED) == len(names) - len(written) > 0
    assert all(store.ttl(keys.job(job_id)) == -1 for job_id in set(names) - set(written))
    free_disk(worker._engine)
    let_take_again(store)
    worker.attempt()
    assert archived(engine) == names


def fill_disk(engine):
    """Keep SQLite's file from growing in this engine's connection; let PostgreSQL raise ``disk_full``."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            return
        connection.exec_driver_sql(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'disk full' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER full_disk BEFORE INSERT ON job_documents EXECUTE FUNCTION fail()"
        )


def free_disk(engine):
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        else:
            connection.exec_driver_sql("DROP TRIGGER full_disk ON job_documents")

"""The schema of the archive: migrations, versions, and their agreement with the declared tables."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, text
from support.ended_jobs import ended_job
from support.waiting import assert_stays, wait_until

from cto_worker.archive import audit_archive, database, schema_version
from cto_worker.archive.archive_queries import ArchiveQueries
from cto_worker.archive.database import connected, wait_until_reachable
from cto_worker.archive.job_archive import archive, delete_ended_before
from cto_worker.archive.schema_migration import migrate
from cto_worker.archive.schema_preparation import prepare
from cto_worker.archive.schema_version import check_schema, write_transaction
from cto_worker.archive.tables import METADATA
from cto_worker.config import Settings
from cto_worker.domain.audit_entry import GENESIS, AuditEntry, AuditFilter, link
from cto_worker.domain.progress_event import JobStatus
from cto_worker.errors import ArchiveUnavailableError

NEWEST = schema_version.VERSIONS[-1]


def test_the_migrations_create_the_declared_tables(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_the_known_versions_are_those_of_the_migrations():
    config = Config()
    config.set_main_option("script_location", str(Path(schema_version.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert [script.revision for script in scripts][::-1] == [*schema_version.VERSIONS]


def test_a_migration_can_be_repeated(empty):
    before, after = migrate(empty)
    assert (before, after) == ("", NEWEST)
    assert migrate(empty) == (after, after)
    check_schema(empty)


def test_concurrent_migrations_do_the_work_once(archive_settings, monkeypatch):
    monkeypatch.setattr(database, "BUSY_S", 0)  # as if the first one took longer than SQLite waits
    with ExitStack() as stack, ThreadPoolExecutor(6) as threads:
        engines = [stack.enter_context(connected(archive_settings)) for _ in range(6)]
        results = list(threads.map(migrate, engines))
        assert sorted(results) == [("", NEWEST), *[(NEWEST, NEWEST)] * 5]
        for engine in engines:
            check_schema(engine)


def test_a_connection_waits_for_a_process_that_creates_the_database(tmp_path):
    settings = Settings(data_dir=tmp_path, auth="off")
    with closing(sqlite3.connect(settings.archive_path)) as other, connected(settings) as engine:

        def end_at_wait(statement):
            if statement == "BEGIN IMMEDIATE" and other.in_transaction:
                other.rollback()

        event.listen(
            engine, "connect", lambda connection, _: connection.set_trace_callback(end_at_wait), insert=True
        )
        other.execute("BEGIN IMMEDIATE")
        assert migrate(engine) == ("", NEWEST)
        assert not other.in_transaction


def test_the_wait_for_another_migration_is_limited(tmp_path):
    settings = Settings(data_dir=tmp_path, auth="off")
    with connected(settings) as engine, connected(settings) as other:
        locked = other.execution_options(**{database.EXCLUSIVE: 0}).begin()
        with locked, pytest.raises(ArchiveUnavailableError, match="locked"):
            prepare(engine, wait_s=0.01)
        prepare(engine)
        check_schema(engine)


def test_a_migration_waits_for_a_database_that_starts(postgresql):
    url, attempts = postgresql.new_database(), []
    with ThreadPoolExecutor(1) as threads, connected(Settings(archive_url=url, auth="off")) as engine:
        event.listen(engine, "do_connect", lambda *_: attempts.append(None))
        postgresql.stop()
        try:
            waiting = threads.submit(wait_until_reachable, engine, 60)
            wait_until(lambda: attempts)
        finally:
            postgresql.start()
        waiting.result()
        assert len(attempts) > 1
        migrate(engine)


def test_a_failed_migration_changes_nothing(empty, monkeypatch):
    monkeypatch.setattr("alembic.op.create_index", fail_after(5))
    with pytest.raises(ZeroDivisionError):
        migrate(empty)
    monkeypatch.undo()
    assert migrate(empty) == ("", NEWEST)


def test_an_empty_database_is_reported(empty):
    for check in (check_schema, lambda engine: archive(engine, [ended_job("a", 0)])):
        with pytest.raises(ArchiveUnavailableError, match="is empty: run `cto migrate`"):
            check(empty)


def test_the_schema_of_a_later_release_is_reported_and_not_changed(engine):
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '99'"))
    for call in (check_schema, migrate):
        with pytest.raises(ArchiveUnavailableError, match=r"version 99.*upgrade this process"):
            call(engine)


def test_nothing_is_written_in_another_schema(engine):
    """During an upgrade, workers of the earlier release run beside the new schema."""
    content = json.dumps({"at": 0, "actor": "a", "action": "x", "jobId": None})
    archive(engine, [ended_job("a", 0)])
    for version in (schema_version.VERSIONS[-2], "99"):
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{version}'"))
        for write in (
            lambda: archive(engine, [ended_job("b", 0)]),
            lambda: delete_ended_before(engine, 10**15),
            lambda: audit_archive.archive(engine, [AuditEntry(1, content, GENESIS, link(GENESIS, content))]),
        ):
            with pytest.raises(ArchiveUnavailableError, match=f"version {version}"):
                write()
    assert ArchiveQueries(engine).statuses(["a", "b"]) == {"a": JobStatus.COMPLETED}
    assert audit_archive.page(engine, AuditFilter(), 10) == []


def test_a_migration_waits_for_a_transaction_that_writes(engine):
    done = []
    with ThreadPoolExecutor(1) as threads:
        with write_transaction(engine):
            migration = threads.submit(lambda: (migrate(engine), done.append("migrated")))
            assert_stays(lambda: not migration.done(), 0.5)
            done.append("written")
        migration.result()
    assert done == ["written", "migrated"]


def test_only_sqlite_is_migrated_at_start(empty):
    prepare(empty)
    if empty.dialect.name == "sqlite":
        check_schema(empty)
    else:
        with pytest.raises(ArchiveUnavailableError):
            check_schema(empty)


def fail_after(calls):
    left = iter(range(calls))

    def fail(*_, **__):
        if next(left, None) is None:
            raise ZeroDivisionError

    return fail

"""The audit log in the store and on both databases: archiving, pages, and the verification of the chain."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text
from support.cases import check_all

from cto_worker.archive.archive_queries import ArchiveQueries
from cto_worker.archive.audit_archive import newest, oldest_first
from cto_worker.archive.database import connect
from cto_worker.config import Settings
from cto_worker.domain.audit_entry import Actor, AuditFilter, Change, link
from cto_worker.errors import ArchiveUnavailableError
from cto_worker.jobs.archiver import Archiver
from cto_worker.jobs.audit_archiver import AuditArchiver, continue_chain
from cto_worker.jobs.audit_pages import page
from cto_worker.jobs.audit_verification import verify
from cto_worker.store import audit_stream, keys
from cto_worker.store.ended_jobs import EndedJobs

ALL = AuditFilter()


@pytest.fixture
def enter(store):
    """Append entries of the users ``a`` and ``b`` in turn."""

    def enter(count=1, **fields):
        for _ in range(count):
            number = audit_stream.head(store)[0] + 1
            actor = Actor("ab"[number % 2], "admin", "192.0.2.7")
            values = {"action": "job.cancel", "job_id": f"j{number}", "before": {"é": "\0"}} | fields
            audit_stream.append(store, Change(actor=actor, **values), 0)

    return enter


@pytest.fixture
def archive(store, engine):
    return lambda: AuditArchiver(store, engine, 0).archive_batch()


def archived(engine):
    return [each.entry for each in oldest_first(engine)]


def numbers(entries):
    return [entry.number for entry in entries]


def test_entries_move_to_the_archive_in_order(store, engine, enter, archive):
    enter(3)
    expected = list(audit_stream.newest_first(store))[::-1]
    assert archive()
    assert archived(engine) == expected
    assert newest(engine) == expected[-1]
    assert list(audit_stream.newest_first(store)) == []
    assert not archive(), "there are no more"
    enter()
    assert archive()
    assert numbers(archived(engine)) == [1, 2, 3, 4]
    assert verify(store, engine).problems == []


def test_an_entry_that_is_moved_again_stays_as_it_is(store, engine, enter, archive):
    enter(2)
    rows = store.xrange(keys.AUDIT)
    archive()
    before = archived(engine)
    for entry_id, fields in rows:  # as if the archiver had died before it removed them
        store.execute_command("XSETID", keys.AUDIT, "0-0")
        store.delete(keys.AUDIT)
        store.xadd(keys.AUDIT, fields, id=entry_id)
        archive()
    assert archived(engine) == before


def test_the_archiver_of_jobs_moves_entries_also_without_jobs(store, engine, enter, archive_settings):
    enter(2)
    archiver = Archiver(
        EndedJobs(store, archive_settings), engine, archive_settings, AuditArchiver(store, engine, 0)
    )
    archiver.archive_batch()
    assert numbers(archived(engine)) == [1, 2]


def test_entries_wait_in_the_store_while_the_database_is_away(store, engine, enter, tmp_path_factory):
    away = connect(Settings(archive_url="postgresql://127.0.0.1:1/none"))
    enter(2)
    with pytest.raises(ArchiveUnavailableError):
        AuditArchiver(store, away, 0).archive_batch()
    enter()
    assert page(store, ArchiveQueries(away), ALL, 2).next_after.number == 2, "the store has enough entries"
    with pytest.raises(ArchiveUnavailableError):
        page(store, ArchiveQueries(away), ALL, 3)
    AuditArchiver(store, engine, 0).archive_batch()
    assert numbers(archived(engine)) == [1, 2, 3]


@pytest.mark.parametrize("moved", [0, 4, 7])
def test_pages_have_every_entry_once(store, engine, enter, archive, moved):
    enter(moved)
    if moved:
        archive()
    enter(7 - moved)
    found, after = [], None
    while not found or after:
        part = page(store, ArchiveQueries(engine), ALL, 3, after)
        found, after = found + part.entries, part.next_after
    assert numbers(found) == [7, 6, 5, 4, 3, 2, 1]


def test_pages_are_filtered_in_the_store_and_in_the_archive(store, engine, enter, archive):
    enter(3)
    enter(1, action="token.revoke", job_id="")
    archive()
    enter(2)
    enter(1, action="token.revoke", job_id="")
    times = {entry.number: entry.fields["at"] for entry in archived(engine)}
    cases = {
        (7, 5, 3, 1): AuditFilter(actor="b"),
        (7, 4): AuditFilter(action="token.revoke"),
        (6,): AuditFilter(job_id="j6"),
        (2,): AuditFilter(job_id="j2", actor="a", action="job.cancel"),
        (): AuditFilter(actor="c"),
        (7, 6, 5, 4, 3, 2, 1): AuditFilter(from_ms=times[1]),
    }
    for expected, wanted in cases.items():
        assert tuple(numbers(page(store, ArchiveQueries(engine), wanted, 9).entries)) == expected, wanted
    before = page(store, ArchiveQueries(engine), AuditFilter(to_ms=times[3]), 9).entries
    assert numbers(before) == [n for n in (2, 1) if times[n] < times[3]]
    assert page(store, ArchiveQueries(engine), AuditFilter(to_ms=0), 9).entries == []


def test_a_restored_store_continues_the_chain_of_the_archive(store, engine, enter, archive):
    enter(2)
    backup = {key: store.dump(key) for key in (keys.AUDIT, keys.AUDIT_HEAD)}
    enter(3)
    archive()
    for key, value in backup.items():
        store.restore(key, 0, value, replace=True)
    continue_chain(store, engine)
    enter(2)
    result = verify(store, engine)
    assert result.problems == []
    assert (result.number, audit_stream.head(store)[0]) == (7, 7)
    archive()
    assert numbers(archived(engine)) == [1, 2, 3, 4, 5, 6, 7]


def test_numbers_that_a_restored_store_used_twice_are_kept_and_found(store, engine, enter, archive):
    enter(3)
    archive()
    store.delete(keys.AUDIT, keys.AUDIT_HEAD)
    enter(2)
    problems = verify(store, engine).problems
    assert [problem.partition(":")[0] for problem in problems] == [
        "entry 1 exists twice",
        "entry 2 exists twice",
    ]
    archive()
    assert sorted(numbers(archived(engine))) == [1, 1, 2, 2, 3]


def damage_row(statement):
    """Return a function that damages entry 3 in the archive."""

    def damage(engine):
        with engine.begin() as connection:
            changed = connection.execute(text(f"{statement} WHERE number = 3"))
            assert changed.rowcount == 1

    return damage


def forge_row(engine):
    """Replace entry 3 in the archive by one with a valid hash."""
    third = archived(engine)[2]
    content = third.content.replace('"actor":"b"', '"actor":"z"')
    assert content != third.content
    values = {"content": content, "hash": link(third.previous, content), "actor": "z"}
    with engine.begin() as connection:
        statement = (
            "UPDATE audit_entries SET content = :content, hash = :hash, actor = :actor WHERE number = 3"
        )
        connection.execute(text(statement), values)


IN_ARCHIVE = {
    "content": (
        damage_row("UPDATE audit_entries SET content = replace(content, 'j3', 'j8')"),
        ["entry 3 was modified in the archive"],
    ),
    "a column": (
        damage_row("UPDATE audit_entries SET actor = 'z'"),
        ["entry 3 was modified in the archive"],
    ),
    "the hash": (
        damage_row("UPDATE audit_entries SET hash = repeat('0', 64)"),
        ["entry 3 was modified in the archive"],
    ),
    "the previous hash": (
        damage_row("UPDATE audit_entries SET previous = 'nonsense'"),
        ["entry 3 was modified in the archive"],
    ),
    "no JSON": (
        damage_row("UPDATE audit_entries SET content = 'nonsense'"),
        ["entry 3 was modified in the archive"],
    ),
    "deleted": (damage_row("DELETE FROM audit_entries"), ["entry 3 is missing"]),
    "replaced": (forge_row, ["entry 3 was replaced: entry 4 contains the hash of a different entry"]),
}


def test_the_verification_names_the_entry_that_was_damaged_in_the_archive(store, engine, enter, archive):
    def check(damage, expected):
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM audit_entries"))
        store.delete(keys.AUDIT, keys.AUDIT_HEAD)
        enter(5)
        archive()
        enter(2)
        assert verify(store, engine).problems == []
        damage(engine)
        assert verify(store, engine).problems == expected

    cases = dict(IN_ARCHIVE)
    if engine.dialect.name == "sqlite":  # which has no function `repeat`
        zeros = "0" * 64
        cases["the hash"] = (damage_row(f"UPDATE audit_entries SET hash = '{zeros}'"), cases["the hash"][1])
    check_all(list(cases.items()), check)


def test_the_verification_names_the_entry_that_was_damaged_in_the_store(store, engine, enter):
    def replace(number, **changes):
        """Write the stream again, with one entry changed; without changes, without the entry."""
        rows = store.xrange(keys.AUDIT)
        store.delete(keys.AUDIT)
        for entry_id, fields in rows:
            if entry_id != f"{number}-0".encode():
                store.xadd(keys.AUDIT, fields, id=entry_id)
            elif changes:
                store.xadd(
                    keys.AUDIT,
                    fields | {name.encode(): value for name, value in changes.items()},
                    id=entry_id,
                )

    def check(number, changes, expected):
        store.delete(keys.AUDIT, keys.AUDIT_HEAD)
        enter(5)
        assert verify(store, engine).problems == []
        replace(number, **changes)
        assert verify(store, engine).problems == expected

    content = json.dumps({"at": 1, "actor": "z", "action": "x", "jobId": None})
    check_all(
        [
            ("content", (3, {"content": content}, ["entry 3 was modified in the store"])),
            ("hash", (3, {"hash": "0" * 64}, ["entry 3 was modified in the store"])),
            ("previous", (3, {"previous": "0" * 64}, ["entry 3 was modified in the store"])),
            ("no JSON", (3, {"content": b"\xff"}, ["entry 3 was modified in the store"])),
            ("deleted", (3, {}, ["entry 3 is missing"])),
            ("the first", (1, {}, ["entry 1 is missing"])),
            ("the last", (5, {}, ["entry 5 is missing"])),
        ],
        check,
    )


def test_all_entries_at_the_end_are_missed(store, engine, enter):
    enter(5)
    store.xtrim(keys.AUDIT, maxlen=0)
    assert verify(store, engine).problems == ["entries 1 to 5 are missing"]


def test_an_empty_log_is_intact(store, engine):
    result = verify(store, engine)
    assert (result.problems, result.archived, result.stored, result.number) == ([], 0, 0, 0)

"""Pages of the archived audit log by time, on both databases: complete, and without a scan of the log."""

from __future__ import annotations

import json
import random
import re
from itertools import product

import pytest
from sqlalchemy import select, text
from support.query_plans import plan

from cto_worker.archive.audit_archive import archive, page, page_query
from cto_worker.archive.schema_migration import migrate
from cto_worker.archive.tables import AUDIT, AUDIT_DAYS, PERIOD_TOTALS
from cto_worker.domain.audit_entry import GENESIS, AuditEntry, AuditFilter, link

DAY_MS = 86_400_000


def entry(number, at_ms):
    content = json.dumps({"at": at_ms, "actor": "ab"[number % 2], "action": "x", "jobId": None})
    return AuditEntry(number, content, GENESIS, link(GENESIS, content))


@pytest.fixture
def entries():
    """Entries of five days, whose times only roughly have the order of their numbers; some numbers twice."""
    chance = random.Random(1)
    times = sorted(chance.randrange(5 * DAY_MS) for _ in range(200))
    times[50], times[150] = times[150], times[50]  # a clock that was wrong by days
    times[100] = 2 * DAY_MS
    entries = [entry(number, at_ms + chance.randrange(60_000)) for number, at_ms in enumerate(times, 1)]
    return entries + [entry(number, 5 * DAY_MS + number) for number in range(190, 199)]


def test_pages_by_time_have_every_entry_once(engine, entries):
    for batch in (entries[:120], entries[110:]):  # some are moved again
        archive(engine, batch)
    days = (0, 0.5, 1, 2, 3, 4.5, 5, 9)
    times = (1, 2 * DAY_MS + 1, 3 * DAY_MS - 1, 5 * DAY_MS + 195, *(int(day * DAY_MS) for day in days))
    for from_ms, to_ms, actor in product(times, (None, *times), ("", "a")):
        wanted = AuditFilter(actor=actor, from_ms=from_ms, to_ms=to_ms)
        expected = sorted(filter(wanted.matches, entries), key=lambda each: each.position, reverse=True)
        found = []
        while part := page(engine, wanted, 40, found[-1].position if found else None):
            found += part
        assert found == expected, wanted


def test_a_page_by_time_reads_a_range_of_numbers(engine):
    rows = [  # enough for the planner to prefer an index
        dict.fromkeys(("hash", "previous", "content", "action"), "x")
        | {"number": number, "at_ms": number * 10_000, "actor": "ab"[number % 2]}
        for number in range(20_000)
    ]
    with engine.begin() as connection:
        connection.execute(AUDIT.insert(), rows)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    bounds = {"from_ms": r"number ?>=? ?", "to_ms": r"number ?<=? ?"}
    for given in (["from_ms"], ["to_ms"], ["from_ms", "to_ms"]):
        for actor in ("", "a"):
            wanted = AuditFilter(actor=actor, **dict.fromkeys(given, DAY_MS))
            found = plan(engine, page_query(wanted, 51))
            conditions = "\n".join(re.findall(r"SEARCH audit_entries .*|Index Cond: .*", found))
            assert all(re.search(bounds[name], conditions) for name in given), (wanted, found)


def test_entries_of_an_earlier_release_are_found(engine, entries):
    archive(engine, entries)
    with engine.begin() as connection:
        expected = connection.execute(select(AUDIT_DAYS).order_by(AUDIT_DAYS.c.day)).all()
        for table in (AUDIT_DAYS, PERIOD_TOTALS):
            table.drop(connection)
        connection.execute(text("DROP INDEX jobs_by_user_id_and_status"))
        connection.execute(text("CREATE INDEX audit_by_time ON audit_entries (at_ms)"))
        connection.execute(text("UPDATE alembic_version SET version_num = '2'"))
    assert migrate(engine)[0] == "2"
    with engine.connect() as connection:
        assert connection.execute(select(AUDIT_DAYS).order_by(AUDIT_DAYS.c.day)).all() == expected


def test_an_entry_with_a_modified_time_is_archived(engine):
    modified = [entry(number, at_ms) for number, at_ms in enumerate((-1, "x", None, 10**30, 1.5, True), 1)]
    archive(engine, modified)
    assert page(engine, AuditFilter(), 10) == modified[::-1]

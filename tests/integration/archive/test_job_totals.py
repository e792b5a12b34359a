"""The stored totals: equal to those of the jobs, after every write and deletion, on both databases."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from sqlalchemy import func, select, text
from support.ended_jobs import ended_job

from cto_worker.archive.archive_queries import ArchiveQueries
from cto_worker.archive.job_archive import archive, delete_ended_before
from cto_worker.archive.job_totals import DAY_MS, PERIOD_MS
from cto_worker.archive.schema_migration import migrate
from cto_worker.archive.tables import DAY_TOTALS, PERIOD_TOTALS
from cto_worker.domain.job_filter import JobFilter, Totals
from cto_worker.domain.progress_event import JobStatus, Mode, Status
from cto_worker.domain.purchase_outcome import PurchaseOutcome

FILTERS = [
    {},
    {"status": JobStatus.FAILED},
    {"outcome": PurchaseOutcome.PARTIAL},
    {"error_code": "e1"},
    {"mode": Mode.PREFUNDED, "platform": "bonk"},
    {"user_id": "u1"},
]
# Around the borders of days: whole days, parts of days, within one day, nothing.
RANGES = [
    (None, None),
    (DAY_MS, 3 * DAY_MS),
    (DAY_MS - 1, 3 * DAY_MS + 1),
    (DAY_MS + 1, 3 * DAY_MS - 1),
    (DAY_MS + 5, DAY_MS + DAY_MS // 2),
    (DAY_MS // 2, DAY_MS + DAY_MS // 2),
    (None, 2 * DAY_MS + 7),
    (2 * DAY_MS + 7, None),
    (3 * DAY_MS, DAY_MS),
    # Around the borders of periods: whole periods, with days before and after, and with parts of days.
    (PERIOD_MS, 3 * PERIOD_MS),
    (PERIOD_MS - DAY_MS, 3 * PERIOD_MS + DAY_MS),
    (PERIOD_MS + DAY_MS, 2 * PERIOD_MS),
    (PERIOD_MS - 1, 2 * PERIOD_MS + 1),
    (PERIOD_MS + 1, None),
    (None, 2 * PERIOD_MS - 1),
]


@pytest.fixture
def jobs():
    """Jobs of five days and of four periods, some of them at the borders."""
    chance = random.Random(1)
    times = [day * DAY_MS + offset for day in range(5) for offset in (0, 1, DAY_MS - 1)]
    times += [chance.randrange(5 * DAY_MS) for _ in range(60)]
    borders = [PERIOD_MS * period + offset for period in (1, 2, 3) for offset in (-DAY_MS, -1, 0, DAY_MS)]
    times += [*borders, *(chance.randrange(4 * PERIOD_MS) for _ in range(30))]
    return [
        ended_job(
            f"j{number}",
            created_ms,
            status=(Status.COMPLETED, Status.FAILED)[number % 2],
            outcome=(None, *PurchaseOutcome)[number % 5],
            error_code=f"e{number % 3}" if number % 2 else None,
            mode=list(Mode)[number % 2],
            platform=("bonk", "raydium")[number % 2],
            user_id=f"u{number % 2}",
            successful_buys=number,
            failed_buys=1,
            total_spent=number / 10**9,
        )
        for number, created_ms in enumerate(times)
    ]


def counted(queries, wanted, without=()):
    """Return the totals of the jobs that a list of all jobs has."""
    totals = Totals(Counter(), Counter())
    for job in queries.page(wanted, 1_000):
        if job.job_id not in without:
            totals.add(job)
    return totals


def check(engine):
    queries, without = ArchiveQueries(engine), ["j1", "j2", "j30", "unknown"]
    for fields, (from_ms, to_ms), left_out in product(FILTERS, RANGES, ((), without)):
        wanted = JobFilter(**fields, from_ms=from_ms, to_ms=to_ms)
        found, expected = queries.totals(wanted, left_out), counted(queries, wanted, left_out)
        for totals in (found, expected):
            totals.by_status, totals.by_outcome = +totals.by_status, +totals.by_outcome  # without zeros
        assert found == expected, (wanted, left_out)


def stored_jobs(engine):
    """Return the numbers of jobs in both tables of totals."""
    with engine.connect() as connection:
        return [
            connection.scalar(select(func.sum(table.c.jobs))) or 0 for table in (DAY_TOTALS, PERIOD_TOTALS)
        ]


def test_totals_are_those_of_the_jobs_after_every_write(engine, jobs):
    archive(engine, jobs[:40])
    archive(engine, jobs[30:])  # the archive has some of them already
    check(engine)
    assert stored_jobs(engine) == [len(jobs)] * 2


def test_deleted_jobs_are_subtracted(engine, jobs):
    archive(engine, jobs)
    assert delete_ended_before(engine, 2 * DAY_MS + 999) > 0
    check(engine)
    delete_ended_before(engine, 5 * PERIOD_MS)
    assert stored_jobs(engine) == [0] * 2
    assert ArchiveQueries(engine).totals(JobFilter()).total == 0


def test_concurrent_writers_count_each_job_once(engine, jobs):
    with ThreadPoolExecutor(2) as threads:
        batches = [jobs[:50], jobs[::-1], jobs[20:60], jobs]
        list(threads.map(lambda batch: archive(engine, batch), batches))
    check(engine)


def test_a_migration_fills_the_totals_of_periods(engine, jobs):
    archive(engine, jobs)
    with engine.begin() as connection:
        PERIOD_TOTALS.drop(connection)
        connection.execute(text("DROP INDEX jobs_by_user_id_and_status"))
        connection.execute(text("UPDATE alembic_version SET version_num = '3'"))
    migrate(engine)
    check(engine)
    assert stored_jobs(engine) == [len(jobs)] * 2

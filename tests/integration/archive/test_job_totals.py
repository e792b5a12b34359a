"""The totals by day: equal to those of the jobs, after every write and deletion, on both databases."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from sqlalchemy import func, select
from support.ended_jobs import ended_job

from cto_worker.archive.archive_queries import ArchiveQueries
from cto_worker.archive.job_archive import archive, delete_ended_before
from cto_worker.archive.job_totals import DAY_MS
from cto_worker.archive.tables import TOTALS
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
]


@pytest.fixture
def jobs():
    """Jobs of five days, some of them at the borders."""
    chance = random.Random(1)
    times = [day * DAY_MS + offset for day in range(5) for offset in (0, 1, DAY_MS - 1)]
    times += [chance.randrange(5 * DAY_MS) for _ in range(60)]
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


def test_totals_are_those_of_the_jobs_after_every_write(engine, jobs):
    archive(engine, jobs[:40])
    archive(engine, jobs[30:])  # the archive has some of them already
    check(engine)
    with engine.connect() as connection:
        assert connection.scalar(select(func.sum(TOTALS.c.jobs))) == len(jobs)


def test_deleted_jobs_are_subtracted(engine, jobs):
    archive(engine, jobs)
    assert delete_ended_before(engine, 2 * DAY_MS + 999) > 0
    check(engine)
    delete_ended_before(engine, 100 * DAY_MS)
    with engine.connect() as connection:
        assert connection.scalar(select(func.sum(TOTALS.c.jobs))) in (None, 0)
    assert ArchiveQueries(engine).totals(JobFilter()).total == 0


def test_concurrent_writers_count_each_job_once(engine, jobs):
    with ThreadPoolExecutor(2) as threads:
        batches = [jobs[:50], jobs[::-1], jobs[20:60], jobs]
        list(threads.map(lambda batch: archive(engine, batch), batches))
    check(engine)

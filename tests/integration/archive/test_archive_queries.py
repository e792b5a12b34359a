"""Queries of the archive, on both databases."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest
from sqlalchemy import select, text
from support.ended_jobs import ended_job
from support.query_plans import plan

from cto_worker.archive import archive_queries
from cto_worker.archive.archive_queries import ArchiveQueries
from cto_worker.archive.database import SQLITE, connected, update_statistics
from cto_worker.archive.job_archive import archive
from cto_worker.archive.tables import (
    DAY_TOTALS,
    DOCUMENTS,
    JOBS,
    METADATA,
    PERIOD_TOTALS,
    SIGNATURES,
    WALLETS,
)
from cto_worker.domain.job_filter import JobFilter
from cto_worker.domain.job_summary import JobPosition
from cto_worker.domain.progress_event import JobStatus, Mode, Status
from cto_worker.domain.purchase_outcome import PurchaseOutcome
from cto_worker.errors import ArchiveUnavailableError

ALL = JobFilter()


@pytest.fixture
def queries(engine):
    return ArchiveQueries(engine)


def ids(jobs):
    return [job.job_id for job in jobs]


def pages(queries, wanted, limit):
    """Return the ids of all pages."""
    found, after = [], None
    while page := queries.page(wanted, limit, after):
        found.append(ids(page))
        after = page[-1].position
    return found


def test_a_job_has_the_bytes_that_were_archived(engine, queries):
    job = ended_job(successful_buys=3)
    archive(engine, [job])
    found = queries.job("j1")
    assert (found.job_id, found.user_id, found.status) == ("j1", "7", JobStatus.COMPLETED)
    assert (found.events, found.result_json) == (job.events, job.result)
    assert queries.job("j2") is None


def test_pages_are_newest_first_and_have_no_gap_at_equal_times(engine, queries):
    jobs = [ended_job(job_id, created) for created in (1, 2, 3) for job_id in (f"B{created}", f"a{created}")]
    jobs += [ended_job(f"_{number}", 2) for number in range(5)]
    random.shuffle(jobs)
    archive(engine, jobs)
    expected = [
        job.job_id for job in sorted(jobs, key=lambda job: (job.created_ms, job.job_id), reverse=True)
    ]
    for limit in (1, 2, 3, 11, 20):
        found = pages(queries, ALL, limit)
        assert [job_id for page in found for job_id in page] == expected, limit
        assert all(len(page) == limit for page in found[:-1]), limit


def test_a_summary_has_the_last_event(engine, queries):
    job = ended_job(created_ms=77)
    archive(engine, [job])
    (found,) = queries.page(ALL, 5)
    assert (found.event, found.created_ms, found.needs_review) == (job.events[-1], 77, False)
    assert found.status is JobStatus.COMPLETED


# One filter, and the changes of a job that matches it. The other job of each case differs in these only.
CASES = [
    (JobFilter(status=JobStatus.FAILED), {"status": Status.FAILED}, {}),
    (JobFilter(outcome=PurchaseOutcome.PARTIAL), {"outcome": PurchaseOutcome.PARTIAL}, {}),
    (JobFilter(user_id="8"), {"user_id": "8"}, {}),
    (JobFilter(token_address="T"), {"token_address": "T"}, {"token_address": "t"}),
    (JobFilter(wallet="W"), {"wallets": ("v", "W")}, {"wallets": ("v", "w")}),
    (JobFilter(signature="S"), {"signatures": ("r", "S")}, {"signatures": ("r", "s")}),
    (JobFilter(error_code="cancelled"), {"error_code": "cancelled"}, {"error_code": "other"}),
    (JobFilter(mode=Mode.PREFUNDED), {"mode": Mode.PREFUNDED}, {}),
    (JobFilter(platform="bonk"), {"platform": "bonk"}, {"platform": "raydium"}),
    (JobFilter(from_ms=5), {"created_ms": 5}, {"created_ms": 4}),
    (JobFilter(to_ms=5), {"created_ms": 4}, {"created_ms": 5}),
    (JobFilter(wallet="W", from_ms=5), {"wallets": ("W",), "created_ms": 5}, {"wallets": ("W",)}),
    (JobFilter(signature="S", user_id="8"), {"signatures": ("S",), "user_id": "8"}, {"signatures": ("S",)}),
    (JobFilter(wallet="W", signature="S"), {"wallets": ("W",), "signatures": ("S",)}, {"wallets": ("W",)}),
]


def test_each_filter_selects_the_same_jobs_in_sql_and_in_python(engine, queries):
    for number, (wanted, matching, other) in enumerate(CASES):
        jobs = [ended_job(f"yes{number}", **{"created_ms": 1} | matching)]
        jobs.append(ended_job(f"no{number}", **{"created_ms": 1} | other))
        with engine.begin() as connection:
            connection.execute(JOBS.delete())
            for table in (DAY_TOTALS, PERIOD_TOTALS):
                connection.execute(table.delete())
        archive(engine, jobs)
        found = queries.page(wanted, 10)
        assert ids(found) == [f"yes{number}"], wanted
        assert queries.totals(wanted).total == 1, wanted
        documents = {job.job_id: job for job in jobs}
        listed = queries.page(ALL, 10)
        assert [
            summary.job_id
            for summary in listed
            if wanted.matches(summary, documents[summary.job_id].request, documents[summary.job_id].intents)
        ] == [f"yes{number}"], wanted


def test_pages_of_a_wallet_continue_after_a_position(engine, queries):
    archive(engine, [ended_job(f"j{number}", number // 2, wallets=("w", "v")) for number in range(9)])
    archive(engine, [ended_job("other", 3, wallets=("v",))])
    wanted = JobFilter(wallet="w", to_ms=4)
    assert pages(queries, wanted, 3) == [["j7", "j6", "j5"], ["j4", "j3", "j2"], ["j1", "j0"]]
    assert ids(queries.page(wanted, 3, JobPosition(2, "j4a"))) == ["j4", "j3", "j2"]


def test_totals_of_a_selection(engine, queries):
    archive(
        engine,
        [
            ended_job("a", outcome=PurchaseOutcome.FULL, successful_buys=2, total_spent=0.123456789),
            ended_job("b", outcome=PurchaseOutcome.PARTIAL, successful_buys=1, failed_buys=3, total_spent=1),
            ended_job("c", status=Status.FAILED, outcome=PurchaseOutcome.NONE, failed_buys=2, user_id="8"),
            ended_job("d"),  # an earlier release: no counts, so no outcome
        ],
    )
    totals = queries.totals(ALL)
    assert totals.total == 4
    assert totals.by_status == {"completed": 3, "failed": 1}
    assert totals.by_outcome == {"full": 1, "partial": 1, "none": 1}
    assert (totals.successful_buys, totals.failed_buys, totals.spent_lamports) == (3, 5, 1_123_456_789)
    assert +queries.totals(ALL, without=["a", "c", "unknown"]).by_status == {"completed": 2}
    assert queries.totals(JobFilter(user_id="8")).failed_buys == 2
    assert queries.totals(JobFilter(user_id="9")).total == 0


def test_totals_leave_out_more_jobs_than_a_statement_may_have_parameters(engine, queries):
    archive(engine, [ended_job("a"), ended_job("b")])
    assert queries.totals(ALL, without=["a", *(f"x{number}" for number in range(100_000))]).total == 1


def test_statuses_of_several_jobs(engine, queries):
    archive(engine, [ended_job("a"), ended_job("b", status=Status.FAILED), ended_job("c", user_id="8")])
    asked = ["a", "b", "c", *(f"x{number}" for number in range(500))]
    assert queries.statuses(asked) == {"a": "completed", "b": "failed", "c": "completed"}
    assert queries.statuses(asked, user_id="8") == {"c": "completed"}
    assert queries.statuses([]) == {}


def test_a_database_without_tables_is_reported(empty):
    for call in (
        lambda queries: queries.page(ALL, 1),
        lambda queries: queries.totals(ALL),
        lambda queries: queries.job("j1"),
        lambda queries: queries.statuses(["j1"]),
    ):
        with pytest.raises(ArchiveUnavailableError):
            call(ArchiveQueries(empty))


# --- plans of execution ------------------------------------------------------------------------------------

ROWS = 20_000


@pytest.fixture(scope="module")
def filled(shared_engine):
    """An archive that is large enough for the planner to prefer indexes, where they help."""
    jobs = [
        {
            "job_id": f"j{number:06}",
            "user_id": f"u{number % 500}",
            "token_address": f"t{number % 300}",
            "mode": ("standard", "prefunded")[number % 2],
            "platform": ("pumpfun", "bonk", "raydium")[number % 3],
            "status": ("completed", "failed")[number % 10 == 0],
            "outcome": ("full", "partial", "none", "unknown")[number % 4],
            "error_code": f"e{number % 20}" if number % 10 == 0 else None,
            **dict.fromkeys(("buy_lamports", "spent_lamports", "successful_buys", "failed_buys"), number),
            "created_ms": number // 3,
            "ended_ms": number,
        }
        for number in range(ROWS)
    ]
    wallets = [
        {"job_id": job["job_id"], "wallet": f"w{number % 20}", "created_ms": job["created_ms"]}
        for number, job in enumerate(jobs)
    ]
    signatures = [{"job_id": job["job_id"], "signature": f"s{job['job_id']}"} for job in jobs]
    documents = [
        dict.fromkeys(DOCUMENTS.columns.keys(), b"x" * 200) | {"job_id": job["job_id"]} for job in jobs
    ]
    tables = {JOBS: jobs, WALLETS: wallets, SIGNATURES: signatures, DOCUMENTS: documents}
    with shared_engine.begin() as connection:
        for table, rows in tables.items():
            connection.execute(table.insert(), rows)
    if shared_engine.dialect.name == SQLITE:
        update_statistics(shared_engine)
    else:  # as its autovacuum does
        with shared_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
    return shared_engine


FILTERS = [
    JobFilter(),
    JobFilter(status=JobStatus.FAILED),
    JobFilter(outcome=PurchaseOutcome.PARTIAL),
    JobFilter(user_id="u7"),
    JobFilter(token_address="t7"),
    JobFilter(wallet="w7"),
    JobFilter(signature="sj000007"),
    JobFilter(error_code="e0"),
    JobFilter(mode=Mode.STANDARD),
    JobFilter(platform="bonk"),
    JobFilter(from_ms=1_000, to_ms=2_000),
    JobFilter(user_id="u7", status=JobStatus.COMPLETED, from_ms=1_000),
    JobFilter(wallet="w7", status=JobStatus.COMPLETED, to_ms=5_000),
]


@pytest.mark.parametrize("after", [None, JobPosition(4_000, "j012000")])
def test_each_page_reads_its_index_in_the_order_of_the_list(filled, after):
    for wanted in FILTERS:
        found = plan(filled, archive_queries.page_query(wanted, 21, after))
        assert tables_read_whole(found) == set(), (wanted, found)
        # A page is sorted again when its documents are added, and so are the few jobs of a signature.
        sorts = 1 if wanted.signature is None else 2
        assert len(re.findall("TEMP B-TREE|Sort Key", found)) <= sorts, (wanted, found)


def tables_read_whole(found):
    """Return the tables that a plan reads without an index. A page itself may be read so: it has 21 rows."""
    names = {table.name for table in METADATA.sorted_tables}
    scans = re.findall(r"SCAN (\w+)$|Seq Scan on (\w+)", found, re.MULTILINE)
    return names & {name for pair in scans for name in pair}


def test_a_page_of_a_user_does_not_read_all_jobs_of_a_status(filled):
    for field in (
        {"status": JobStatus.FAILED},
        {"outcome": PurchaseOutcome.PARTIAL},
        {"mode": Mode.STANDARD},
        {"platform": "bonk"},
        {"error_code": "e0"},
    ):
        found = plan(filled, archive_queries.page_query(JobFilter(user_id="u7", **field), 21))
        # PostgreSQL sorts the few jobs of a user in the test, whichever index has found them.
        own = "status" in field and filled.dialect.name == SQLITE
        assert ("jobs_by_user_id_and_status" if own else "jobs_by_user_id") in found, (field, found)


def test_other_connections_use_new_statistics(engine, archive_settings):
    if engine.dialect.name != SQLITE:
        return
    user_and_error = JobFilter(user_id="u", error_code="e")
    # The second query differs: EXPLAIN alone would not make SQLite discard the plan of an earlier one.
    cases = [
        ("user_id", "error_code", user_and_error),
        ("error_code", "user_id", replace(user_and_error, from_ms=1)),
    ]
    with connected(archive_settings) as reader:
        for same, different, wanted in cases:
            rows = [
                {column.name: f"{same} {each}" for column in JOBS.columns} | {same: "x"}
                for each in range(300)
            ]
            with engine.begin() as connection:
                connection.execute(JOBS.delete())
                connection.execute(JOBS.insert(), rows)
            update_statistics(engine)
            ArchiveQueries(reader).page(wanted, 21)
            assert f"jobs_by_{different}" in plan(reader, archive_queries.page_query(wanted, 21)), different


def test_the_check_of_plans_finds_a_query_without_an_index(filled):
    found = plan(filled, select(JOBS.c.job_id).where(JOBS.c.buy_lamports == 7))
    assert tables_read_whole(found) == {"jobs"}

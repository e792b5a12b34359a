"""Writing ended jobs to the archive, and deleting old ones, on both databases."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from msgspec.structs import replace as changed
from sqlalchemy import func, select
from support.journals import BUY, COMPLETED, CONFIRMED_OUTCOME, FIRST, ORDER, SECOND, TRADE, TRANSFER

from cto_worker.archive.compression import unpacked
from cto_worker.archive.job_archive import DELETED_AT_ONCE, archive, delete_ended_before
from cto_worker.archive.tables import DOCUMENTS, JOBS, METADATA, SIGNATURES, WALLETS
from cto_worker.domain.ended_job import EndedJob
from cto_worker.domain.intent_codec import encode_plan, encode_record
from cto_worker.domain.intent_log import IntentRecord, IntentStatus
from cto_worker.domain.progress_event import Details, Status, encode
from cto_worker.domain.purchase_outcome import PurchaseOutcome
from cto_worker.errors import ArchiveUnavailableError

DETAILS = Details(
    successful_buys=3,
    failed_buys=1,
    total_spent=0.123456789,
    outcome=PurchaseOutcome.PARTIAL,
    transaction_signatures=("s1", "s2"),
)
LOG = {
    "plan": encode_plan(TRADE),
    TRANSFER.intent_id: encode_record(IntentRecord(IntentStatus.CONFIRMED, ORDER, CONFIRMED_OUTCOME)),
    BUY.intent_id: encode_record(IntentRecord(IntentStatus.FAILED)),
}


def ended(job_id="j1", *, created_ms=1_000, ended_ms=2_000, **changes):
    """Return an ended job with three events. ``changes`` are of the last one."""
    last = changed(COMPLETED, timestamp=ended_ms, details=DETAILS)
    events = [encode(changed(event, job_id=job_id)) for event in (FIRST, SECOND, changed(last, **changes))]
    request = b'{"wallets":["w2","w3"]}'
    return EndedJob(job_id, created_ms, request, events, b'{"success":true}', LOG)


def rows(engine, table=JOBS):
    with engine.connect() as connection:
        return [row._asdict() for row in connection.execute(select(table).order_by(*table.primary_key))]


def count(engine, table):
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def test_a_job_is_written_with_its_columns_and_documents(engine):
    job = ended()
    assert archive(engine, [job]) == {"j1"}
    assert rows(engine) == [
        {
            "job_id": "j1",
            "user_id": "7",
            "token_address": FIRST.token_address,
            "mode": "standard",
            "platform": "unknown",
            "status": "completed",
            "outcome": "partial",
            "error_code": None,
            "buy_lamports": 500_000_000,
            "spent_lamports": 123_456_789,
            "successful_buys": 3,
            "failed_buys": 1,
            "created_ms": 1_000,
            "ended_ms": 2_000,
        }
    ]
    (documents,) = rows(engine, DOCUMENTS)
    stored = {name: unpacked(value) for name, value in documents.items() if name != "job_id"}
    assert stored["request"] == job.request
    assert stored["result"] == job.result
    assert stored["last_event"] == job.events[-1]
    assert stored["earlier_events"] == b"[" + b",".join(job.events[:-1]) + b"]"
    assert json.loads(stored["intents"]) == {name: json.loads(text) for name, text in LOG.items()}
    assert [row["wallet"] for row in rows(engine, WALLETS)] == ["w1", "w2", "w3"]
    assert [row["signature"] for row in rows(engine, SIGNATURES)] == ["s1", "s2", "signature"]


def test_a_failed_job_without_a_plan_is_written(engine):
    details = Details(error="no SOL", error_code="insufficient_funds", outcome=PurchaseOutcome.NONE)
    job = ended(status=Status.FAILED, details=details)
    archive(engine, [replace(job, intents={}, request=b'{"refused":"too long"}')])
    (row,) = rows(engine)
    assert (row["status"], row["outcome"], row["error_code"]) == ("failed", "none", "insufficient_funds")
    assert rows(engine, WALLETS) == rows(engine, SIGNATURES) == []


def test_a_job_of_an_earlier_release_has_no_outcome(engine):
    archive(engine, [ended(details=Details())])
    assert rows(engine)[0]["outcome"] is None


def test_a_repeated_write_changes_nothing(engine):
    archive(engine, [ended()])
    of_jobs = [table for table in METADATA.sorted_tables if "job_id" in table.columns]
    before = [rows(engine, table) for table in of_jobs]
    later = replace(ended(ended_ms=9_000), request=b'{"wallets":["w9"]}')
    assert archive(engine, [later, ended("j2")]) == {"j1", "j2"}
    after = [[row for row in rows(engine, table) if row["job_id"] == "j1"] for table in of_jobs]
    assert after == before


def test_another_job_with_the_same_id_is_not_written(engine):
    archive(engine, [ended()])
    before = rows(engine, DOCUMENTS)
    assert archive(engine, [ended(created_ms=1_001), ended("j2")]) == {"j2"}
    assert [row for row in rows(engine, DOCUMENTS) if row["job_id"] == "j1"] == before


def test_processes_that_write_the_same_jobs_at_once_do_not_block_each_other(engine):
    for number in range(10):
        jobs = [ended(f"j{number}-{place}") for place in range(100)]
        begin = Barrier(2)

        def write(batch, begin=begin):
            begin.wait()
            return archive(engine, batch)

        with ThreadPoolExecutor(2) as threads:
            results = list(threads.map(write, [jobs, jobs[::-1]]))
        assert results == [{job.job_id for job in jobs}] * 2
    assert count(engine, JOBS) == count(engine, DOCUMENTS) == 1_000


def test_a_batch_is_written_completely_or_not_at_all(engine):
    with pytest.raises(ArchiveUnavailableError):
        archive(engine, [ended("j1"), replace(ended("j2"), created_ms=None)])
    assert [count(engine, table) for table in METADATA.sorted_tables] == [0] * len(METADATA.sorted_tables)


def test_characters_that_a_database_refuses_are_replaced(engine):
    archive(engine, [ended(user_id="a\0b")])
    assert rows(engine)[0]["user_id"] == "a\N{REPLACEMENT CHARACTER}b"


def test_old_jobs_are_deleted_in_batches_with_all_their_rows(engine):
    jobs = [ended(f"j{number:04}", ended_ms=number) for number in range(DELETED_AT_ONCE + 5)]
    for start in range(0, len(jobs), 200):
        archive(engine, jobs[start : start + 200])
    assert delete_ended_before(engine, DELETED_AT_ONCE + 2) == DELETED_AT_ONCE
    assert delete_ended_before(engine, DELETED_AT_ONCE + 2) == 2
    assert delete_ended_before(engine, DELETED_AT_ONCE + 2) == 0
    assert [row["job_id"] for row in rows(engine)] == [job.job_id for job in jobs[-3:]]
    assert count(engine, DOCUMENTS) == 3
    assert count(engine, WALLETS) == 9
    assert count(engine, SIGNATURES) == 9

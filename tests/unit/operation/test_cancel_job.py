"""Cancellation of a job between and during its runs, on the in-memory journal and market."""

from __future__ import annotations

import pytest
from support.cases import check_all
from support.takeover import (
    JOB,
    REFERENCES,
    VARIANTS,
    Interruption,
    RecordedJob,
    assert_consistent,
    executed,
    places,
    position,
)

from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.progress_event import JobStatus
from cto_worker.operation.cancel_job import cancel


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_job_cancelled_between_two_runs_counts_the_open_intent_and_starts_no_other(variant):
    reference, calls = REFERENCES[variant, "plain"]

    def check(at, after):
        job = RecordedJob(variant)
        job.run(Interruption(at, after))
        assert job.state.status.ended == ((at, after) == (len(calls), True))
        if job.state.status.ended:
            return
        job.journal.request_cancel(JOB)
        intended = set(job.records)
        job.take_over()
        assert_consistent(job)
        assert set(executed(job.market)) == set(job.records) == intended
        assert len(job.result["transactionSignatures"]) == len(intended)
        assert job.result["successfulBuys"] == len([intent for intent in intended if ":buy" in intent])
        assert job.result["unknownBuys"] == 0
        if intended == set(reference.records):
            assert job.result["success"], "too late: the last step had started"
        else:
            assert job.result["errorCode"] == "cancelled"

    check_all(places(variant, "plain"), check)


def test_a_cancellation_just_before_an_intent_prevents_its_record_and_its_order():
    job = RecordedJob()
    job.journal.before_intent = lambda _: job.journal.request_cancel(JOB)
    assert job.run()["errorCode"] == "cancelled"
    assert (job.market.sent, job.records) == ({}, {})
    assert_consistent(job)


def test_a_cancelled_job_with_an_earlier_claim_is_ended_by_its_next_run():
    job = RecordedJob()
    job.run(Interruption(position("claim"), after=True))
    assert cancel(Journal.of(job.journal), JOB, job.events[-1]) is JobStatus.WAITING
    assert len(job.events) == 1
    job.take_over()
    assert job.result["errorCode"] == "cancelled"


def test_a_submitted_order_without_an_outcome_is_submitted_again_although_the_job_is_cancelled():
    job = RecordedJob(silent=("wallet-1:buy",), patience_s=600)
    interruption = Interruption(position("submit") + 2, after=True)
    job.run(interruption)
    assert interruption.calls[-3:] == ["submit", "outcomes", "record_submission"]
    job.journal.request_cancel(JOB)
    job.market.patience_s = 0
    job.take_over()
    assert job.result["errorCode"] == "cancelled"
    ((intent_id, payloads),) = job.market.sent.items()
    assert payloads == [job.records[intent_id].order.payload] * 2, "the same bytes, which execute once"
    assert_consistent(job)

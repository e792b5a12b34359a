"""The runner: hand-over by a stopping worker, parking after stalled runs, and runs that lose their lease."""

from __future__ import annotations

import json
import threading

import pytest
from support.cases import check_all
from support.takeover import (
    JOB,
    PLAIN,
    PREFUNDED,
    REFERENCES,
    STANDARD,
    VARIANTS,
    Interruption,
    RecordedJob,
    assert_consistent,
    assert_same_end,
    position,
)

from cto_worker.domain.intent_log import IntentStatus
from cto_worker.domain.progress_event import JobStatus, Status
from cto_worker.jobs.lease_keeper import LeaseKeeper
from cto_worker.testing.in_memory_market import BALANCE_LAMPORTS, FUNDING

# --- hand-over ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_stopping_worker_hands_its_job_over_at_the_next_step(variant):
    reference, _ = REFERENCES[variant, "plain"]

    def check(last):
        job, stopping, sent = RecordedJob(variant), threading.Event(), []
        job.journal.before_append = lambda event: stopping.set() if event.seq == last else None
        result = job.run(send=lambda *message: sent.append(message), stopping=stopping)
        if result or last >= len(reference.events) - 1:
            assert result["success"], "no step is left for another worker"
            assert sent == []
            return
        assert result is None
        assert sent == [(JOB, job.body, True)]
        if variant.parallelism == 1:
            assert job.events[-1].seq == last
            assert len(job.market.sent) == max(0, last - 4)
        job.journal.before_append = lambda _: None
        job.run()
        assert_same_end(job, reference)
        assert job.events[-1].attempt == 2
        assert [len(payloads) for payloads in job.market.sent.values()] == [1] * len(reference.market.sent)

    check_all([(f"{variant}, stopped at event {last}", (last,)) for last in range(2, 10)], check)


def test_a_stopping_worker_does_not_wait_long_for_an_outcome():
    job, stopping, sent = RecordedJob(silent=("wallet-2:buy",), patience_s=600), threading.Event(), []
    interruption = Interruption(position("submit", 2), after=True, action=stopping.set)
    assert job.run(interruption, send=lambda *message: sent.append(message), stopping=stopping) is None
    assert interruption.calls[-1] == "release"
    assert interruption.calls.count("submit") == 2, "nothing is begun after the stop"
    assert len(sent) == 1
    job.market.silent = ()
    job.run()
    assert_same_end(job, PLAIN)
    assert [len(payloads) for payloads in job.market.sent.values()] == [1, 1, 1]


def test_repeated_hand_overs_are_not_counted_as_stalls():
    job, stopping = RecordedJob(), threading.Event()
    job.run(Interruption(position("submit"), after=True))
    stopping.set()
    job.market.patience_s, job.market.silent = 600, ("buy",)
    job.expire_lease()
    for _ in range(7):
        assert job.run(stopping=stopping) is None
    assert (job.state.attempt, job.state.stalls) == (8, 1)
    job.market.patience_s, job.market.silent = 0, ()
    job.run()
    assert_same_end(job, PLAIN)


@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_is_killed_during_its_hand_over_is_taken_over(after):
    job, stopping = RecordedJob(), threading.Event()
    stopping.set()
    interruption = Interruption(at=3, after=after)
    job.run(interruption, stopping=stopping)
    assert interruption.calls == ["claim", "append", "release"]
    job.take_over()
    assert_same_end(job, PLAIN)


# --- stalls and parking ------------------------------------------------------------------------------------


def test_after_five_runs_without_progress_a_job_is_parked_without_a_call_of_the_market():
    job = RecordedJob()
    job.run(Interruption(position("submit", 2), after=True))
    job.stall(4)
    interruption = Interruption()
    result = job.take_over(interruption)
    assert interruption.calls == ["claim", "append"]
    assert_consistent(job)
    last = job.events[-1]
    assert (last.status, last.attempt, last.phase, last.progress) == (Status.FAILED, 6, 5, 100)
    assert last.details.error_code == result["errorCode"] == "needs_review"
    assert (result["successfulBuys"], result["unknownBuys"]) == (1, 1)
    assert last.details.unknown_buys == 1
    assert [step["status"] for step in result["steps"]] == ["confirmed", "unknown"]
    record = job.records[f"{JOB}:wallet-2:buy.1"]
    assert record.status is IntentStatus.UNKNOWN
    assert record.order.payload == job.market.sent[f"{JOB}:wallet-2:buy.1"][0], "an operator can look it up"
    assert job.state.review


def test_a_job_without_a_plan_is_parked_too():
    job = RecordedJob()
    job.run(Interruption(position("account")))
    job.stall(4)
    assert job.take_over()["errorCode"] == "needs_review"
    assert_consistent(job)
    assert (job.market.sent, job.records) == ({}, {})
    assert job.state.review


@pytest.mark.parametrize("unreadable", ["request", "log"])
def test_a_job_with_an_unreadable_record_is_parked_too(unreadable):
    """A worker of an older version that shares the queue with a newer one meets such records."""
    job = RecordedJob()
    job.run(Interruption(position("submit", 2), after=True))
    if unreadable == "request":
        job.state.request = b'{"of": "another version"}'
    else:
        job.state.log["of another version"] = b"{}"
    for _ in range(4):
        with pytest.raises(KeyError):
            job.take_over()
    assert job.take_over()["errorCode"] == "needs_review"
    assert job.state.review
    assert [event.seq for event in job.events] == list(range(1, len(job.events) + 1))


def test_a_job_is_not_parked_after_four_runs_without_progress():
    job = RecordedJob()
    job.run(Interruption(position("submit", 2), after=True))
    job.stall(3)
    job.take_over()
    assert_same_end(job, PLAIN)


@pytest.mark.parametrize("progress", ["plan", "outcome"])
def test_progress_resets_the_count_of_stalls(progress):
    job = RecordedJob()
    job.run(Interruption(position("detect" if progress == "plan" else "submit"), after=True))
    job.stall(3)
    assert job.state.stalls == 3
    calls = ["claim", "append", "account", "detect", "account_costs", "append", "append", "prepare"]
    if progress == "outcome":
        calls = ["claim", "append", "outcomes", "append", "prepare"]
    interruption = Interruption(len(calls))
    job.take_over(interruption)
    assert interruption.calls == calls
    assert job.state.stalls == 0
    job.stall(3)
    job.take_over()
    assert_same_end(job, PLAIN)


def test_only_an_unknown_outcome_needs_review():
    for faults in ("plain", "failing", "refused", "lost"):
        assert not REFERENCES[STANDARD, faults][0].state.review
    job, _ = REFERENCES[PREFUNDED, "silent"]
    assert job.state.review
    assert job.state.status is JobStatus.COMPLETED
    assert job.records[f"{JOB}:wallet-2:buy.1"].status is IntentStatus.UNKNOWN


def test_a_defect_after_a_takeover_reports_the_true_counts(caplog):
    job = RecordedJob()
    job.run(Interruption(position("submit", 2), after=True))

    def raise_defect():
        raise ZeroDivisionError

    job.take_over(Interruption(at=3, action=raise_defect))
    assert_consistent(job)
    assert job.result["errorCode"] == "internal_error"
    assert (job.result["successfulBuys"], job.result["unknownBuys"]) == (1, 1)
    assert job.state.review
    assert "ZeroDivisionError" in caplog.text


# --- leases ------------------------------------------------------------------------------------------------


def test_a_run_whose_lease_cannot_be_renewed_stops_before_its_first_call_of_the_market():
    job = RecordedJob()
    interruption = Interruption()
    assert job.run(interruption, keeper=LeaseKeeper(job.journal, lease_ms=0)) is None
    assert interruption.calls == ["claim", "append"]
    job.take_over()
    assert_same_end(job, PLAIN)


def lose_job(job, keeper):
    """Let another worker claim the job, and the keeper notice it."""
    job.expire_lease()
    job.journal.claim(JOB, "another")
    keeper.renew()


@pytest.mark.parametrize(("call", "sent"), [("intend", 1), ("submit", 2)])
def test_a_run_that_has_lost_its_lease_sends_nothing_more(call, sent):
    job = RecordedJob(silent=("wallet-2:buy",), patience_s=600)
    keeper = LeaseKeeper(job.journal, job.journal.lease_ms)
    interruption = Interruption(position(call, 2), after=True, action=lambda: lose_job(job, keeper))
    assert job.run(interruption, keeper=keeper) is None
    assert len(job.market.sent) == sent
    assert "release" not in interruption.calls, "only the job's current run may release it"
    job.market.silent, job.market.patience_s = (), 0
    job.take_over()
    assert_same_end(job, PLAIN)


def test_a_run_that_waits_for_an_outcome_stops_when_it_loses_its_lease():
    job = RecordedJob(silent=("wallet-2:buy",), patience_s=600)
    keeper = LeaseKeeper(job.journal, job.journal.lease_ms)
    interruption = Interruption(position("outcomes", 2), action=lambda: lose_job(job, keeper))
    assert job.run(interruption, keeper=keeper) is None
    assert interruption.calls[-1] == "outcomes"
    assert json.loads(job.journal.published[-1])["attempt"] == 1
    assert job.market.balances[FUNDING] == BALANCE_LAMPORTS

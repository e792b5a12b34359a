"""Parking of jobs without progress, and what an operator must review."""

from __future__ import annotations

import pytest
from support.interrupted_runs import (
    JOB,
    UNINTERRUPTED,
    Interruption,
    World,
    at,
    check_consistent,
    check_same_as,
)

from cto_worker.domain.events import JobStatus, Mode, Status
from cto_worker.domain.intents import IntentStatus


def stall(world, times):
    for _ in range(times):
        world.take_over(Interruption(1, after=True))


def test_a_job_is_parked_without_a_call_to_the_market_after_five_runs_without_progress():
    world = World()
    world.run(Interruption(at("submit", 2), after=True))
    stall(world, 4)
    interruption = Interruption()
    result = world.take_over(interruption)
    assert interruption.calls == ["claim", "append"]
    check_consistent(world)
    last = world.events[-1]
    assert (last.status, last.attempt, last.phase, last.progress) == (Status.FAILED, 6, 5, 100)
    assert last.details.error_code == result["errorCode"] == "needs_review"
    assert (result["successfulBuys"], result["unknownBuys"]) == (1, 1)
    assert last.details.unknown_buys == 1
    assert [step["status"] for step in result["steps"]] == ["confirmed", "unknown"]
    record = world.records[f"{JOB}:wallet-2:buy.1"]
    assert record.status is IntentStatus.UNKNOWN
    assert record.order.payload == world.market.sent[f"{JOB}:wallet-2:buy.1"][0], "an operator can look it up"
    assert world.job.review


def test_a_job_without_a_plan_is_parked_too():
    world = World()
    world.run(Interruption(at("account")))
    stall(world, 4)
    assert world.take_over()["errorCode"] == "needs_review"
    check_consistent(world)
    assert (world.market.sent, world.records) == ({}, {})
    assert world.job.review


@pytest.mark.parametrize("unreadable", ["request", "log"])
def test_a_job_with_an_unreadable_record_is_parked_too(unreadable):
    """A worker of an older version finds it if it shares the queue with a newer worker."""
    world = World()
    world.run(Interruption(at("submit", 2), after=True))
    if unreadable == "request":
        world.job.request = b'{"of": "another version"}'
    else:
        world.job.log["of another version"] = b"{}"
    for _ in range(4):
        with pytest.raises(KeyError):
            world.take_over()
    assert world.take_over()["errorCode"] == "needs_review"
    assert world.job.review
    assert [event.seq for event in world.events] == list(range(1, len(world.events) + 1))


def test_a_job_is_not_parked_after_four_runs_without_progress():
    world = World()
    world.run(Interruption(at("submit", 2), after=True))
    stall(world, 3)
    world.take_over()
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])


@pytest.mark.parametrize("further", ["plan", "outcome"])
def test_progress_resets_the_count_of_stalls(further):
    world = World()
    world.run(Interruption(at("detect" if further == "plan" else "submit"), after=True))
    stall(world, 3)
    assert world.job.stalls == 3
    calls = ["claim", "append", "account", "detect", "append", "append", "prepare"]
    if further == "outcome":
        calls = ["claim", "append", "outcome", "append", "prepare"]
    interruption = Interruption(len(calls))
    world.take_over(interruption)
    assert interruption.calls == calls
    assert world.job.stalls == 0
    stall(world, 3)
    world.take_over()
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])


def test_only_an_unknown_outcome_needs_review():
    for faults in ("plain", "failing", "refused", "lost"):
        assert not UNINTERRUPTED[Mode.STANDARD, faults][0].job.review
    world, _ = UNINTERRUPTED[Mode.PREFUNDED, "silent"]
    assert world.job.review
    assert world.job.status is JobStatus.COMPLETED
    assert world.records[f"{JOB}:wallet-2:buy.1"].status is IntentStatus.UNKNOWN


def test_the_counts_are_true_after_a_defect_in_a_run_that_took_over(caplog):
    world = World()
    world.run(Interruption(at("submit", 2), after=True))

    def defect():
        raise ZeroDivisionError

    world.take_over(Interruption(at=3, action=defect))
    check_consistent(world)
    assert world.result["errorCode"] == "internal_error"
    assert (world.result["successfulBuys"], world.result["unknownBuys"]) == (1, 1)
    assert world.job.review
    assert "ZeroDivisionError" in caplog.text

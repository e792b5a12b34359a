"""Cancellation between the runs of a job."""

from __future__ import annotations

import pytest
from support.interrupted_runs import (
    EVERY_PLAIN_POINT,
    JOB,
    UNINTERRUPTED,
    Interruption,
    World,
    at,
    check_consistent,
)

from cto_worker.domain.events import JobStatus
from cto_worker.operation.cancellation import cancel


@pytest.mark.parametrize(("mode", "faults", "at", "after"), EVERY_PLAIN_POINT[:-1])
def test_a_job_cancelled_between_two_runs_settles_its_order_and_begins_no_other(mode, faults, at, after):
    other, calls = UNINTERRUPTED[mode, faults]
    world = World(mode)
    world.run(Interruption(at, after))
    if world.job.status.ended:
        assert (at, after) == (len(calls), True)
        return
    world.journal.request_cancel(JOB)
    intended = set(world.records)
    world.take_over()
    check_consistent(world)
    assert set(world.market.executed) == set(world.records) == intended
    assert len(world.result["transactionSignatures"]) == len(intended)
    assert world.result["successfulBuys"] == len([intent for intent in intended if ":buy" in intent])
    assert world.result["unknownBuys"] == 0
    if intended == set(other.records):
        assert world.result["success"], "too late: the last step had begun"
    else:
        assert world.result["errorCode"] == "cancelled"


def test_a_cancellation_just_before_an_intent_prevents_its_record_and_submission():
    world = World()
    world.journal.before_intent = lambda _: world.journal.request_cancel(JOB)
    assert world.run()["errorCode"] == "cancelled"
    assert (world.market.sent, world.records) == ({}, {})
    check_consistent(world)


def test_a_cancelled_job_that_was_claimed_is_ended_by_its_next_run():
    world = World()
    world.run(Interruption(at("claim"), after=True))
    assert cancel(world.journal, JOB, world.events[-1]) is JobStatus.WAITING
    assert len(world.events) == 1
    world.take_over()
    assert world.result["errorCode"] == "cancelled"


def test_a_submitted_order_without_an_outcome_is_submitted_again_although_the_job_is_cancelled():
    world = World(silent=("wallet-1:buy",), patience_s=600)
    interruption = Interruption(at("submit") + 2, after=True)
    world.run(interruption)
    assert interruption.calls[-3:] == ["submit", "outcome", "submitted"]
    world.journal.request_cancel(JOB)
    world.market.patience_s = 0
    world.take_over()
    assert world.result["errorCode"] == "cancelled"
    ((intent_id, payloads),) = world.market.sent.items()
    assert payloads == [world.records[intent_id].order.payload] * 2, "the same bytes, which execute once"
    check_consistent(world)

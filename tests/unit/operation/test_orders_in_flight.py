"""Orders in flight when a job is cancelled, handed over, taken over or parked."""

from __future__ import annotations

import json
import threading

import pytest
from support.takeover import (
    JOB,
    REFERENCES,
    Interruption,
    RecordedJob,
    Variant,
    assert_consistent,
    assert_same_end,
)
from support.timed_market import LATENCY_S, ended_steps, killed_after

from cto_worker.domain.intent_log import IntentStatus
from cto_worker.domain.progress_event import JobStatus, Mode
from cto_worker.operation.step_executor import FOLLOW_S, POLL_S

PREFUNDED, STANDARD = Mode.PREFUNDED, Mode.STANDARD


def at_wait(number, action):
    """Return a function that performs the action when it is called for the nth time."""
    calls = iter(range(1, 10**6))
    return lambda: next(calls) == number and action()


# --- cancellation ------------------------------------------------------------------------------------------


def test_orders_in_flight_are_followed_and_reported_after_a_cancellation(timed):
    latency_s = {"wallet-1:": 1, "wallet-2:": 2, "wallet-3:": 3, "wallet-4:": 4}
    job = timed(PREFUNDED, 3, latency_s=latency_s, failing=("wallet-2:",))
    job.market.while_waiting = at_wait(1, lambda: job.journal.request_cancel(JOB))
    result = job.run()
    assert_consistent(job)
    assert list(job.market.sent) == [f"{JOB}:wallet-{number}:buy.1" for number in (1, 2, 3)]
    assert (result["errorCode"], result["outcome"]) == ("cancelled", "partial")
    assert (result["successfulBuys"], result["failedBuys"], result["unknownBuys"]) == (2, 1, 0)
    assert [step["status"] for step in ended_steps(job)] == ["confirmed", "failed", "confirmed"]
    assert job.events[-1].details.error_code == "cancelled"
    stopping = [event.details for event in job.events if event.details.last_step][1:]
    assert not [details.starting_wallets for details in stopping if details.starting_wallets]
    assert [details.current_operation for details in stopping] == ["Buying with wallet 3 of 10", "Stopping"]


def test_a_cancellation_just_before_the_intents_of_a_later_batch_prevents_that_batch(timed):
    job = timed(PREFUNDED, 2, latency_s={"wallet-1:": 1, "wallet-2:": 5})

    def cancel(intent_ids):
        if f"{JOB}:wallet-3:buy.1" in intent_ids:
            job.journal.request_cancel(JOB)

    job.journal.before_intent = cancel
    result = job.run()
    assert_consistent(job)
    assert result["errorCode"] == "cancelled"
    assert list(job.market.sent) == [f"{JOB}:wallet-{number}:buy.1" for number in (1, 2)]
    assert job.records.keys() == job.market.sent.keys()
    assert result["successfulBuys"] == 2, "wallet 2 was in flight, and is followed"


def test_no_buy_follows_a_transfer_in_flight_after_a_cancellation(timed):
    job = timed(STANDARD, 10, wallets=3)
    job.market.while_waiting = at_wait(1, lambda: job.journal.request_cancel(JOB))
    result = job.run()
    assert_consistent(job)
    assert [step["kind"] for step in result["steps"]] == ["transfer"] * 3
    assert (result["errorCode"], result["outcome"]) == ("cancelled", "none")


def test_a_cancellation_with_every_step_begun_comes_too_late(timed):
    job = timed(PREFUNDED, 10)
    job.market.while_waiting = at_wait(1, lambda: job.journal.request_cancel(JOB))
    result = job.run()
    assert_consistent(job)
    assert (result["success"], result["outcome"], result["successfulBuys"]) == (True, "full", 10)


def test_a_cancelled_job_with_orders_in_flight_is_followed_by_its_next_run(timed):
    job, interruption = timed(PREFUNDED, 3), Interruption()
    job.run(killed_after("submit"))
    assert len(job.market.sent) == 3
    job.journal.request_cancel(JOB)
    job.take_over(interruption)
    assert_consistent(job)
    assert "prepare" not in interruption.calls
    assert (job.result["errorCode"], job.result["successfulBuys"]) == ("cancelled", 3)


# --- hand-over ---------------------------------------------------------------------------------------------


def stop_at_wait(job, number):
    """Run a job whose worker must stop at the nth wait. Return the calls, and the messages it has sent."""
    stopping, sent, interruption = threading.Event(), [], Interruption()
    job.market.while_waiting = at_wait(number, stopping.set)
    assert job.run(interruption, send=lambda *message: sent.append(message), stopping=stopping) is None
    job.market.while_waiting = lambda: None
    return interruption.calls, sent


def test_a_stopping_worker_follows_its_orders_in_flight_and_hands_the_rest_over(timed):
    job = timed(PREFUNDED, 3, latency_s={"wallet-1:": 1, "wallet-2:": 2, "wallet-3:": 3})
    calls, sent = stop_at_wait(job, 1)
    assert len(sent) == 1
    assert calls.count("submit") == 1
    assert [step["wallet"] for step in ended_steps(job)] == ["wallet-1", "wallet-2", "wallet-3"]
    assert not [record for record in job.records.values() if record.unsettled]
    job.run()
    assert job.result["successfulBuys"] == 10
    assert_consistent(job)


def test_a_stopping_worker_follows_all_its_orders_for_a_limited_time(timed):
    """Each outcome comes within the limit after the one before, but not all of them in all."""
    job = timed(PREFUNDED, 5, latency_s={f"wallet-{number}:": 2 * number for number in range(1, 6)})
    _, sent = stop_at_wait(job, 1)
    assert len(sent) == 1
    assert job.market.now_s <= FOLLOW_S + POLL_S
    assert [step["wallet"] for step in ended_steps(job)] == ["wallet-1", "wallet-2"]
    assert [intent_id for intent_id, record in job.records.items() if record.unsettled] == [
        f"{JOB}:wallet-{number}:buy.1" for number in (3, 4, 5)
    ]
    job.market.now_s += 10
    interruption = Interruption()
    job.run(interruption)
    assert interruption.calls[:5] == ["claim", "append", "outcomes", "append", "prepare"]
    assert job.result["successfulBuys"] == 10
    assert all(len(payloads) == 1 for payloads in job.market.sent.values())
    assert_consistent(job)


def test_orders_in_flight_are_followed_although_the_next_cannot_be_prepared_when_the_worker_stops(timed):
    job = timed(PREFUNDED, 2, latency_s={"wallet-1:": 1, "wallet-2:": 2})
    stopping, sent = threading.Event(), []

    def fail_from_the_second_batch(event):
        if event.details.successful_buys == 1:
            job.market.broken = ("prepare",)

    job.journal.before_append = fail_from_the_second_batch
    stopping.wait = lambda _: stopping.set()  # the wait before the call is repeated
    assert job.run(send=lambda *message: sent.append(message), stopping=stopping) is None
    assert len(sent) == 1
    assert len(ended_steps(job)) == 2


def test_a_takeover_asks_for_all_orders_in_one_call_before_it_does_anything_new(timed):
    job, interruption = timed(PREFUNDED, 4), Interruption()
    job.run(killed_after("submit"))
    assert len(job.market.sent) == 4
    asked = []
    outcomes = job.market.outcomes
    job.market.outcomes = lambda orders, **options: asked.append(len(orders)) or outcomes(orders, **options)
    job.market.now_s += LATENCY_S
    job.take_over(interruption)
    assert interruption.calls[:5] == ["claim", "append", "outcomes", "append", "prepare"]
    assert asked[0] == 4
    assert job.events[4].details.current_operation == "Checking the outcome of: 4 orders"
    assert_consistent(job)


# --- parking, and logs of an earlier release ---------------------------------------------------------------


def test_each_order_in_flight_of_a_parked_job_is_unknown_with_an_event_of_its_own():
    job = RecordedJob(Variant(PREFUNDED, 10))
    job.run(killed_after("submit"))
    assert len(job.market.sent) == 3
    job.stall(4)
    count, interruption = len(job.events), Interruption()
    result = job.take_over(interruption)
    assert interruption.calls == ["claim", "append"], "the market is not asked"
    assert_consistent(job)
    assert (result["errorCode"], result["unknownBuys"]) == ("needs_review", 3)
    assert len(job.events) - count == 3, "the last one is also the terminal event"
    assert {record.status for record in job.records.values()} == {IntentStatus.UNKNOWN}
    assert sorted(record.place for record in job.records.values()) == [1, 2, 3]
    assert job.state.status is JobStatus.FAILED
    assert job.state.review


def without_place(text):
    """Return the text of a field of the intent log as the previous release wrote it."""
    document = json.loads(text)
    if isinstance(document, dict):  # the plan is a list
        document.pop("place", None)
    return json.dumps(document).encode()


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("parallelism", [1, 10])
def test_a_job_of_the_previous_release_continues(mode, parallelism):
    """Its log has at most one order in flight, and does not say in which order its steps ended."""
    calls = REFERENCES[Variant(mode, 1), "failing"][1]
    for at in range(1, len(calls) + 1):
        job = RecordedJob(Variant(mode, 1), failing=("wallet-2:transfer", "wallet-3:buy"))
        job.run(Interruption(at, after=True))
        if at == len(calls):
            continue
        job.state.log = {name: without_place(text) for name, text in job.state.log.items()}
        job.parallelism = parallelism
        job.take_over()
        assert_consistent(job)
        assert_same_end(job, REFERENCES[Variant(mode, parallelism), "failing"][0])

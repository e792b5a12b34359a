"""Takeover: a run interrupted at any call is completed by the next one, with the same result."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as StoreConnectionError
from support.interrupted_runs import (
    EVERY_PLAIN_POINT,
    EVERY_POINT,
    FAULTS,
    JOB,
    UNINTERRUPTED,
    Interruption,
    World,
    at,
    check_consistent,
    check_same_as,
    kill,
)

from cto_worker.domain.events import Mode
from cto_worker.domain.intents import IntentStatus
from cto_worker.domain.money import to_sol
from cto_worker.jobs.sweeper import Sweeper
from cto_worker.testing.in_memory_market import BALANCE_LAMPORTS


def test_the_calls_of_a_run_are_complete():
    _, calls = UNINTERRUPTED[Mode.PREFUNDED, "plain"]
    step = ["append", "prepare", "intend", "submit", "outcome"]
    assert calls == ["claim", "append", "account", "detect", "append", *step * 3, "append"]


@pytest.mark.parametrize(("mode", "faults", "at", "after"), EVERY_POINT)
def test_a_run_killed_at_any_call_is_completed_by_the_next_with_the_same_result(mode, faults, at, after):
    other, calls = UNINTERRUPTED[mode, faults]
    world = World(mode, **FAULTS[faults])
    world.run(Interruption(at, after))
    ended = (at, after) == (len(calls), True)
    assert world.job.status.ended == ended
    claims = world.job.attempt
    world.take_over()
    check_same_as(world, other)
    assert world.events[-1].attempt == claims + (not ended)


@pytest.mark.parametrize(("mode", "faults", "at", "after"), EVERY_POINT)
def test_a_run_suspended_at_any_call_changes_nothing_after_another_run_ended_the_job(mode, faults, at, after):
    world = World(mode, **FAULTS[faults])
    seen = []

    def meanwhile():
        world.take_over()
        seen.extend([list(world.events), dict(world.job.log), dict(world.market.executed)])

    world.run(Interruption(at, after, meanwhile))
    assert seen == [world.events, world.job.log, world.market.executed]
    check_same_as(world, UNINTERRUPTED[mode, faults][0])


@pytest.mark.parametrize(("mode", "faults", "at", "after"), EVERY_PLAIN_POINT)
def test_a_run_suspended_at_any_call_writes_nothing_while_another_run_owns_the_job(mode, faults, at, after):
    world, seen = World(mode, **FAULTS[faults]), []

    def meanwhile():
        world.take_over(Interruption(at=2, after=True))
        seen.extend([list(world.events), dict(world.job.log)])

    interruption = Interruption(at, after, meanwhile)
    assert world.run(interruption) is None or world.job.status.ended
    writes = [call for call in interruption.calls[at:] if call in {"append", "intend", "submitted"}]
    assert len(writes) <= 1, "the first refusal stops the run"
    assert seen == [world.events, world.job.log]
    world.take_over()
    check_same_as(world, UNINTERRUPTED[mode, faults][0])


@pytest.mark.parametrize(
    ("mode", "faults", "at", "after"),
    [
        case
        for case in EVERY_PLAIN_POINT
        if UNINTERRUPTED[case.values[:2]][1][case.values[2] - 1] in {"append", "intend", "submitted"}
    ],
)
def test_a_run_stops_when_the_store_fails_at_any_write_and_the_next_completes_the_job(
    mode, faults, at, after
):
    def fail():
        raise StoreConnectionError("away")

    world = World(mode)
    interruption = Interruption(at, after, fail)
    assert world.run(interruption) is None
    assert len(interruption.calls) == at
    world.take_over()
    check_same_as(world, UNINTERRUPTED[mode, faults][0])


@given(
    mode=st.sampled_from(list(Mode)),
    faults=st.sampled_from(list(FAULTS)),
    interruptions=st.lists(
        st.tuples(st.integers(1, 44), st.booleans(), st.booleans()), min_size=2, max_size=4
    ),
)
def test_several_runs_in_a_row_may_be_killed_or_suspended(mode, faults, interruptions):
    world, left = World(mode, **FAULTS[faults]), iter(interruptions)

    def next_run():
        at, after, asleep = next(left, (0, False, False))
        world.run(Interruption(at, after, meanwhile if asleep else kill))

    def meanwhile():
        world.expire_lease()
        next_run()

    next_run()
    while not world.job.status.ended:
        meanwhile()
    check_same_as(world, UNINTERRUPTED[mode, faults][0])


def test_an_order_that_the_market_knows_is_not_submitted_again():
    world = World()
    world.run(Interruption(at("submit"), after=True))
    world.take_over()
    assert [len(payloads) for payloads in world.market.sent.values()] == [1, 1, 1]


def test_an_order_that_the_market_does_not_know_is_submitted_with_the_recorded_bytes():
    world = World()
    world.run(Interruption(at("intend"), after=True))
    ((intent_id, record),) = world.records.items()
    assert record.status is IntentStatus.INTENDED
    assert world.market.sent == {}
    world.take_over()
    assert world.market.sent[intent_id] == [record.order.payload]


def test_an_order_without_a_record_is_prepared_again():
    world = World()
    world.run(Interruption(at("intend")))
    world.take_over()
    assert world.market.sent[f"{JOB}:wallet-1:buy.1"] == [f"{JOB}:wallet-1:buy.1#2".encode()]


def test_the_same_bytes_are_submitted_again_when_the_market_gives_no_outcome():
    world = World()
    world.run(Interruption(at("submit"), after=True))
    (payload,) = world.market.sent[f"{JOB}:wallet-1:buy.1"]
    world.market.broken = ("outcome",)
    world.take_over()
    assert world.market.sent[f"{JOB}:wallet-1:buy.1"] == [payload, payload]
    assert world.result["unknownBuys"] == 3


def test_the_order_under_reconciliation_is_reported():
    world = World()
    world.run(Interruption(at("submit", 2), after=True))
    events = len(world.events)
    world.take_over()
    first = world.events[events]
    assert first.details.current_operation == "Checking the outcome of: Buying with wallet 2 of 3"
    assert (first.attempt, first.phase, first.details.successful_buys) == (2, 4, 1)


def test_progress_never_decreases_when_a_run_without_a_plan_is_taken_over():
    world = World()
    world.run(Interruption(at("account")))
    world.take_over(Interruption(at("append", 3)))
    world.take_over()
    assert [(event.attempt, event.phase, event.progress) for event in world.events[:7]] == [
        (0, 1, 10),
        (1, 2, 25),
        (2, 2, 25),
        (2, 3, 45),
        (3, 3, 45),
        (3, 3, 45),
        (3, 4, 70),
    ]


def test_a_job_cannot_be_taken_over_before_its_lease_expires():
    world = World()
    world.run(Interruption(at("submit")))
    world.journal.now_ms += world.journal.lease_ms - 1
    interruption = Interruption()
    assert world.run(interruption) is None
    assert interruption.calls == ["claim"]


def test_a_sweep_sends_the_message_for_a_takeover():
    world = World()
    world.run(Interruption(at("submit", 2)))
    sent = []
    sweeper = Sweeper(world.journal, world.journal.lease_ms, lambda *message: sent.append(message))
    assert sweeper.sweep() == 0
    world.expire_lease()
    assert sweeper.sweep() == 1
    assert sent == [(JOB, world.body, True)]
    world.run()
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])


@pytest.mark.parametrize("mode", Mode)
def test_the_plan_of_the_first_run_is_kept_after_balances_change(mode):
    """A new plan would see poor wallets in another order, and a market that does not answer."""
    world = World(mode)
    world.run(Interruption(at("outcome", mode=mode), after=True))
    rich = world.market.balances
    world.market.balances = dict.fromkeys(["wallet-9", *reversed(rich)], 1)
    world.market.broken = ("account", "detect")
    world.take_over()
    check_consistent(world)
    other, _ = UNINTERRUPTED[mode, "plain"]
    assert world.result == other.result
    assert world.market.executed == other.market.executed
    assert world.events[-1].platform == "pumpfun"


def test_the_spending_of_an_earlier_run_is_counted():
    world = World(Mode.STANDARD, failing=("wallet-2:transfer",))
    world.run(Interruption(at("submit", 5, Mode.STANDARD)))
    world.take_over()
    before = BALANCE_LAMPORTS * 4
    assert world.result["totalSpent"] == to_sol(before - sum(world.market.balances.values()))
    assert (world.result["successfulBuys"], world.result["failedBuys"]) == (2, 1)

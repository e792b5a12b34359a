"""Hand-over by a stopping worker, and lost leases."""

from __future__ import annotations

import json
import threading

import pytest
from support.interrupted_runs import (
    JOB,
    UNINTERRUPTED,
    Interruption,
    World,
    at,
    check_same_as,
)

from cto_worker.domain.events import Mode
from cto_worker.jobs.lease_keeper import LeaseKeeper
from cto_worker.testing.in_memory_market import BALANCE_LAMPORTS, FUNDING


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("last", [2, 3, 4, 5, 6, 7, 8, 9])
def test_a_stopping_worker_hands_its_job_over_at_the_next_step(mode, last):
    other, _ = UNINTERRUPTED[mode, "plain"]
    world, stopping, sent = World(mode), threading.Event(), []
    world.journal.before_append = lambda event: stopping.set() if event.seq == last else None
    result = world.run(send=lambda *message: sent.append(message), stopping=stopping)
    if last >= len(other.events) - 1:
        assert result["success"], "no step is left for another worker"
        assert sent == []
        return
    assert result is None
    assert sent == [(JOB, world.body, True)]
    assert world.events[-1].seq == last
    assert len(world.market.sent) == max(0, last - 4)
    world.journal.before_append = lambda _: None
    world.run()
    check_same_as(world, other)
    assert world.events[-1].attempt == 2
    assert [len(payloads) for payloads in world.market.sent.values()] == [1] * len(other.market.sent)


def test_a_stopping_worker_does_not_wait_for_an_outcome():
    world, stopping, sent = World(silent=("wallet-2:buy",), patience_s=600), threading.Event(), []
    interruption = Interruption(at("submit", 2), after=True, action=stopping.set)
    assert world.run(interruption, send=lambda *message: sent.append(message), stopping=stopping) is None
    assert interruption.calls[-3:] == ["submit", "outcome", "release"]
    assert len(sent) == 1
    world.market.silent = ()
    world.run()
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])
    assert [len(payloads) for payloads in world.market.sent.values()] == [1, 1, 1]


def test_repeated_hand_overs_are_not_stalls():
    world, stopping = World(), threading.Event()
    world.run(Interruption(at("submit"), after=True))
    stopping.set()
    world.market.patience_s, world.market.silent = 600, ("buy",)
    world.expire_lease()
    for _ in range(7):
        assert world.run(stopping=stopping) is None
    assert (world.job.attempt, world.job.stalls) == (8, 1)
    world.market.patience_s, world.market.silent = 0, ()
    world.run()
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])


@pytest.mark.parametrize("after", [False, True])
def test_a_run_killed_during_its_hand_over_is_taken_over(after):
    world, stopping = World(), threading.Event()
    stopping.set()
    interruption = Interruption(at=3, after=after)
    world.run(interruption, stopping=stopping)
    assert interruption.calls == ["claim", "append", "release"]
    world.take_over()
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])


def test_a_run_with_an_expired_lease_stops_before_its_first_step():
    world = World()
    interruption = Interruption()
    assert world.run(interruption, keeper=LeaseKeeper(world.journal, lease_ms=0)) is None
    assert interruption.calls == ["claim", "append"]
    world.take_over()
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])


@pytest.mark.parametrize(("call", "sent"), [("intend", 1), ("submit", 2)])
def test_a_run_that_lost_its_job_submits_nothing_more(call, sent):
    world = World(silent=("wallet-2:buy",), patience_s=600)
    keeper = LeaseKeeper(world.journal, world.journal.lease_ms)

    def lose():
        world.expire_lease()
        world.journal.claim(JOB, "another")
        keeper.renew()

    interruption = Interruption(at(call, 2), after=True, action=lose)
    assert world.run(interruption, keeper=keeper) is None
    assert len(world.market.sent) == sent
    assert "release" not in interruption.calls, "this run does not own the job"
    world.market.silent, world.market.patience_s = (), 0
    world.take_over()
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])


def test_a_run_that_waits_for_an_outcome_stops_when_its_lease_is_lost():
    world = World(silent=("wallet-2:buy",), patience_s=600)
    keeper = LeaseKeeper(world.journal, world.journal.lease_ms)

    def lose():
        world.expire_lease()
        world.journal.claim(JOB, "another")
        keeper.renew()

    interruption = Interruption(at("outcome", 2), action=lose)
    assert world.run(interruption, keeper=keeper) is None
    assert interruption.calls[-1] == "outcome"
    assert json.loads(world.journal.published[-1])["attempt"] == 1
    assert world.market.balances[FUNDING] == BALANCE_LAMPORTS

"""A store that does not persist, and a market that does not answer."""

from __future__ import annotations

import threading

import pytest
from support.interrupted_runs import (
    UNINTERRUPTED,
    Interruption,
    World,
    at,
    check_same_as,
)

from cto_worker.domain.events import Mode


def lose_durability(world):
    world.journal.durable = False


def test_a_run_waits_until_its_claim_is_on_disk():
    world, stopping = World(), threading.Event()
    lose_durability(world)

    def mend(_):
        world.journal.durable = True

    stopping.wait = mend
    world.run(stopping=stopping)
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])
    assert world.events[-1].attempt == 1, "to wait for the disk is not a takeover"


def test_an_intent_that_is_not_on_disk_is_submitted_neither_by_this_run_nor_by_the_next():
    """The record exists all the same, so the next run finds an order that may have been submitted."""
    world = World()
    assert world.run(Interruption(at("intend"), action=lambda: lose_durability(world))) is None
    assert len(world.records) == 1
    world.journal.durable = True
    interruption = Interruption(at=3, after=True, action=lambda: lose_durability(world))
    world.take_over(interruption)
    assert interruption.calls == ["claim", "append", "outcome", "intend"]
    assert world.market.sent == {}
    world.journal.durable = True
    world.take_over()
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])


@pytest.mark.parametrize("method", ["account", "detect", "prepare", "outcome"])
def test_a_run_waits_for_a_market_that_does_not_answer(method):
    world = World(patience_s=600)
    world.market.broken = (method,)

    def mend(_):
        world.market.broken = ()

    stopping = threading.Event()
    stopping.wait = mend
    world.run(stopping=stopping)
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])


@pytest.mark.parametrize("method", ["account", "detect", "prepare"])
def test_a_stopping_worker_does_not_wait_for_a_market_that_does_not_answer(method):
    world, stopping, sent = World(patience_s=600), threading.Event(), []
    world.market.broken = (method,)
    interruption = Interruption(at(method), after=True, action=stopping.set)
    assert world.run(interruption, send=lambda *message: sent.append(message), stopping=stopping) is None
    assert len(sent) == 1
    world.market.broken = ()
    world.run()
    check_same_as(world, UNINTERRUPTED[Mode.PREFUNDED, "plain"][0])

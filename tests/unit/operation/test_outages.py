"""Outages: a journal that cannot confirm writes to disk, and a market that does not answer."""

from __future__ import annotations

import threading

import pytest
from support.takeover import PLAIN, Interruption, RecordedJob, assert_same_end, position


def stopping_that_calls(action):
    """Return a stop signal that is never set, and whose first wait performs the action."""
    stopping = threading.Event()
    stopping.wait = lambda _: action()
    return stopping


def test_a_claim_that_is_not_on_disk_starts_nothing_until_it_is():
    job = RecordedJob()
    job.lose_durability()

    def restore():
        job.journal.durable = True

    job.run(stopping=stopping_that_calls(restore))
    assert_same_end(job, PLAIN)
    assert job.events[-1].attempt == 1, "waiting for the disk is no takeover"


def test_an_intent_that_is_not_on_disk_is_sent_neither_by_this_run_nor_by_the_next():
    """The record exists all the same, so the next run treats the order as possibly sent."""
    job = RecordedJob()
    assert job.run(Interruption(position("intend"), action=job.lose_durability)) is None
    assert len(job.records) == 1
    job.journal.durable = True
    interruption = Interruption(at=3, after=True, action=job.lose_durability)
    job.take_over(interruption)
    assert interruption.calls == ["claim", "append", "outcomes", "intend"]
    assert job.market.sent == {}
    job.journal.durable = True
    job.take_over()
    assert_same_end(job, PLAIN)


@pytest.mark.parametrize("method", ["account", "detect", "prepare", "outcomes"])
def test_a_run_waits_for_a_market_that_is_out_of_reach(method):
    job = RecordedJob(patience_s=600)
    job.market.broken = (method,)

    def restore():
        job.market.broken = ()

    job.run(stopping=stopping_that_calls(restore))
    assert_same_end(job, PLAIN)


@pytest.mark.parametrize("method", ["account", "detect", "prepare"])
def test_a_stopping_worker_does_not_wait_for_a_market_that_is_out_of_reach(method):
    job, stopping, sent = RecordedJob(patience_s=600), threading.Event(), []
    job.market.broken = (method,)
    interruption = Interruption(position(method), after=True, action=stopping.set)
    assert job.run(interruption, send=lambda *message: sent.append(message), stopping=stopping) is None
    assert len(sent) == 1
    job.market.broken = ()
    job.run()
    assert_same_end(job, PLAIN)

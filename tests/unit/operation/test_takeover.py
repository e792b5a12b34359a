"""Takeover: wherever a run is lost, the next one continues at the end of the log, and money moves once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as StoreConnectionError
from support.cases import check_all
from support.takeover import (
    FAULTS,
    JOB,
    PLAIN,
    PREFUNDED,
    REFERENCES,
    STANDARD,
    VARIANTS,
    WRITES,
    Interruption,
    RecordedJob,
    assert_consistent,
    assert_same_end,
    executed,
    kill,
    places,
    position,
)

from cto_worker.domain.intent_log import IntentStatus
from cto_worker.domain.lamports import to_sol
from cto_worker.jobs.orphan_sweeper import OrphanSweeper
from cto_worker.testing.in_memory_market import BALANCE_LAMPORTS

MATRIX = pytest.mark.parametrize(
    ("variant", "faults"), [pytest.param(*case, id="-".join(map(str, case))) for case in REFERENCES]
)
MODES = pytest.mark.parametrize("variant", VARIANTS, ids=str)


def test_the_matrix_has_every_call_of_every_run():
    _, calls = REFERENCES[PREFUNDED, "plain"]
    step = ["append", "prepare", "intend", "submit", "outcomes"]
    assert calls == ["claim", "append", "account", "detect", "account_costs", "append", *step * 3, "append"]
    assert sum(len(places(variant, faults)) for variant, faults in REFERENCES) == 1_504


@MATRIX
def test_after_a_killed_run_the_next_one_ends_the_job_as_if_uninterrupted(variant, faults):
    reference, calls = REFERENCES[variant, faults]

    def check(at, after):
        job = RecordedJob(variant, **FAULTS[faults])
        job.run(Interruption(at, after))
        ended = (at, after) == (len(calls), True)
        assert job.state.status.ended == ended
        claims = job.state.attempt
        job.take_over()
        assert_same_end(job, reference)
        assert job.events[-1].attempt == claims + (not ended)

    check_all(places(variant, faults), check)


@MATRIX
def test_a_paused_run_changes_nothing_after_another_run_has_ended_its_job(variant, faults):
    def check(at, after):
        job = RecordedJob(variant, **FAULTS[faults])
        seen = []

        def meanwhile():
            job.take_over()
            seen.extend([list(job.events), dict(job.state.log), dict(job.market.executed)])

        job.run(Interruption(at, after, meanwhile))
        assert seen == [job.events, job.state.log, job.market.executed]
        assert_same_end(job, REFERENCES[variant, faults][0])

    check_all(places(variant, faults), check)


@MODES
def test_a_paused_run_writes_nothing_while_another_run_has_its_job(variant):
    def check(at, after):
        job, seen = RecordedJob(variant), []

        def meanwhile():
            job.take_over(Interruption(at=2, after=True))
            seen.extend([list(job.events), dict(job.state.log)])

        interruption = Interruption(at, after, meanwhile)
        assert job.run(interruption) is None or job.state.status.ended
        writes = [call for call in interruption.calls[at:] if call in WRITES]
        assert len(writes) <= 1, "the first refusal stops the run"
        assert seen == [job.events, job.state.log]
        job.take_over()
        assert_same_end(job, REFERENCES[variant, "plain"][0])

    check_all(places(variant, "plain"), check)


@MODES
def test_a_run_whose_store_fails_stops_and_the_next_one_continues(variant):
    reference, calls = REFERENCES[variant, "plain"]

    def fail():
        raise StoreConnectionError("out of reach")

    def check(at, after):
        job = RecordedJob(variant)
        interruption = Interruption(at, after, fail)
        assert job.run(interruption) is None
        assert len(interruption.calls) == at
        job.take_over()
        assert_same_end(job, reference)

    writes = [(name, place) for name, place in places(variant, "plain") if calls[place[0] - 1] in WRITES]
    check_all(writes, check)


@given(
    variant=st.sampled_from(VARIANTS),
    faults=st.sampled_from(list(FAULTS)),
    interruptions=st.lists(
        st.tuples(st.integers(1, 44), st.booleans(), st.booleans()), min_size=2, max_size=4
    ),
)
def test_any_number_of_runs_may_be_killed_or_paused(variant, faults, interruptions):
    job, left = RecordedJob(variant, **FAULTS[faults]), iter(interruptions)

    def next_run():
        at, after, paused = next(left, (0, False, False))
        job.run(Interruption(at, after, meanwhile if paused else kill))

    def meanwhile():
        job.expire_lease()
        next_run()

    next_run()
    while not job.state.status.ended:
        meanwhile()
    assert_same_end(job, REFERENCES[variant, faults][0])


def test_an_order_that_the_market_knows_is_not_sent_again():
    job = RecordedJob()
    job.run(Interruption(position("submit"), after=True))
    job.take_over()
    assert [len(payloads) for payloads in job.market.sent.values()] == [1, 1, 1]


def test_an_order_that_the_market_does_not_know_is_sent_as_it_was_recorded():
    job = RecordedJob()
    job.run(Interruption(position("intend"), after=True))
    ((intent_id, record),) = job.records.items()
    assert record.status is IntentStatus.INTENDED
    assert job.market.sent == {}
    job.take_over()
    assert job.market.sent[intent_id] == [record.order.payload]


def test_an_unrecorded_order_is_prepared_anew():
    job = RecordedJob()
    job.run(Interruption(position("intend")))
    job.take_over()
    assert job.market.sent[f"{JOB}:wallet-1:buy.1"] == [f"{JOB}:wallet-1:buy.1#2".encode()]


def test_an_order_is_sent_again_with_the_same_bytes_if_its_outcome_cannot_be_queried():
    job = RecordedJob()
    job.run(Interruption(position("submit"), after=True))
    (payload,) = job.market.sent[f"{JOB}:wallet-1:buy.1"]
    job.market.broken = ("outcomes",)
    job.take_over()
    assert job.market.sent[f"{JOB}:wallet-1:buy.1"] == [payload, payload]
    assert job.result["unknownBuys"] == 3


def test_the_first_event_after_a_takeover_names_the_order_in_flight():
    job = RecordedJob()
    job.run(Interruption(position("submit", 2), after=True))
    count = len(job.events)
    job.take_over()
    first = job.events[count]
    assert first.details.current_operation.endswith("Buying with wallet 2 of 3")
    assert first.details.current_operation != "Buying with wallet 2 of 3"
    assert (first.attempt, first.phase, first.details.successful_buys) == (2, 4, 1)


def test_after_a_run_without_a_plan_the_next_one_starts_again_and_progress_does_not_fall():
    job = RecordedJob()
    job.run(Interruption(position("account")))
    job.take_over(Interruption(position("append", 3)))
    job.take_over()
    assert [(event.attempt, event.phase, event.progress) for event in job.events[:7]] == [
        (0, 1, 10),
        (1, 2, 25),
        (2, 2, 25),
        (2, 3, 45),
        (3, 3, 45),
        (3, 3, 45),
        (3, 4, 70),
    ]


def test_a_job_cannot_be_taken_over_before_its_lease_expires():
    job = RecordedJob()
    job.run(Interruption(position("submit")))
    job.journal.now_ms += job.journal.lease_ms - 1
    interruption = Interruption()
    assert job.run(interruption) is None
    assert interruption.calls == ["claim"]


def test_a_sweep_sends_the_message_of_an_expired_job_again():
    job = RecordedJob()
    job.run(Interruption(position("submit", 2)))
    sent = []
    sweeper = OrphanSweeper(job.journal, job.journal.lease_ms, lambda *message: sent.append(message))
    assert sweeper.sweep() == 0
    job.expire_lease()
    assert sweeper.sweep() == 1
    assert sent == [(JOB, job.body, True)]
    job.run()
    assert_same_end(job, PLAIN)


@MODES
def test_the_plan_of_the_first_run_is_kept_though_balances_have_changed(variant):
    """A new plan would see the wallets in another order, and a market that does not answer."""
    job = RecordedJob(variant)
    job.run(Interruption(position("outcomes", variant=variant), after=True))
    rich = job.market.balances
    job.market.balances = dict.fromkeys(["wallet-9", *reversed(rich)], BALANCE_LAMPORTS - 1)
    job.market.broken = ("account", "detect")
    job.take_over()
    assert_consistent(job)
    reference, _ = REFERENCES[variant, "plain"]
    assert job.result == reference.result
    assert executed(job.market) == executed(reference.market)
    assert job.events[-1].platform == "pumpfun"


def test_the_result_counts_the_money_that_an_earlier_run_spent():
    job = RecordedJob(STANDARD, failing=("wallet-2:transfer",))
    job.run(Interruption(position("submit", 5, STANDARD)))
    job.take_over()
    before = BALANCE_LAMPORTS * 4
    assert job.result["totalSpent"] == to_sol(before - sum(job.market.balances.values()))
    assert (job.result["successfulBuys"], job.result["failedBuys"]) == (2, 1)

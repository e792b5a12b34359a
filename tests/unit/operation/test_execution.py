"""Several orders of one operation in flight: their number, their order, and their events."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.takeover import JOB, Interruption, RecordedJob, Variant, assert_consistent, executed, position
from support.timed_market import LATENCY_S, ended_steps, killed_after, timed_job, wallet_of

from cto_worker.domain.progress_event import Mode

PREFUNDED, STANDARD = Mode.PREFUNDED, Mode.STANDARD
FAULTS = ("failing", "refused", "lost")


@pytest.mark.parametrize(
    ("mode", "parallelism", "rounds"),
    [(STANDARD, 10, 2), (PREFUNDED, 10, 1), (STANDARD, 5, 4), (STANDARD, 1, 20), (PREFUNDED, 1, 10)],
)
def test_ten_wallets_take_as_many_latencies_as_rounds(timed, mode, parallelism, rounds):
    job, interruption = timed(mode, parallelism), Interruption()
    assert job.run(interruption)["successfulBuys"] == 10
    assert job.market.now_s == pytest.approx(rounds * LATENCY_S)
    for call in ("prepare", "intend", "submit"):
        assert interruption.calls.count(call) == rounds
    assert_consistent(job)


def test_each_ended_step_has_one_event_of_its_own_and_progress_rises(timed):
    job = timed(STANDARD, 10)
    result = job.run()
    assert [event.seq for event in job.events] == list(range(1, 26))
    assert ended_steps(job) == result["steps"]
    reporting = [event for event in job.events if event.details.last_step]
    assert len(reporting) == len({step["signature"] for step in result["steps"]}) == 20
    progress = [event.progress for event in reporting]
    assert all(before < after for before, after in pairwise(progress))
    assert (progress[0], progress[-1]) == (71.45, 99)
    counts = [event.details.successful_buys for event in reporting]
    assert counts == [0] * 10 + list(range(1, 11))
    assert [event.details.total_spent for event in reporting] == sorted(
        {event.details.total_spent for event in reporting}
    )


PACE = "cto:pace:standard:pumpfun"


def test_the_remaining_time_counts_the_rounds_of_orders_in_flight_and_waiting(timed):
    job = timed(STANDARD, 10)
    job.journal._samples[PACE] = [1000.0]
    job.run()
    remaining = [event.details.estimated_time_remaining for event in job.events[3:]]
    assert remaining == [2000] * 10 + [1000] * 10 + [0, None]


@pytest.mark.parametrize("parallelism", [1, 10])
def test_the_duration_of_a_round_is_learned(timed, monkeypatch, parallelism):
    job = timed(STANDARD, parallelism)
    monkeypatch.setattr("cto_worker.operation.execution.time.monotonic", lambda: job.market.now_s)
    job.run()
    assert job.journal._samples[PACE] == pytest.approx([LATENCY_S * 1000])


def test_events_tell_how_many_wallets_are_active(timed):
    job = timed(STANDARD, 10, wallets=3, latency_s={"wallet-2:transfer": 0.5, "wallet-2:buy": 2})
    job.run()
    assert [event.details.current_operation for event in job.events[3:]] == [
        "Distributing SOL to 3 wallets, 0 of 3 done",
        "Distributing SOL to 2 wallets, 1 of 3 done; Buying with 1 wallet, 0 of 3 done",
        "Distributing SOL to 1 wallet, 2 of 3 done; Buying with 1 wallet, 0 of 3 done",
        "Buying with 3 wallets, 0 of 3 done",
        "Buying with 2 wallets, 1 of 3 done",
        "Buying with wallet 2 of 3",
        "Finishing",
        None,
    ]


def test_steps_are_reported_in_the_order_of_completion(timed):
    latency_s = {f"wallet-{number}:": 10 - number for number in range(1, 10)}
    job = timed(PREFUNDED, 10, wallets=9, latency_s=latency_s)
    result = job.run()
    assert [step["wallet"] for step in result["steps"]] == [f"wallet-{n}" for n in range(9, 0, -1)]
    assert_consistent(job)


@pytest.mark.parametrize("parallelism", [1, 2, 3, 7, 10, 25])
def test_no_more_orders_are_in_flight_than_allowed(timed, parallelism):
    job = timed(STANDARD, parallelism, wallets=12)
    job.run()
    assert job.market.largest_flight == min(parallelism, 12)


def test_a_slow_wallet_does_not_stop_the_others(timed):
    job = timed(PREFUNDED, 2, latency_s={"wallet-1:": 100})
    job.run()
    assert wallet_of(job.market.ended[-1]) == "wallet-1"
    assert job.market.now_s == pytest.approx(100), "the nine others took nine seconds of these"
    assert_consistent(job)


def test_a_slow_transfer_delays_only_the_buy_of_its_wallet(timed):
    job = timed(STANDARD, 10, latency_s={"wallet-4:transfer": 5})
    job.run()
    assert job.market.ended[-2:] == [f"{JOB}:wallet-4:transfer", f"{JOB}:wallet-4:buy.1"]
    assert job.market.now_s == pytest.approx(6)


def test_one_outcome_at_a_time_keeps_the_window_full():
    job = RecordedJob(Variant(PREFUNDED, 2), one_by_one=True, patience_s=600)
    interruption = Interruption()
    job.run(interruption)
    in_phase_4 = [call for call in interruption.calls[position("append", 3) :] if call != "execute"]
    assert in_phase_4 == [
        *["prepare", "intend", "submit", "outcomes", "append"],
        *["prepare", "intend", "submit", "outcomes", "append"],
        *["outcomes", "append"],
    ], "the third order is sent when the first has ended"
    assert_consistent(job)


def assert_in_sequence(market):
    """Check that the orders of each wallet ran one after another: its transfer, and then its buys."""
    by_wallet = {}
    for name, intent_id in market.log:
        by_wallet.setdefault(wallet_of(intent_id), []).append((name, intent_id))
    for log in by_wallet.values():
        intents = [intent_id for name, intent_id in log if name == "sent"]
        assert intents == sorted(intents, key=lambda intent_id: ("transfer" not in intent_id, intent_id))
        assert log == [(name, intent_id) for intent_id in intents for name in ("sent", "ended")]


def assert_full(market, parallelism):
    """Check that at each wait as many orders were in flight as allowed, or each wallet that was left."""
    for wait in market.waits:
        busy = {wallet_of(intent_id) for intent_id in wait.in_flight}
        free = {wallet_of(intent_id) for intent_id in market.due_s.keys() - wait.sent} - busy
        assert len(wait.in_flight) == parallelism or not free


STEPS = [f"wallet-{number}:{kind}" for number in range(1, 7) for kind in ("transfer", "buy.1", "buy.2")]


def assert_same_as_one_at_a_time(job, mode, faults):
    """Check money and counts against an uninterrupted run with one order in flight."""
    reference = timed_job(mode, 1, wallets=6, buy_amount=12, **faults)
    reference.run()
    assert executed(job.market) == executed(reference.market)
    assert job.market.balances == reference.market.balances
    for name in ("outcome", "successfulBuys", "failedBuys", "totalSpent", "wallets"):
        assert job.result[name] == reference.result[name]


@settings(max_examples=50)
@given(
    mode=st.sampled_from(Mode),
    parallelism=st.integers(1, 8),
    latency_s=st.dictionaries(st.sampled_from(STEPS), st.sampled_from([0, 0.5, 1, 1.5, 3])),
    faults=st.dictionaries(st.sampled_from(STEPS), st.sampled_from(["failing", "refused", "lost"])),
)
def test_the_window_stays_full_and_each_wallet_is_in_sequence(mode, parallelism, latency_s, faults):
    """Six wallets with two buys each. Compared with one order at a time, money and counts are the same."""
    faults = {name: tuple(step for step, fault in faults.items() if fault == name) for name in FAULTS}
    job = timed_job(mode, parallelism, wallets=6, buy_amount=12, latency_s=latency_s, **faults)
    job.run()
    assert_in_sequence(job.market)
    assert_full(job.market, parallelism)
    assert_consistent(job)
    assert_same_as_one_at_a_time(job, mode, faults)


@settings(max_examples=50)
@given(
    mode=st.sampled_from(Mode),
    parallelisms=st.lists(st.sampled_from([1, 2, 10]), min_size=5, max_size=5),
    latency_s=st.dictionaries(st.sampled_from(STEPS), st.sampled_from([0, 0.5, 1, 3]), min_size=4),
    faults=st.dictionaries(st.sampled_from(STEPS), st.sampled_from(["failing", "refused", "lost"])),
    kills=st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=4),
)
def test_runs_of_any_parallelism_continue_each_other(mode, parallelisms, latency_s, faults, kills):
    """Killed runs leave orders in flight that end in any order; ``assert_consistent`` checks the replay."""
    faults = {name: tuple(step for step, fault in faults.items() if fault == name) for name in FAULTS}
    job = timed_job(mode, parallelisms[0], wallets=6, buy_amount=12, latency_s=latency_s, **faults)
    for kill, parallelism in zip(kills, parallelisms, strict=False):
        if not job.state.status.ended:
            job.parallelism = parallelism
            job.take_over(Interruption(*kill))
    job.parallelism = parallelisms[-1]
    if not job.state.status.ended:
        job.take_over()
    assert_consistent(job)
    assert_same_as_one_at_a_time(job, mode, faults)


# --- the market's limit ------------------------------------------------------------------------------------


@pytest.mark.parametrize("killed_at", [("append", 3), ("submit", 1)], ids=["plan", "submit"])
def test_the_strategy_limits_the_orders_in_flight_also_after_a_takeover(timed, killed_at):
    job = timed(PREFUNDED, 10, most_in_flight=2)
    job.run(killed_after(*killed_at))
    job.take_over()
    assert job.market.largest_flight == 2
    assert job.result["successfulBuys"] == 10
    assert_consistent(job)


def test_one_order_at_a_time_if_the_strategy_cannot_be_queried_after_a_takeover(timed):
    job = timed(PREFUNDED, 10)
    job.run(killed_after("append", 3))
    job.market.broken = ("strategy",)
    job.take_over()
    assert job.market.largest_flight == 1
    assert job.result["successfulBuys"] == 10


def test_more_orders_in_flight_than_allowed_are_followed_before_the_next_begins(timed):
    job = timed(PREFUNDED, 10, latency_s={f"wallet-{number}:": number for number in (2, 4, 6, 8)}, wallets=12)
    job.run(killed_after("submit"))
    assert len(job.market.in_flight) == 10
    job.parallelism = 3
    job.take_over()
    later = [wait for wait in job.market.waits if len(wait.sent) > 10]
    assert max(len(wait.in_flight) for wait in later) == 3
    assert job.result["successfulBuys"] == 12
    assert_consistent(job)


# --- rejections, lost replies, patience --------------------------------------------------------------------


def test_rejected_orders_of_a_batch_are_failed_buys_and_the_others_are_sent(timed):
    job, interruption = timed(PREFUNDED, 10, refused=("wallet-2:", "wallet-5:")), Interruption()
    result = job.run(interruption)
    assert (result["successfulBuys"], result["failedBuys"], result["walletsUsed"]) == (8, 2, 8)
    assert interruption.calls.count("submit") == 1
    assert [step["wallet"] for step in result["steps"][:2]] == ["wallet-2", "wallet-5"], "known at once"
    assert_consistent(job)


def test_a_batch_without_an_accepted_order_is_not_recorded_and_the_next_begins(timed):
    job, interruption = timed(PREFUNDED, 2, refused=("wallet-1:", "wallet-2:"), wallets=4), Interruption()
    result = job.run(interruption)
    assert (result["successfulBuys"], result["failedBuys"]) == (2, 2)
    assert interruption.calls.count("intend") == 1
    assert_consistent(job)


def test_a_batch_with_a_lost_reply_is_submitted_again_with_the_same_bytes(timed):
    job = timed(PREFUNDED, 4, wallets=4, lost=("wallet-3:",))
    result = job.run()
    assert result["successfulBuys"] == 4
    assert {len(set(payloads)) for payloads in job.market.sent.values()} == {1}
    assert all(len(payloads) > 1 for payloads in job.market.sent.values()), "which arrived is not known"
    assert_consistent(job)


def test_an_order_without_an_outcome_is_unknown_after_the_markets_patience_and_the_others_go_on(timed):
    job = timed(PREFUNDED, 2, patience_s=3.5, silent=("wallet-1:", "wallet-4:"), wallets=6)
    result = job.run()
    assert (result["successfulBuys"], result["unknownBuys"]) == (4, 2)
    assert [(step["wallet"], step["status"]) for step in result["steps"]] == [
        ("wallet-2", "confirmed"),
        ("wallet-3", "confirmed"),
        ("wallet-1", "unknown"),
        ("wallet-5", "confirmed"),
        ("wallet-6", "confirmed"),
        ("wallet-4", "unknown"),
    ]
    assert job.market.now_s == pytest.approx(5.5), "3.5 s from the submission of wallet 4"
    assert job.state.review
    assert_consistent(job)


def test_submissions_are_recorded_once_if_there_is_something_to_wait_for(timed):
    job, interruption = timed(PREFUNDED, 4, wallets=4, latency_s={"wallet-2:": 5}), Interruption()
    job.run(interruption)
    assert interruption.calls.count("record_submission") == 1

"""The five phases, on the twins of journal and market."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as StoreConnectionError

from cto_worker.domain.events import JobStatus, Mode, Status, dumps
from cto_worker.domain.money import to_sol
from cto_worker.domain.request import parse_request
from cto_worker.errors import OperationFailed
from cto_worker.jobs.producer import Producer
from cto_worker.jobs.runner import Runner
from cto_worker.operation.reporter import accepted_event
from cto_worker.store import keys
from cto_worker.testing.in_memory_journal import MemoryJournal
from cto_worker.testing.in_memory_market import BALANCE_LAMPORTS, FUNDING, MemoryMarket

BODY = {
    "tokenAddress": "So11111111111111111111111111111111111111112",
    "userId": "7",
    "userChatId": 42,
    "mode": "prefunded",
    "buyAmount": 0.9,
    "walletCount": 3,
}
BUY_FEE = 6_000


@pytest.fixture
def journal():
    return MemoryJournal()


def run(journal, market, job_id="j1", **changes):
    """Run one operation; return its result, whether it completed or failed."""
    body = {name: value for name, value in (BODY | changes).items() if value is not None}
    request = parse_request(body)
    journal.create(accepted_event(job_id, request), request.to_document())
    try:
        return Runner(journal, market).run_job(job_id, body)
    except OperationFailed as failure:
        return failure.result


def events_of(journal, job_id="j1"):
    return journal.jobs[job_id].events


def fails_with(journal, result, code):
    """Check that the last event and the result contain the error."""
    last = events_of(journal)[-1]
    assert (last.status, last.phase, last.progress) == (Status.FAILED, 5, 100)
    assert last.details.error_code == result["errorCode"] == code
    assert last.details.error
    assert last.phase_title == "CTO Operation Failed"
    assert journal.metadata["j1"]["status"] == "FAILURE"


def test_a_prefunded_operation_buys_with_every_wallet(journal):
    result = run(journal, MemoryMarket())
    assert [(event.phase, event.progress, event.status.value) for event in events_of(journal)] == [
        (1, 10, "started"),
        (2, 25, "in_progress"),
        (3, 45, "in_progress"),
        (4, 70, "in_progress"),
        (4, 79.67, "in_progress"),
        (4, 89.33, "in_progress"),
        (4, 99, "in_progress"),
        (5, 100, "completed"),
    ]
    assert (result["success"], result["successfulBuys"], result["failedBuys"]) == (True, 3, 0)
    assert [event.seq for event in events_of(journal)] == list(range(1, 9))
    assert [event.attempt for event in events_of(journal)] == [0] + [1] * 7


def test_an_event_contains_the_step_that_it_is_the_first_to_count(journal):
    result = run(journal, MemoryMarket(failing=("wallet-2:buy",)))
    assert [event.details.last_step for event in events_of(journal)] == [None] * 4 + [*result["steps"], None]
    counted = [
        (event.details.successful_buys, event.details.failed_buys) for event in events_of(journal)[4:7]
    ]
    assert counted == [(1, 0), (1, 1), (2, 1)]


def test_a_standard_operation_distributes_before_it_buys(journal):
    market = MemoryMarket()
    result = run(journal, market, mode="standard")
    kinds = [step["kind"] for step in result["steps"]]
    assert kinds == ["transfer"] * 3 + ["buy"] * 3
    assert events_of(journal)[-1].details.wallets_used == 3
    assert len(result["transactionSignatures"]) == 6
    assert market.balances[FUNDING] < BALANCE_LAMPORTS
    assert market.balances["wallet-1"] == BALANCE_LAMPORTS, "the transfer covered its buy and fees"


def test_titles_and_descriptions_of_phases_match_the_contract(journal):
    run(journal, MemoryMarket(), mode="standard", buyAmount=0.00003, walletCount=1)
    titles = {event.phase: (event.phase_title, event.phase_description) for event in events_of(journal)}
    assert titles == {
        1: ("CTO Operation Started", "Initiating standard CTO operation"),
        2: ("Validating Parameters", "Checking wallet balances and operation parameters"),
        3: ("Platform Detection", "Optimizing for pumpfun platform"),
        4: ("Executing Operation", "Executing standard CTO with 0.00003 SOL"),
        5: ("CTO Operation Completed", "1 buys succeeded, 0 failed; 4.1e-05 SOL spent"),
    }


def test_the_platform_is_unknown_until_it_is_found(journal):
    run(journal, MemoryMarket())
    assert [event.platform for event in events_of(journal)][:3] == ["unknown", "unknown", "pumpfun"]


@pytest.mark.parametrize("mode", Mode)
def test_the_total_spent_equals_what_left_the_wallets(journal, mode):
    market = MemoryMarket(failing=("wallet-2:buy",))
    result = run(journal, market, mode=mode.value)
    before = BALANCE_LAMPORTS * 4
    assert result["totalSpent"] == to_sol(before - sum(market.balances.values()))


def test_counts_are_true_at_every_event(journal):
    run(journal, MemoryMarket(failing=("wallet-2:buy",)))
    counts = [(e.details.successful_buys, e.details.failed_buys) for e in events_of(journal)[3:]]
    assert counts == [(0, 0), (1, 0), (1, 1), (2, 1), (2, 1)]
    spent = [event.details.total_spent for event in events_of(journal)[1:]]
    assert spent == sorted(spent)


def test_progress_never_falls_and_reaches_99_before_the_end(journal):
    run(journal, MemoryMarket(failing=("wallet-2",), refused=("wallet-3",)), mode="standard")
    progress = [event.progress for event in events_of(journal)]
    assert progress == sorted(progress)
    assert progress[-2:] == [99, 100]


def test_some_buys_failing_does_not_fail_the_operation(journal):
    result = run(journal, MemoryMarket(failing=("wallet-1:buy", "wallet-2:buy")))
    assert (result["success"], result["successfulBuys"], result["failedBuys"]) == (True, 1, 2)
    assert events_of(journal)[-1].status is Status.COMPLETED


def test_all_buys_failing_fails_it(journal):
    result = run(journal, MemoryMarket(failing=("buy",)))
    fails_with(journal, result, "all_buys_failed")
    assert result["failedBuys"] == 3
    assert "slippage_exceeded" in result["error"]


def test_a_wallet_without_a_transfer_buys_nothing(journal):
    market = MemoryMarket(failing=("wallet-2:transfer",))
    result = run(journal, market, mode="standard")
    assert (result["successfulBuys"], result["failedBuys"]) == (2, 1)
    assert not [intent for intent in market.submitted if "wallet-2:buy" in intent]


def test_a_large_share_is_bought_in_several_orders(journal):
    market = MemoryMarket()
    result = run(journal, market, buyAmount=5, walletCount=2)
    assert result["successfulBuys"] == 6, "2.5 SOL per wallet, at most 1 SOL each"
    assert result["walletsUsed"] == 2
    assert "order 2 of 3" in events_of(journal)[4].details.current_operation


def test_an_operation_of_too_many_orders_is_refused(journal):
    result = run(
        journal, MemoryMarket(balances={FUNDING: 10**15}), mode="standard", buyAmount=101, walletCount=1
    )
    fails_with(journal, result, "order_too_large")


@pytest.mark.parametrize("mode", Mode)
def test_too_little_sol_is_found_before_anything_moves(journal, mode):
    market = MemoryMarket()
    result = run(journal, market, mode=mode.value, buyAmount=301)
    fails_with(journal, result, "insufficient_funds")
    assert market.submitted == []
    assert events_of(journal)[-2].phase == 2


def test_the_platforms_fees_must_be_covered_too(journal):
    """The wallets cover the network's fees, which phase 2 checks, but not the platform's."""
    wallets = {f"wallet-{number}": 300_000_000 + BUY_FEE - 1 for number in (1, 2, 3)}
    market = MemoryMarket(balances={FUNDING: 0, **wallets})
    result = run(journal, market)
    fails_with(journal, result, "insufficient_funds")
    assert events_of(journal)[-2].phase == 3
    assert market.submitted == []


def test_exactly_enough_is_enough(journal):
    wallets = {f"wallet-{number}": 300_000_000 + BUY_FEE for number in (1, 2, 3)}
    assert run(journal, MemoryMarket(balances={FUNDING: 0, **wallets}))["success"]


@pytest.mark.parametrize(
    ("market", "changes", "code"),
    [
        (MemoryMarket(user_exists=False), {}, "user_not_found"),
        (MemoryMarket(broken=("account",)), {}, "market_unavailable"),
        (MemoryMarket(broken=("detect",)), {}, "market_unavailable"),
        (MemoryMarket(), {"platform": "elsewhere"}, "platform_unsupported"),
        (MemoryMarket(), {"wallets": [BODY["tokenAddress"]], "walletCount": None}, "wallet_not_owned"),
        (MemoryMarket(broken=("prepare",)), {}, "all_buys_failed"),
        (MemoryMarket(refused=("buy",)), {}, "all_buys_failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failure_in_any_phase_ends_the_job(journal, market, changes, code):
    result = run(journal, market, **changes)
    fails_with(journal, result, code)
    assert market.submitted == []


def test_an_order_with_a_lost_reply_is_queried_and_not_called_failed(journal):
    market = MemoryMarket(lost=("wallet-1:buy",))
    result = run(journal, market)
    assert (result["successfulBuys"], result["failedBuys"], result["unknownBuys"]) == (3, 0, 0)
    assert len(market.submitted) == len(set(market.submitted)), "no order was submitted twice"


def test_an_order_without_an_outcome_is_unknown(journal):
    result = run(journal, MemoryMarket(silent=("wallet-1:buy",)))
    assert (result["success"], result["successfulBuys"], result["unknownBuys"]) == (True, 2, 1)
    assert events_of(journal)[-1].details.unknown_buys == 1


@pytest.mark.parametrize("market", [MemoryMarket(silent=("buy",)), MemoryMarket(broken=("outcome",))])
def test_without_a_confirmed_buy_an_unknown_one_decides_the_error(journal, market):
    result = run(journal, market)
    fails_with(journal, result, "outcome_unknown")
    assert result["unknownBuys"] == 3


def cancel_at(journal, seq):
    def before_append(event):
        if event.seq == seq:
            journal.request_cancel("j1")

    journal.before_append = before_append


@pytest.mark.parametrize("seq", [2, 3, 4, 5, 6])
def test_a_cancellation_takes_effect_before_the_next_step(journal, seq):
    market = MemoryMarket()
    cancel_at(journal, seq)
    result = run(journal, market)
    fails_with(journal, result, "cancelled")
    assert len(market.submitted) == max(0, seq - 4), "seq 4 comes before the first buy"
    assert result["successfulBuys"] == len(market.submitted)
    assert len(events_of(journal)) == seq + 1


def test_a_cancellation_after_the_last_buy_comes_too_late(journal):
    cancel_at(journal, 7)
    assert run(journal, MemoryMarket())["success"]


def test_a_job_cancelled_while_waiting_moves_no_money(journal):
    request = parse_request(BODY)
    journal.create(accepted_event("j1", request), request.to_document())
    journal.request_cancel("j1")
    market = MemoryMarket()
    with pytest.raises(OperationFailed, match="cancelled"):
        Runner(journal, market).run_job("j1", BODY)
    assert market.submitted == []


def test_the_remaining_time_is_learned_from_earlier_runs_only(journal):
    run(journal, MemoryMarket())
    assert all(event.details.estimated_time_remaining is None for event in events_of(journal))
    journal._samples["cto:pace:prefunded:pumpfun"] = [1000.0]
    run(journal, MemoryMarket(), "j2")
    remaining = [event.details.estimated_time_remaining for event in events_of(journal, "j2")]
    assert remaining == [None, None, None, 3000, 2000, 1000, 0, None]


def test_other_modes_and_failed_runs_do_not_change_the_estimate(journal):
    run(journal, MemoryMarket(failing=("buy",)))
    run(journal, MemoryMarket(), "j2", mode="standard")
    run(journal, MemoryMarket(), "j3")
    assert all(event.details.estimated_time_remaining is None for event in events_of(journal, "j3"))


def test_a_run_that_has_lost_its_job_stops_at_once(journal):
    market = MemoryMarket()

    def lose(event):
        if event.seq == 5:
            journal.jobs["j1"].attempt = 2

    journal.before_append = lose
    assert run(journal, market) is None
    assert len(market.submitted) == 1
    assert events_of(journal)[-1].seq == 4


def test_a_defect_of_ours_still_ends_the_job_with_true_counts(journal, caplog):
    market = MemoryMarket()
    submit = market.submit

    class Defective(MemoryMarket):
        def submit(self, order):
            submit(order)
            if "wallet-2" in order.intent_id:
                raise ZeroDivisionError

        def outcome(self, order, *, wait_s):
            return market.outcome(order, wait_s=wait_s)

        def prepare(self, intent):
            return market.prepare(intent)

    market.account("7", 3)
    result = run(journal, Defective())
    fails_with(journal, result, "internal_error")
    assert (result["successfulBuys"], result["unknownBuys"]) == (1, 1), (
        "an order that may be submitted is unknown"
    )
    assert "ZeroDivisionError" in caplog.text


def test_a_doubled_message_does_nothing(journal):
    market = MemoryMarket()
    run(journal, market)
    sent, events = list(market.submitted), list(events_of(journal))
    assert Runner(journal, market).run_job("j1", BODY) is None
    assert (market.submitted, events_of(journal)) == (sent, events)


def test_a_message_that_has_outlived_its_job_starts_nothing(journal):
    assert Runner(journal, MemoryMarket()).run_job("gone-1", BODY, recorded=True) is None
    assert journal.jobs == {}


def test_a_job_whose_message_cannot_be_sent_is_accepted_and_left_to_a_sweep(journal):
    def cannot(*_):
        raise OperationalError("the broker is away")

    created = Producer(journal, cannot).submit(BODY)
    assert created.new
    journal.now_ms += keys.NEW_MESSAGE_CHECK_DELAY_MS
    assert [orphan.job_id for orphan in journal.due()] == [created.job_id]


def test_a_job_sent_by_bare_name_is_recorded_on_arrival(journal):
    result = Runner(journal, MemoryMarket()).run_job("bare-1", BODY)
    assert result["success"]
    assert events_of(journal, "bare-1")[0].status is Status.STARTED


@pytest.mark.parametrize(
    "document", [None, [], "x", {}, BODY | {"buyAmount": float("nan")}, BODY | {"extra": 1}]
)
def test_a_bad_message_is_refused_with_a_journalled_failure(journal, document):
    market = MemoryMarket()
    with pytest.raises(OperationFailed):
        Runner(journal, market).run_job("bad-1", document)
    first, last = events_of(journal, "bad-1")
    assert (first.seq, first.status) == (1, Status.STARTED)
    assert (last.seq, last.status, last.details.error_code) == (2, Status.FAILED, "invalid_request")
    assert journal.jobs["bad-1"].status is JobStatus.FAILED
    assert market.submitted == []


def test_an_unknown_platform_sent_by_bare_name_is_an_invalid_request(journal):
    with pytest.raises(OperationFailed, match="pumpfun, bonk") as refusal:
        Runner(journal, MemoryMarket(), platforms=("pumpfun", "bonk")).run_job("j1", BODY | {"platform": "x"})
    assert refusal.value.code == "invalid_request"


def test_a_refusal_reaches_the_owner_it_names(journal):
    with pytest.raises(OperationFailed, match="buyAmount"):
        Runner(journal, MemoryMarket()).run_job("bad-1", BODY | {"buyAmount": -1})
    assert events_of(journal, "bad-1")[-1].user_id == "7"


@pytest.mark.parametrize("job_id", ["", "a b", "x" * 129, "../x", 'a"b', "a\n"])
def test_a_message_with_an_invalid_job_id_is_refused(journal, job_id):
    with pytest.raises(Exception, match="jobId"):
        Runner(journal, MemoryMarket()).run_job(job_id, BODY)
    assert journal.jobs == {}


def test_named_wallets_are_the_ones_that_buy(journal):
    market = MemoryMarket(balances={FUNDING: BALANCE_LAMPORTS, BODY["tokenAddress"]: BALANCE_LAMPORTS})
    result = run(journal, market, wallets=[BODY["tokenAddress"]], walletCount=None)
    assert [step["wallet"] for step in result["steps"]] == [BODY["tokenAddress"]]


def test_slippage_of_the_request_overrides_the_strategys(journal):
    market = MemoryMarket()
    run(journal, market, slippageBps=7)
    assert {intent.slippage_bps for intent in market.prepared.values()} == {7}
    other = MemoryMarket()
    run(journal, other, "j2")
    assert {intent.slippage_bps for intent in other.prepared.values()} == {500}


def test_a_step_has_the_same_intent_in_every_run(journal):
    first, second = MemoryMarket(), MemoryMarket()
    run(journal, first, mode="standard")
    run(MemoryJournal(), second, mode="standard")
    assert first.submitted == second.submitted


def test_the_result_is_json(journal):
    result = run(journal, MemoryMarket(failing=("wallet-2",)), mode="standard")
    assert dumps(result)
    assert events_of(journal)[-1].details.total_spent == result["totalSpent"]


def test_a_refused_job_that_is_taken_over_keeps_its_owner_and_its_reason(journal):
    class Died(BaseException):
        pass

    def die(_):
        raise Died

    journal.before_append = die
    with pytest.raises(Died):
        Runner(journal, MemoryMarket()).run_job("bad-1", BODY | {"buyAmount": -1})
    journal.before_append = lambda _: None
    journal.now_ms += journal.lease_ms + 1
    (orphan,) = journal.due()
    with pytest.raises(OperationFailed, match="buyAmount"):
        Runner(journal, MemoryMarket()).run_job("bad-1", orphan.request)
    assert events_of(journal, "bad-1")[-1].user_id == "7"


def test_a_message_waits_for_an_unreachable_store(journal, monkeypatch):
    monkeypatch.setattr("cto_worker.jobs.runner.RETRY_S", 0.01)
    claim, calls = journal.claim, []

    class Flaky(MemoryJournal):
        def claim(self, job_id, claimant):
            calls.append(job_id)
            if len(calls) < 3:
                raise StoreConnectionError
            return claim(job_id, claimant)

        create, append, intend, submitted = (
            staticmethod(getattr(journal, name)) for name in ("create", "append", "intend", "submitted")
        )

    assert Runner(Flaky(), MemoryMarket()).run_job("bare-1", BODY)["success"]


def test_a_transfer_without_an_outcome_is_unknown_and_not_a_failed_buy(journal):
    result = run(journal, MemoryMarket(silent=("transfer",)), mode="standard")
    fails_with(journal, result, "outcome_unknown")
    assert (result["failedBuys"], result["unknownBuys"], result["unknownTransfers"]) == (0, 0, 3)
    assert events_of(journal)[-1].details.unknown_transfers == 3
    assert journal.jobs["j1"].review


def test_the_text_of_a_refusal_is_short_and_valid_utf_8(journal):
    long = {f"field-{number}\ud800": 1 for number in range(10_000)}
    with pytest.raises(OperationFailed):
        Runner(journal, MemoryMarket()).run_job("bad-1", BODY | long)
    assert 0 < len(events_of(journal, "bad-1")[-1].details.error) <= 500

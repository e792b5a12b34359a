"""Operations that fail, are cancelled, or have an unknown outcome."""

from __future__ import annotations

import pytest
from support.operations import BODY, BUY_FEE, events_of, fails_with, run

from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import Mode, Status
from cto_worker.errors import OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.testing.in_memory_journal import InMemoryJournal
from cto_worker.testing.in_memory_market import FUNDING, InMemoryMarket


@pytest.fixture
def journal():
    return InMemoryJournal()


def test_some_buys_failing_does_not_fail_the_operation(journal):
    result = run(journal, InMemoryMarket(failing=("wallet-1:buy", "wallet-2:buy")))
    assert (result["success"], result["successfulBuys"], result["failedBuys"]) == (True, 1, 2)
    assert events_of(journal)[-1].status is Status.COMPLETED


def test_all_buys_failing_fails_it(journal):
    result = run(journal, InMemoryMarket(failing=("buy",)))
    fails_with(journal, result, "all_buys_failed")
    assert result["failedBuys"] == 3
    assert "slippage_exceeded" in result["error"]


def test_a_wallet_without_a_transfer_buys_nothing(journal):
    market = InMemoryMarket(failing=("wallet-2:transfer",))
    result = run(journal, market, mode="standard")
    assert (result["successfulBuys"], result["failedBuys"]) == (2, 1)
    assert not [intent for intent in market.submitted if "wallet-2:buy" in intent]


def test_an_operation_of_too_many_orders_is_refused(journal):
    result = run(
        journal, InMemoryMarket(balances={FUNDING: 10**15}), mode="standard", buyAmount=101, walletCount=1
    )
    fails_with(journal, result, "order_too_large")


@pytest.mark.parametrize("mode", Mode)
def test_too_little_sol_is_found_before_anything_moves(journal, mode):
    market = InMemoryMarket()
    result = run(journal, market, mode=mode.value, buyAmount=301)
    fails_with(journal, result, "insufficient_funds")
    assert market.submitted == []
    assert events_of(journal)[-2].phase == 2


def test_the_platforms_fees_must_be_covered_too(journal):
    """The wallets cover the network's fees, which phase 2 checks, but not the platform's."""
    wallets = {f"wallet-{number}": 300_000_000 + BUY_FEE - 1 for number in (1, 2, 3)}
    market = InMemoryMarket(balances={FUNDING: 0, **wallets})
    result = run(journal, market)
    fails_with(journal, result, "insufficient_funds")
    assert events_of(journal)[-2].phase == 3
    assert market.submitted == []


def test_exactly_enough_is_enough(journal):
    wallets = {f"wallet-{number}": 300_000_000 + BUY_FEE for number in (1, 2, 3)}
    assert run(journal, InMemoryMarket(balances={FUNDING: 0, **wallets}))["success"]


@pytest.mark.parametrize(
    ("market", "changes", "code"),
    [
        (InMemoryMarket(user_exists=False), {}, "user_not_found"),
        (InMemoryMarket(broken=("account",)), {}, "market_unavailable"),
        (InMemoryMarket(broken=("detect",)), {}, "market_unavailable"),
        (InMemoryMarket(), {"platform": "elsewhere"}, "platform_unsupported"),
        (InMemoryMarket(), {"wallets": [BODY["tokenAddress"]], "walletCount": None}, "wallet_not_owned"),
        (InMemoryMarket(broken=("prepare",)), {}, "all_buys_failed"),
        (InMemoryMarket(refused=("buy",)), {}, "all_buys_failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failure_in_any_phase_ends_the_job(journal, market, changes, code):
    result = run(journal, market, **changes)
    fails_with(journal, result, code)
    assert market.submitted == []


def test_an_order_with_a_lost_reply_is_queried_and_not_called_failed(journal):
    market = InMemoryMarket(lost=("wallet-1:buy",))
    result = run(journal, market)
    assert (result["successfulBuys"], result["failedBuys"], result["unknownBuys"]) == (3, 0, 0)
    assert len(market.submitted) == len(set(market.submitted)), "no order was submitted twice"


def test_an_order_without_an_outcome_is_unknown(journal):
    result = run(journal, InMemoryMarket(silent=("wallet-1:buy",)))
    assert (result["success"], result["successfulBuys"], result["unknownBuys"]) == (True, 2, 1)
    assert events_of(journal)[-1].details.unknown_buys == 1


@pytest.mark.parametrize("market", [InMemoryMarket(silent=("buy",)), InMemoryMarket(broken=("outcomes",))])
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
    market = InMemoryMarket()
    cancel_at(journal, seq)
    result = run(journal, market)
    fails_with(journal, result, "cancelled")
    assert len(market.submitted) == max(0, seq - 4), "seq 4 comes before the first buy"
    assert result["successfulBuys"] == len(market.submitted)
    assert len(events_of(journal)) == seq + 1


def test_a_cancellation_after_the_last_buy_comes_too_late(journal):
    cancel_at(journal, 7)
    assert run(journal, InMemoryMarket())["success"]


def test_a_job_cancelled_while_waiting_moves_no_money(journal):
    request = parse_request(BODY)
    journal.create(accepted_event("j1", request), request.to_document())
    journal.request_cancel("j1")
    market = InMemoryMarket()
    with pytest.raises(OperationFailed, match="cancelled"):
        JobRunner(Journal.of(journal), market).run_job("j1", BODY)
    assert market.submitted == []


def test_a_run_that_has_lost_its_job_stops_at_once(journal):
    market = InMemoryMarket()

    def lose(event):
        if event.seq == 5:
            journal.jobs["j1"].attempt = 2

    journal.before_append = lose
    assert run(journal, market) is None
    assert len(market.submitted) == 1
    assert events_of(journal)[-1].seq == 4


def test_a_defect_of_ours_still_ends_the_job_with_true_counts(journal, caplog):
    market = InMemoryMarket()
    submit = market.submit

    class Defective(InMemoryMarket):
        def submit(self, orders):
            submit(orders)
            if "wallet-2" in orders[-1].intent_id:
                raise ZeroDivisionError

        def outcomes(self, orders, *, wait_s):
            return market.outcomes(orders, wait_s=wait_s)

        def prepare(self, intents):
            return market.prepare(intents)

    market.account("7", 3)
    result = run(journal, Defective())
    fails_with(journal, result, "internal_error")
    assert (result["successfulBuys"], result["unknownBuys"]) == (1, 1), (
        "an order that may be submitted is unknown"
    )
    assert "ZeroDivisionError" in caplog.text


def test_a_transfer_without_an_outcome_is_unknown_and_not_a_failed_buy(journal):
    result = run(journal, InMemoryMarket(silent=("transfer",)), mode="standard")
    fails_with(journal, result, "outcome_unknown")
    assert (result["failedBuys"], result["unknownBuys"], result["unknownTransfers"]) == (0, 0, 3)
    assert events_of(journal)[-1].details.unknown_transfers == 3
    assert journal.jobs["j1"].review

"""The five phases of an operation on the in-memory journal and market."""

from __future__ import annotations

import pytest
from support.operations import BODY, events_of, run

from cto_worker.domain.lamports import to_sol
from cto_worker.domain.progress_event import Mode, dumps
from cto_worker.testing.in_memory_journal import InMemoryJournal
from cto_worker.testing.in_memory_market import BALANCE_LAMPORTS, FUNDING, InMemoryMarket


@pytest.fixture
def journal():
    return InMemoryJournal()


def test_a_prefunded_operation_buys_with_every_wallet(journal):
    result = run(journal, InMemoryMarket())
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
    result = run(journal, InMemoryMarket(failing=("wallet-2:buy",)))
    assert [event.details.last_step for event in events_of(journal)] == [None] * 4 + [*result["steps"], None]
    counted = [
        (event.details.successful_buys, event.details.failed_buys) for event in events_of(journal)[4:7]
    ]
    assert counted == [(1, 0), (1, 1), (2, 1)]


def test_a_standard_operation_distributes_before_it_buys(journal):
    market = InMemoryMarket()
    result = run(journal, market, mode="standard")
    kinds = [step["kind"] for step in result["steps"]]
    assert kinds == ["transfer"] * 3 + ["buy"] * 3
    assert events_of(journal)[-1].details.wallets_used == 3
    assert len(result["transactionSignatures"]) == 6
    assert market.balances[FUNDING] < BALANCE_LAMPORTS
    assert market.balances["wallet-1"] == BALANCE_LAMPORTS, "the transfer covered its buy and fees"


def test_titles_and_descriptions_of_phases_match_the_contract(journal):
    run(journal, InMemoryMarket(), mode="standard", buyAmount=0.00003, walletCount=1)
    titles = {event.phase: (event.phase_title, event.phase_description) for event in events_of(journal)}
    assert titles == {
        1: ("CTO Operation Started", "Initiating standard CTO operation"),
        2: ("Validating Parameters", "Checking wallet balances and operation parameters"),
        3: ("Platform Detection", "Optimizing for pumpfun platform"),
        4: ("Executing Operation", "Executing standard CTO with 0.00003 SOL"),
        5: ("CTO Operation Completed", "1 buy succeeded, 0 failed; 0.000041 SOL spent"),
    }


def test_the_platform_is_unknown_until_it_is_found(journal):
    run(journal, InMemoryMarket())
    assert [event.platform for event in events_of(journal)][:3] == ["unknown", "unknown", "pumpfun"]


@pytest.mark.parametrize("mode", Mode)
def test_the_total_spent_equals_what_left_the_wallets(journal, mode):
    market = InMemoryMarket(failing=("wallet-2:buy",))
    result = run(journal, market, mode=mode.value)
    before = BALANCE_LAMPORTS * 4
    assert result["totalSpent"] == to_sol(before - sum(market.balances.values()))


def test_counts_are_true_at_every_event(journal):
    run(journal, InMemoryMarket(failing=("wallet-2:buy",)))
    counts = [(e.details.successful_buys, e.details.failed_buys) for e in events_of(journal)[3:]]
    assert counts == [(0, 0), (1, 0), (1, 1), (2, 1), (2, 1)]
    spent = [event.details.total_spent for event in events_of(journal)[1:]]
    assert spent == sorted(spent)


def test_progress_never_falls_and_reaches_99_before_the_end(journal):
    run(journal, InMemoryMarket(failing=("wallet-2",), refused=("wallet-3",)), mode="standard")
    progress = [event.progress for event in events_of(journal)]
    assert progress == sorted(progress)
    assert progress[-2:] == [99, 100]


def test_a_large_share_is_bought_in_several_orders(journal):
    market = InMemoryMarket()
    result = run(journal, market, buyAmount=5, walletCount=2)
    assert result["successfulBuys"] == 6, "2.5 SOL per wallet, at most 1 SOL each"
    assert result["walletsUsed"] == 2
    assert "order 2 of 3" in events_of(journal)[4].details.current_operation


def test_the_remaining_time_is_learned_from_earlier_runs_only(journal):
    run(journal, InMemoryMarket())
    assert all(event.details.estimated_time_remaining is None for event in events_of(journal))
    journal._samples["cto:pace:prefunded:pumpfun"] = [1000.0]
    run(journal, InMemoryMarket(), "j2")
    remaining = [event.details.estimated_time_remaining for event in events_of(journal, "j2")]
    assert remaining == [None, None, None, 3000, 2000, 1000, 0, None]


def test_other_modes_and_failed_runs_do_not_change_the_estimate(journal):
    run(journal, InMemoryMarket(failing=("buy",)))
    run(journal, InMemoryMarket(), "j2", mode="standard")
    run(journal, InMemoryMarket(), "j3")
    assert all(event.details.estimated_time_remaining is None for event in events_of(journal, "j3"))


def test_named_wallets_are_the_ones_that_buy(journal):
    market = InMemoryMarket(balances={FUNDING: BALANCE_LAMPORTS, BODY["tokenAddress"]: BALANCE_LAMPORTS})
    result = run(journal, market, wallets=[BODY["tokenAddress"]], walletCount=None)
    assert [step["wallet"] for step in result["steps"]] == [BODY["tokenAddress"]]


def test_slippage_of_the_request_overrides_the_strategys(journal):
    market = InMemoryMarket()
    run(journal, market, slippageBps=7)
    assert {intent.slippage_bps for intent in market.prepared.values()} == {7}
    other = InMemoryMarket()
    run(journal, other, "j2")
    assert {intent.slippage_bps for intent in other.prepared.values()} == {500}


def test_a_step_has_the_same_intent_in_every_run(journal):
    first, second = InMemoryMarket(), InMemoryMarket()
    run(journal, first, mode="standard")
    run(InMemoryJournal(), second, mode="standard")
    assert first.submitted == second.submitted


def test_the_result_is_json(journal):
    result = run(journal, InMemoryMarket(failing=("wallet-2",)), mode="standard")
    assert dumps(result)
    assert events_of(journal)[-1].details.total_spent == result["totalSpent"]

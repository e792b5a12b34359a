"""Deposits, the reset of the paper market, and the summary of an operation, on a real store."""

from __future__ import annotations

import pytest
from support.paper import balanced, buy, execute, trade_in_threads
from support.samples import MINT

from cto_worker.domain.lamports import LAMPORTS_PER_SOL as SOL
from cto_worker.domain.lamports import to_lamports
from cto_worker.domain.market_port import Transfer
from cto_worker.markets.paper import ledger
from cto_worker.markets.paper.deposits import HIGHEST_LAMPORTS, DepositError, deposit, reset
from cto_worker.markets.paper.ledger_summary import job_ids, operation_costs
from cto_worker.markets.paper.market import PaperMarket, address
from cto_worker.store import keys


@pytest.fixture
def market(store, settings):
    return PaperMarket(store, settings)


def test_a_deposit_is_an_entry_that_balances(store, settings):
    initial = to_lamports(settings.paper_balance_sol)
    assert deposit(store, settings, "7", 3 * SOL) == initial + 3 * SOL, "it opens the funding wallet"
    assert deposit(store, settings, "7", 1) == initial + 3 * SOL + 1
    assert [entry.kind for entry in ledger.entries(store)] == ["deposit"] * 3
    assert balanced(store)
    assert ledger.audit(store).totals_lamports["deposits"] == -(initial + 3 * SOL + 1)


def test_a_deposit_to_a_wallet_needs_the_wallet(market, store, settings):
    market.account("7", 2)
    assert deposit(store, settings, "7", SOL, address("7", 2)) == 101 * SOL
    entries = len(ledger.entries(store))
    with pytest.raises(DepositError, match="no wallet"):
        deposit(store, settings, "7", SOL, address("8", 1))
    with pytest.raises(DepositError, match="at most"):
        deposit(store, settings, "7", HIGHEST_LAMPORTS)
    assert len(ledger.entries(store)) == entries
    assert balanced(store)


def test_a_reset_restores_balances_prices_and_holdings_and_the_ledger_balances(market, store, settings):
    for user in ("7", "8"):
        market.account(user, 2)
        execute(market, buy(user, lamports=5 * SOL, user_id=user))
    first = execute(market, buy("first", lamports=SOL))
    assert reset(store, settings) == 3, "an entry for each user, and one for the curve"
    for user in ("7", "8"):
        assert {wallet["lamports"] for wallet in ledger.wallets(store, user)} == {100 * SOL}
        assert not any(wallet["tokens"] for wallet in ledger.wallets(store, user))
    assert store.hgetall(keys.paper_curve(MINT)) == {b"sol": b"0", b"sold": b"0"}
    assert balanced(store)
    assert sum(ledger.audit(store).totals_lamports.values()) == 0
    assert execute(market, buy("again", lamports=SOL)).tokens > first.tokens, "the price is the first again"
    assert balanced(store)
    assert {entry.kind for entry in ledger.entries(store)} == {"deposit", "buy", "reset"}


def test_a_reset_of_a_reset_market_adds_no_entry(market, store, settings):
    market.account("7", 2)
    assert reset(store, settings) == 0
    assert balanced(store)


def test_resets_and_deposits_during_trades_keep_the_books_balanced(market, store, settings):
    market.account("7", 3)

    def trade(thread):
        for number in range(5):
            execute(market, buy(f"{thread}.{number}", wallet=thread % 3 + 1, lamports=SOL // 10))
            deposit(store, settings, "7", thread + 1)
            if thread == 0:
                reset(store, settings)

    trade_in_threads(store, trade, {"buy", "reset", "deposit"})


def test_the_costs_of_an_operation_are_those_of_its_entries(market, store, settings):
    market.account("7", 2)
    funding, wallet = address("7", 0), address("7", 1)
    moved = execute(market, Transfer(f"j1:{wallet}:transfer", "7", funding, wallet, 2 * SOL))
    bought = execute(market, buy(intent_id=f"j1:{wallet}:buy.1", lamports=SOL))
    execute(market, buy(intent_id=f"j10:{wallet}:buy.1", lamports=SOL))  # another operation
    entries = ledger.entries(store)
    assert job_ids(entries) == ["j1", "j10"]
    costs = operation_costs(entries, "j1")
    assert costs.counts == {"transfer": 1, "buy": 1}
    assert {step.wallet for step in costs.steps} == {wallet}
    assert costs.transferred == 2 * SOL
    assert costs.spent == moved.spent_lamports + bought.spent_lamports
    assert costs.paid_to_curve + costs.platform_fees == SOL
    assert costs.tokens == bought.tokens
    assert [step.signature for step in costs.steps] == [moved.signature, bought.signature]

"""The paper market on a real store: exact amounts, expiry, and balanced books."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace

import base58
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from support.paper import balanced, buy, execute, outcome_of, prepare, trade_in_threads, transfer
from support.samples import MINT

from cto_worker.domain.lamports import LAMPORTS_PER_SOL as SOL
from cto_worker.domain.market_port import Order, OutcomeStatus
from cto_worker.domain.progress_event import dumps
from cto_worker.errors import MarketError, OrderRejectedError
from cto_worker.markets.paper import bonding_curve, ledger
from cto_worker.markets.paper.faults import Fault, Faults
from cto_worker.markets.paper.market import NETWORK_FEE_LAMPORTS, PaperMarket, address
from cto_worker.store import keys
from cto_worker.store.store_connection import connect


@pytest.fixture
def market(store, settings):
    return PaperMarket(store, settings)


@pytest.fixture
def account(market):
    return market.account("7", 3)


def test_a_new_user_gets_real_addresses_and_the_paper_balance(market, settings):
    account = market.account("7", 3)
    assert account.funding_lamports == settings.paper_balance_sol * SOL
    assert list(account.wallets.values()) == [100 * SOL] * 3
    for name in (account.funding_wallet, *account.wallets):
        assert len(base58.b58decode(name)) == 32


def test_wallets_are_opened_once(market, store, account):
    execute(market, buy())
    again = market.account("7", 5)
    assert list(again.wallets)[:3] == list(account.wallets)
    assert len(again.wallets) == 5
    assert again.wallets[address("7", 1)] < 100 * SOL
    assert market.account("7", 1) == again, "a user keeps the wallets it has"
    assert balanced(store)


def test_users_do_not_share_wallets(market):
    assert not market.account("7", 3).wallets.keys() & market.account("8", 3).wallets.keys()


@pytest.mark.parametrize(
    ("mint", "platform"), [("xpump", "pumpfun"), ("xbonk", "bonk"), ("x", "raydium"), ("pumpx", "raydium")]
)
def test_the_platform_is_detected_by_the_mints_suffix(market, mint, platform):
    assert market.detect(mint).platform == platform


def test_each_platform_has_a_strategy_of_its_own(market):
    strategies = [market.strategy(platform) for platform in ("pumpfun", "bonk", "raydium")]
    assert len({(s.slippage_bps, s.max_order_lamports, s.priority_fee_lamports) for s in strategies}) == 3
    with pytest.raises(OrderRejectedError, match="use one of pumpfun, bonk, raydium"):
        market.strategy("elsewhere")


def test_the_first_buy_costs_what_pump_funs_formula_says(market, account):
    """1 SOL: 0.99 net; 1.073e15 * 0.99e9 / 30.99e9, rounded down."""
    outcome = execute(market, buy())
    assert outcome.tokens == 1_073_000_000_000_000 * 990_000_000 // 30_990_000_000 == 34_277_831_558_567
    assert outcome.spent_lamports == SOL + NETWORK_FEE_LAMPORTS + 1_000


def test_every_buy_moves_the_price(market, account):
    tokens = [execute(market, buy(number)).tokens for number in range(5)]
    assert tokens == sorted(tokens, reverse=True)
    assert len(set(tokens)) == 5


@given(
    gained=st.integers(0, 10**14),
    sold=st.integers(0, bonding_curve.TOKENS_FOR_SALE),
    lamports=st.integers(10_000, 10**15),
)
@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_script_computes_exactly_what_python_does(market, store, gained, sold, lamports):
    store.hset(keys.paper_curve(MINT), mapping={"sol": gained, "sold": sold})
    store.hset(keys.paper_wallets("7"), address("7", 1), 2 * 10**15)
    expected = bonding_curve.tokens_for(lamports, gained, sold)
    if expected > bonding_curve.TOKENS_FOR_SALE - sold:
        assert "too few tokens" in prepare(market, buy(lamports=lamports)).error
        return
    assert execute(market, buy(lamports=lamports)).tokens == expected
    assert int(store.hget(keys.paper_curve(MINT), "sold")) == sold + expected
    net = lamports - bonding_curve.platform_fee(lamports)
    assert int(store.hget(keys.paper_curve(MINT), "sol")) == gained + net
    left = 2 * 10**15 - lamports - NETWORK_FEE_LAMPORTS - 1_000
    assert int(store.hget(keys.paper_wallets("7"), address("7", 1))) == left


def test_a_buy_fails_when_the_price_has_moved_past_its_limit(market, store, account):
    slow = prepare(market, buy(1, slippage_bps=100))
    execute(market, buy(2, wallet=2))
    market.submit([slow])
    outcome = outcome_of(market, slow)
    assert (outcome.status, outcome.error_code) == (OutcomeStatus.FAILED, "slippage_exceeded")
    assert outcome.spent_lamports == NETWORK_FEE_LAMPORTS + 1_000, "a failed transaction costs its fees"
    assert outcome.tokens == 0
    assert balanced(store)


def test_the_same_buy_succeeds_with_a_wide_limit(market, account):
    slow = prepare(market, buy(1, slippage_bps=1_000))
    execute(market, buy(2, wallet=2))
    market.submit([slow])
    assert outcome_of(market, slow).status is OutcomeStatus.CONFIRMED


def test_two_orders_for_one_intent_are_both_executed_and_the_audit_finds_it(market, store, account):
    first, second = prepare(market, buy()), prepare(market, buy(slippage_bps=10_000))
    market.submit([first, second, first])
    market.submit([second])
    assert [outcome_of(market, order).status for order in (first, second)] == [OutcomeStatus.CONFIRMED] * 2
    entries = [entry for entry in ledger.entries(store) if entry.executed]
    assert [(entry.kind, entry.signature) for entry in entries] == [
        ("buy", first.signature),
        ("buy", second.signature),
    ]
    assert ledger.audit(store).discrepancies == ("intent j:1 was executed 2 times",)


def test_an_order_that_arrives_after_its_expiry_is_an_entry_without_a_posting(market, store, settings):
    market.account("7", 1)
    in_time, late = prepare(market, transfer(1)), prepare(market, transfer(2))
    store.incrby(keys.PAPER_SKIPPED_MS, settings.paper_expiry_ms - 5_000)
    market.submit([in_time])
    store.incrby(keys.PAPER_SKIPPED_MS, 5_001)
    market.submit([late])
    executed, expired = [entry for entry in ledger.entries(store) if entry.intent_id]
    assert (executed.kind, executed.executed) == ("transfer", True)
    assert (expired.kind, expired.executed, expired.postings) == ("expired", False, ())
    assert expired.signature == late.signature
    assert balanced(store)


def test_an_order_of_an_earlier_release_never_expires_and_executes_once(market, store, account):
    """Its payload has no expiry. The market keeps its outcome where that release would find it."""
    order = prepare(market, buy())
    document = json.loads(order.payload)
    del document["expires"]
    old = Order(order.intent_id, "signature of the earlier release", dumps(document))
    store.incrby(keys.PAPER_SKIPPED_MS, 10**9)
    for _ in range(2):
        market.submit([old])
    assert outcome_of(market, old).status is OutcomeStatus.CONFIRMED
    assert store.hget(keys.paper_intent("j:1"), "signature").decode() == old.signature
    assert [entry.kind for entry in ledger.entries(store) if entry.intent_id] == ["buy"]


def test_orders_do_not_expire_if_the_setting_is_0(store, settings):
    market = PaperMarket(store, replace(settings, paper_expiry_ms=0))
    market.account("7", 1)
    order = prepare(market, buy())
    store.incrby(keys.PAPER_SKIPPED_MS, 10**9)
    assert outcome_of(market, order) is None
    market.submit([order])
    assert outcome_of(market, order).status is OutcomeStatus.CONFIRMED


def test_a_query_ends_when_the_first_order_expires(store, settings):
    """It waits for the time of the store, so no time is asserted here: it would take a minute otherwise."""
    market = PaperMarket(store, replace(settings, paper_expiry_ms=50))
    market.account("7", 1)
    order = prepare(market, buy())
    assert market.outcomes([order], wait_s=60)[order.intent_id].status is OutcomeStatus.EXPIRED


def test_the_orders_that_replace_a_dropped_one_arrive_sooner_or_later(store, settings):
    faults = Faults(replace(settings, paper_dropped_rate=0.5))
    orders = [Order(f"j:{number}", "s", b"") for number in range(200)]
    again = [replace(order, replaced=("s",)) for order in orders]
    dropped, dropped_again = (
        {order.intent_id for order in each if faults.of(order) is Fault.DROPPED} for each in (orders, again)
    )
    assert 60 < len(dropped) < 140
    assert 20 < len(dropped & dropped_again) < 80
    assert dropped == {order.intent_id for order in orders if faults.of(order) is Fault.DROPPED}


def test_signatures_are_well_formed_and_unique(market, account):
    signatures = [prepare(market, buy(number)).signature for number in range(50)]
    assert len(set(signatures)) == 50
    assert {len(base58.b58decode(signature)) for signature in signatures} == {64}


def test_the_signature_is_that_of_the_exact_bytes(market, account):
    order = prepare(market, buy())
    assert base58.b58decode(order.signature) == hashlib.sha512(order.payload).digest()


def test_a_wallet_emptied_meanwhile_fails_on_the_chain(market, store, account):
    late = prepare(market, buy(1, lamports=60 * SOL))
    execute(market, buy(2, lamports=60 * SOL, slippage_bps=10_000, token_address="x"))
    market.submit([late])
    assert outcome_of(market, late).error_code == "insufficient_funds"
    assert balanced(store)


def test_an_unknown_wallet_is_refused(market, account):
    assert prepare(market, buy(wallet=49)).code == "wallet_unknown"


def test_a_curve_that_is_sold_out_sells_nothing(market, store, account):
    store.hset(keys.paper_curve(MINT), mapping={"sol": 0, "sold": bonding_curve.TOKENS_FOR_SALE})
    assert prepare(market, buy()).code == "insufficient_liquidity"


def test_a_transfer_costs_the_network_fee(market, store, account):
    outcome = execute(market, transfer())
    assert (outcome.status, outcome.spent_lamports) == (OutcomeStatus.CONFIRMED, NETWORK_FEE_LAMPORTS)
    after = market.account("7", 3)
    assert after.funding_lamports == 99 * SOL - NETWORK_FEE_LAMPORTS
    assert after.wallets[address("7", 1)] == 101 * SOL
    assert balanced(store)


def test_the_failure_rate_holds_and_the_same_intent_always_behaves_the_same(store, settings):
    market = PaperMarket(store, replace(settings, paper_failure_rate=0.3))
    market.account("7", 1)
    fates = [execute(market, buy(n, lamports=10_000, slippage_bps=10_000)).status for n in range(300)]
    assert 60 < fates.count(OutcomeStatus.FAILED) < 120
    store.flushall()
    market.account("7", 1)
    again = [execute(market, buy(n, lamports=10_000, slippage_bps=10_000)).status for n in range(300)]
    assert again == fates
    assert balanced(store)


def test_latency_runs_from_submission(store, settings):
    market = PaperMarket(store, replace(settings, paper_latency_ms=1_000))
    market.account("7", 2)
    orders = [prepare(market, buy(number, wallet=number)) for number in (1, 2)]
    begun = time.monotonic()
    for order in orders:
        market.submit([order])
    for order in orders:
        market.outcomes([order], wait_s=5)
    assert 0.9 < time.monotonic() - begun < 2, "two at once take no longer than one"


def test_an_unreachable_store_is_a_market_error(settings, tmp_path):
    market = PaperMarket(connect(replace(settings, data_dir=tmp_path)), settings)
    for ask in (lambda: market.account("7", 1), lambda: market.prepare([buy()])):
        with pytest.raises(MarketError):
            ask()


def test_the_books_balance_after_everything_at_once(store, settings):
    """With eight threads, few wallets, tight limits and failures no lamport and no token unit is lost."""
    market = PaperMarket(store, replace(settings, paper_failure_rate=0.1))
    market.account("7", 4)

    def trade(thread):
        for number in range(40):
            intent_id = f"{thread}-{number}"
            wallet = 1 + (thread + number) % 4
            intent = buy(intent_id, wallet, lamports=1_000_003 * (1 + number), slippage_bps=20)
            if number % 5 == 0:
                intent = transfer(intent_id, lamports=12_345)
            order = prepare(market, intent)
            if isinstance(order, Order):
                market.submit([order])

    trade_in_threads(store, trade, {"deposit", "buy", "transfer", "failed_buy"})


@pytest.mark.parametrize("account_key", ["wallets", "tokens", "curve"])
def test_the_audit_finds_a_balance_changed_without_an_entry(market, store, account, account_key):
    execute(market, buy())
    changes = {
        "wallets": (keys.paper_wallets("7"), address("7", 1)),
        "tokens": (keys.paper_tokens("7"), f"{address('7', 1)}:{MINT}"),
        "curve": (keys.paper_curve(MINT), "sol"),
    }
    assert balanced(store)
    store.hincrby(*changes[account_key], 1)
    assert not balanced(store)


def test_wallets_show_what_they_hold(market, store, account):
    outcome = execute(market, buy())
    funding, first, *_ = ledger.wallets(store, "7")
    assert (funding["kind"], funding["lamports"], funding["tokens"]) == ("funding", 100 * SOL, {})
    assert first["tokens"] == {MINT: outcome.tokens}

"""Several orders in one call of the paper market: their order, prices, funds and faults."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import pytest
from support.paper import balanced, buy, outcome_of, prepare, trade_in_threads, transfer
from support.samples import MINT
from support.waiting import wait_until

from cto_worker.domain.lamports import LAMPORTS_PER_SOL as SOL
from cto_worker.domain.market_port import Order, OutcomeStatus, Rejection
from cto_worker.errors import MarketError
from cto_worker.markets.paper import bonding_curve, ledger
from cto_worker.markets.paper.faults import Fault
from cto_worker.markets.paper.market import NETWORK_FEE_LAMPORTS, PaperMarket
from cto_worker.store import keys
from cto_worker.store.store_connection import connect

WALLETS = 10
SILENT_MS = 60_000  # an outcome that is reported late is not reported during a test


@pytest.fixture
def market(store, settings):
    market = PaperMarket(store, settings)
    market.account("7", WALLETS)
    return market


@pytest.fixture
def faulty(store, settings):
    """Make a market on which half of the orders have a fault."""

    def make(fault, **changes):
        market = PaperMarket(store, replace(settings, **{f"paper_{fault}_rate": 0.5}, **changes))
        market.account("7", WALLETS)
        return market

    return make


def buys(numbers=range(1, WALLETS + 1), **changes):
    """Return a buy of each of these wallets."""
    return [buy(number, wallet=number, **changes) for number in numbers]


def mixed(market, fault, size=6):
    """Return buys of which the second has the fault, and the others have none."""

    def numbers(*, has_fault):
        return (
            number
            for number in count(1)
            if (market._faults.of(Order(f"j:{number}", "", b"")) is fault) is has_fault
        )

    faulty, good = numbers(has_fault=True), numbers(has_fault=False)
    return [
        buy(next(faulty if wallet == 2 else good), wallet=wallet, slippage_bps=10_000)
        for wallet in range(1, size + 1)
    ]


def outcomes_of(market, orders):
    """Return the outcomes of orders, in the orders' sequence."""
    known = market.outcomes(orders, wait_s=1)
    return [known[order.intent_id] for order in orders]


def statuses(market, orders):
    return [outcome.status.value for outcome in outcomes_of(market, orders)]


def executed(store):
    return [entry.intent_id for entry in ledger.entries(store) if entry.intent_id]


# --- order and price ---------------------------------------------------------------------------------------


def test_orders_are_executed_in_sequence_at_the_price_that_each_one_meets(market, store):
    orders = market.prepare(buys())
    market.submit(orders)
    gained = sold = 0
    for outcome in outcomes_of(market, orders):
        assert outcome.tokens == bonding_curve.tokens_for(SOL, gained, sold)
        gained, sold = gained + SOL - bonding_curve.platform_fee(SOL), sold + outcome.tokens
    assert executed(store) == [order.intent_id for order in orders]
    assert balanced(store)


def test_no_order_of_others_is_executed_between_the_orders_of_a_batch(market, store):
    batches = [
        market.prepare(
            [buy(f"{batch}-{n}", wallet=n, slippage_bps=10_000, lamports=10**6) for n in range(1, 11)]
        )
        for batch in range(40)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(market.submit, batches))
    ledger = executed(store)
    assert len(ledger) == 400
    for batch in batches:
        first = ledger.index(batch[0].intent_id)
        assert ledger[first : first + 10] == [order.intent_id for order in batch]


def test_the_quotes_of_a_batch_expect_the_orders_before_them(market, store):
    """Each buy of 1 SOL moves the price by about 6 %, so quotes that ignore the others fail at 1 %."""
    orders = market.prepare(buys(slippage_bps=100))
    market.submit(orders)
    assert statuses(market, orders) == ["confirmed"] * WALLETS
    store.delete(keys.paper_curve(MINT))
    independent = [prepare(market, intent) for intent in buys(slippage_bps=100)]
    market.submit(independent)
    assert statuses(market, independent) == ["confirmed", *["failed"] * (WALLETS - 1)]


def test_a_batch_that_nobody_disturbs_gets_exactly_what_was_quoted(market):
    orders = market.prepare(buys(slippage_bps=0))
    market.submit(orders)
    assert statuses(market, orders) == ["confirmed"] * WALLETS


def test_a_buy_of_somebody_else_still_counts_against_the_limit(market, store, settings):
    orders = market.prepare(buys(slippage_bps=100))
    other = PaperMarket(store, settings)
    other.account("8", 1)
    other.submit([prepare(other, buy("other", user_id="8"))])
    market.submit(orders)
    first, *others = outcomes_of(market, orders)
    assert first.error_code == "slippage_exceeded"
    assert {outcome.status for outcome in others} == {OutcomeStatus.CONFIRMED}, (
        "the other buy moved the price as far as the first one would have"
    )
    assert balanced(store)


def test_an_order_that_fails_does_not_stop_the_orders_after_it(market, store):
    tight = buy(2, wallet=2, slippage_bps=0)
    orders = [prepare(market, intent) for intent in (buy(1), tight, buy(3, wallet=3, slippage_bps=10_000))]
    market.submit(orders)
    assert statuses(market, orders) == ["confirmed", "failed", "confirmed"]
    assert balanced(store)


# --- funds -------------------------------------------------------------------------------------------------


def test_transfers_of_one_batch_cannot_overdraw_the_funding_wallet(market, store):
    intents = [transfer(number, lamports=40 * SOL, wallet=number) for number in (1, 2, 3)]
    first, second, rejected = market.prepare([*intents])
    assert isinstance(rejected, Rejection)
    assert rejected.code == "insufficient_funds"
    market.submit([first, second])
    assert statuses(market, [first, second]) == ["confirmed"] * 2
    account = market.account("7", WALLETS)
    assert account.funding_lamports == 20 * SOL - 2 * NETWORK_FEE_LAMPORTS
    assert balanced(store)


def test_exactly_enough_for_all_transfers_of_a_batch_is_enough(market):
    lamports = 50 * SOL - NETWORK_FEE_LAMPORTS
    orders = market.prepare([transfer(number, lamports, wallet=number) for number in (1, 2)])
    market.submit(orders)
    assert statuses(market, orders) == ["confirmed"] * 2
    assert market.account("7", WALLETS).funding_lamports == 0


def test_batches_that_were_prepared_at_the_same_time_cannot_overdraw_the_funding_wallet(market, store):
    batches = [
        market.prepare([transfer(f"{batch}-{n}", 40 * SOL, wallet=n) for n in (1, 2)]) for batch in range(2)
    ]
    for batch in batches:
        market.submit(batch)
    assert statuses(market, batches[0]) == ["confirmed"] * 2
    assert {outcome.error_code for outcome in outcomes_of(market, batches[1])} == {"insufficient_funds"}
    assert market.account("7", WALLETS).funding_lamports >= 0
    assert balanced(store)


def test_buys_of_one_wallet_in_one_batch_cannot_overdraw_it(market):
    first, rejected = market.prepare(
        [buy(1, wallet=2, lamports=60 * SOL), buy(2, wallet=2, lamports=60 * SOL)]
    )
    assert isinstance(first, Order)
    assert isinstance(rejected, Rejection)
    assert rejected.code == "insufficient_funds"


@pytest.mark.parametrize(
    ("rejected", "code"),
    [
        (buy("rejected", wallet=2, lamports=100 * SOL), "insufficient_funds"),
        (buy("rejected", wallet=49), "wallet_unknown"),
        (buy("rejected", wallet=2, lamports=99 * SOL), "insufficient_liquidity"),
    ],
    ids=["funds", "wallet", "liquidity"],
)
def test_a_rejected_order_changes_no_later_quote(market, rejected, code):
    first, *rest = [buy(number, wallet=number, slippage_bps=0) for number in (1, 3, 2)]
    undisturbed = market.prepare([first, *rest])
    first, rejection, *rest = market.prepare([first, rejected, *rest])
    assert isinstance(rejection, Rejection)
    assert rejection.code == code
    quotes = [
        [json.loads(order.payload)["min_tokens"] for order in batch]
        for batch in (undisturbed, [first, *rest])
    ]
    assert quotes[0] == quotes[1]
    market.submit([first, *rest])
    assert statuses(market, [first, *rest]) == ["confirmed"] * 3


# --- outcomes ----------------------------------------------------------------------------------------------


def test_outcomes_are_returned_in_the_order_of_completion(market):
    orders = market.prepare(buys([1, 2, 3], slippage_bps=10_000))
    for order in reversed(orders):
        market.submit([order])
        time.sleep(0.005)  # the ledger's clock counts milliseconds
    known = market.outcomes(orders, wait_s=1)
    assert list(known) == [order.intent_id for order in reversed(orders)]


def test_a_query_waits_only_for_the_first_outcome(faulty):
    market = faulty("silent", paper_timeout_ms=SILENT_MS)
    orders = market.prepare(mixed(market, Fault.SILENT))
    market.submit(orders)
    begun_s = time.monotonic()
    known = market.outcomes(orders, wait_s=SILENT_MS / 1000)
    assert time.monotonic() - begun_s < SILENT_MS / 2000
    assert orders[1].intent_id not in known
    assert len(known) == len(orders) - 1


def test_a_query_waits_for_an_outcome_no_longer_than_asked(faulty, store):
    market = faulty("silent", paper_timeout_ms=SILENT_MS)
    order = prepare(market, mixed(market, Fault.SILENT)[1])
    market.submit([order])
    assert market.outcomes([order], wait_s=0.01) == {}
    calls = script_calls(store)
    assert market.outcomes([order], wait_s=0) == {}
    assert script_calls(store) == calls, "an executed order is not queried again"


def script_calls(store):
    return store.info("commandstats")["cmdstat_evalsha"]["calls"]


# --- faults ------------------------------------------------------------------------------------------------


def test_a_lost_reply_hides_which_orders_of_the_batch_were_executed(faulty, store):
    market = faulty("lost")
    orders = market.prepare(mixed(market, Fault.LOST))
    for _ in range(3):
        with pytest.raises(MarketError, match="lost"):
            market.submit(orders)
    assert statuses(market, orders) == ["confirmed"] * len(orders)
    assert executed(store) == [order.intent_id for order in orders], "each once"
    assert balanced(store)


def test_a_late_order_is_executed_later_and_once_and_the_others_at_once(faulty, store):
    market = faulty("late", paper_timeout_ms=0)
    orders = market.prepare(mixed(market, Fault.LATE))
    late = orders.pop(1)
    market.submit([orders[0], late, *orders[1:]])
    market.submit([late])
    assert executed(store) == [order.intent_id for order in orders]
    assert outcome_of(market, late) is None
    wait_until(lambda: late.intent_id in executed(store))
    for _ in range(2):
        market.submit([late])
    wait_until(
        lambda: not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    )
    assert executed(store).count(late.intent_id) == 1
    assert balanced(store)


def test_an_unreachable_store_is_a_market_error_for_several_orders(market, settings, tmp_path):
    orders = market.prepare(buys([1, 2]))
    unreachable = PaperMarket(connect(replace(settings, data_dir=tmp_path)), settings)
    for call in (unreachable.submit, lambda orders: unreachable.outcomes(orders, wait_s=0)):
        with pytest.raises(MarketError):
            call(orders)


def test_the_books_balance_after_batches_with_every_fault_at_once(store, settings):
    """Eight threads submit batches, some of them twice, with tight limits and failures."""
    market = PaperMarket(store, replace(settings, paper_failure_rate=0.1, paper_lost_rate=0.2))
    market.account("7", WALLETS)

    def trade(thread):
        for number in range(12):
            batch = [
                buy(f"{thread}-{number}-{n}", n, lamports=1_000_003 * (1 + n), slippage_bps=20)
                for n in range(1, 8)
            ]
            batch += [transfer(f"{thread}-{number}-{n}", 12_345, wallet=n) for n in (8, 9)]
            orders = [answer for answer in market.prepare(batch) if isinstance(answer, Order)]
            for _ in range(1 + number % 2):
                try:
                    market.submit(orders)
                except MarketError:
                    continue

    trade_in_threads(store, trade, {"buy", "transfer", "failed_buy"})

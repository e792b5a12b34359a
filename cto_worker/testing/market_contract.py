"""The suite that every market must pass, for pytest.

In a test file of your market::

    class TestMyMarket(MarketContract):
        @pytest.fixture
        def bench(self):
            return MyBench()  # a MarketBench

``pytest.register_assert_rewrite("cto_worker.testing.market_contract")`` in a ``conftest.py`` makes pytest
show the values of a failed assertion.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cto_worker.domain.intent_codec import decode_record, encode_record
from cto_worker.domain.intent_log import IntentRecord, IntentStatus
from cto_worker.domain.market_port import Order, Outcome, OutcomeStatus, Rejection, limited_by, replacing
from cto_worker.errors import MarketError, OrderRejectedError
from cto_worker.testing.market_bench import Fault
from cto_worker.testing.market_orders import (
    WALLETS,
    balances_of,
    buys_of,
    execute,
    new_intent_id,
    orders_of,
    outcomes_of,
    rejection_of,
    transfer_of,
    visible_outcomes,
)

if TYPE_CHECKING:
    from cto_worker.domain.market_port import Buy, Transfer
    from cto_worker.testing.market_bench import MarketBench

THREADS = 8
CONFIRMED, FAILED, EXPIRED = OutcomeStatus.CONFIRMED, OutcomeStatus.FAILED, OutcomeStatus.EXPIRED


class MarketContract:
    """Each method is a test. ``bench`` is a fixture of the subclass: a market that no other test uses."""

    # --- accounts and platforms

    def test_check_describes_the_market(self, bench: MarketBench) -> None:
        assert bench.open().check()

    def test_an_account_keeps_its_wallets(self, bench: MarketBench) -> None:
        first, again = (bench.open().account(bench.user_id, WALLETS) for _ in range(2))
        assert again == first
        assert len(first.wallets) >= WALLETS
        assert first.funding_wallet not in first.wallets

    def test_the_tokens_platform_has_a_strategy(self, bench: MarketBench) -> None:
        strategy = bench.open().detect(bench.token_address)
        assert bench.open().strategy(strategy.platform) == strategy
        assert bench.lamports <= strategy.max_order_lamports

    def test_an_unknown_platform_is_rejected(self, bench: MarketBench) -> None:
        with pytest.raises(OrderRejectedError) as rejected:
            bench.open().strategy("no-such-platform")
        assert rejected.value.code == "platform_unsupported"

    # --- preparation

    def test_preparing_moves_nothing_and_signs_each_order_differently(self, bench: MarketBench) -> None:
        market = bench.open()
        before = balances_of(market, bench)
        intents: list[Transfer | Buy] = [transfer_of(bench), *buys_of(bench)]
        orders = [*orders_of(market, intents), *orders_of(market, intents)]
        assert [order.intent_id for order in orders] == [intent.intent_id for intent in intents] * 2
        assert len({order.signature for order in orders}) == len(orders)
        assert balances_of(market, bench) == before
        assert market.outcomes(orders, wait_s=0) == {}

    def test_an_order_from_the_intent_log_executes(self, bench: MarketBench) -> None:
        market = bench.open()
        (order,) = orders_of(market, buys_of(bench)[:1])
        text = encode_record(IntentRecord(IntentStatus.INTENDED, order))
        read = decode_record(order.intent_id, text).order
        assert read == order
        bench.open().submit([read])
        assert outcomes_of(market, [order])[0].status is CONFIRMED

    def test_too_little_sol_is_rejected(self, bench: MarketBench) -> None:
        market = bench.open()
        buy, transfer = buys_of(bench)[0], transfer_of(bench)
        account = market.account(bench.user_id, WALLETS)
        intents: list[Transfer | Buy] = [
            replace(buy, lamports=account.wallets[buy.wallet]),
            replace(transfer, lamports=account.funding_lamports),
        ]
        for intent in intents:
            assert rejection_of(market, intent) == "insufficient_funds"
            assert bench.executions(intent.intent_id) == 0

    def test_a_batch_cannot_spend_the_same_sol_twice(self, bench: MarketBench) -> None:
        market = bench.open()
        lamports = market.account(bench.user_id, WALLETS).funding_lamports * 3 // 5
        transfers = [replace(transfer_of(bench), lamports=lamports) for _ in range(2)]
        first, second = market.prepare(transfers)
        assert isinstance(first, Order)
        assert isinstance(second, Rejection)
        assert second.code == "insufficient_funds"

    # --- one execution

    def test_a_repeated_order_executes_once(self, bench: MarketBench) -> None:
        market = bench.open()
        orders = orders_of(market, [transfer_of(bench), *buys_of(bench)])
        market.submit([*orders, *orders])
        for again in (market, bench.open()):
            again.submit(orders)
        assert {outcome.status for outcome in outcomes_of(market, orders)} == {CONFIRMED}
        assert [bench.executions(order.intent_id) for order in orders] == [1] * len(orders)

    def test_an_order_executes_once_in_many_threads(self, bench: MarketBench) -> None:
        market = bench.open()
        before = balances_of(market, bench)
        shared = orders_of(market, buys_of(bench))
        own = [orders_of(market, [transfer_of(bench)]) for _ in range(THREADS)]

        def submit(orders: list[Order]) -> None:
            worker = bench.open()
            for _ in range(3):
                worker.submit([*shared, *orders])

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(submit, own))
        orders = [*shared, *(order for each in own for order in each)]
        outcomes = outcomes_of(market, orders)
        assert [bench.executions(order.intent_id) for order in orders] == [1] * len(orders)
        spent = sum(outcome.spent_lamports for outcome in outcomes)
        assert sum(before.values()) - sum(balances_of(market, bench).values()) == spent

    # --- outcomes

    def test_an_outcome_is_the_same_after_a_restart(self, bench: MarketBench) -> None:
        market = bench.open()
        orders = orders_of(market, [transfer_of(bench), *buys_of(bench)])
        market.submit(orders)
        outcomes = outcomes_of(market, orders)
        assert outcomes_of(bench.open(), orders) == outcomes
        assert [outcome.signature for outcome in outcomes] == [order.signature for order in orders]

    def test_only_submitted_orders_have_an_outcome(self, bench: MarketBench) -> None:
        market = bench.open()
        submitted, other = orders_of(market, buys_of(bench)[:2])
        market.submit([submitted])
        outcomes_of(market, [submitted])
        assert market.outcomes([other, submitted], wait_s=0).keys() == {submitted.intent_id}
        assert market.outcomes([other], wait_s=0) == {}

    def test_a_lost_reply_hides_no_execution(self, bench: MarketBench) -> None:
        faulty = bench.open(Fault.LOST_REPLY)
        orders = orders_of(faulty, buys_of(bench))
        for _ in range(2):
            with pytest.raises(MarketError):
                faulty.submit(orders)
        assert {outcome.status for outcome in outcomes_of(bench.open(), orders)} == {CONFIRMED}
        assert [bench.executions(order.intent_id) for order in orders] == [1] * len(orders)

    def test_an_order_that_cannot_be_seen_is_neither_failed_nor_expired(self, bench: MarketBench) -> None:
        """A lagging node knows no status of an executed order. A replacement would buy twice."""
        blind = bench.open(Fault.BLIND)
        orders = orders_of(blind, buys_of(bench))
        blind.submit(orders)
        assert visible_outcomes(blind, orders) == {}
        bench.expire()
        assert visible_outcomes(blind, orders) == {}
        assert {outcome.status for outcome in outcomes_of(bench.open(), orders)} == {CONFIRMED}

    # --- expiry

    def test_a_dropped_order_expires_and_never_executes(self, bench: MarketBench) -> None:
        dropping, market = bench.open(Fault.DROPPED), bench.open()
        orders = orders_of(market, [transfer_of(bench), *buys_of(bench)])
        before = balances_of(market, bench)
        with suppress(MarketError):
            dropping.submit(orders)
        assert market.outcomes(orders, wait_s=0) == {}, "an order that may still execute has not expired"
        bench.expire()
        expired = [Outcome(EXPIRED, order.signature) for order in orders]
        assert outcomes_of(market, orders) == expired
        with suppress(MarketError):
            market.submit(orders)
        assert outcomes_of(bench.open(), orders) == expired, "it is final"
        assert [bench.executions(order.intent_id) for order in orders] == [0] * len(orders)
        assert balances_of(market, bench) == before

    def test_an_executed_order_does_not_expire(self, bench: MarketBench) -> None:
        market = bench.open()
        orders = orders_of(market, buys_of(bench))
        market.submit(orders)
        outcomes = outcomes_of(market, orders)
        bench.expire()
        assert outcomes_of(bench.open(), orders) == outcomes

    def test_the_order_that_replaces_an_expired_one_has_its_limit(self, bench: MarketBench) -> None:
        market = bench.open()
        buy = replace(buys_of(bench)[0], slippage_bps=5_000)
        (expired,) = orders_of(market, [buy])
        assert expired.min_tokens > 0
        bench.expire()
        bench.raise_price()
        (answer,) = orders_of(market, [limited_by(expired, buy)])
        assert answer.min_tokens == expired.min_tokens
        assert answer.signature != expired.signature
        order = replacing(expired, answer)
        market.submit([order])
        (outcome,) = outcomes_of(market, [order])
        assert outcome.status is CONFIRMED
        assert outcome.tokens >= expired.min_tokens
        assert outcomes_of(market, [expired])[0].status is EXPIRED
        assert bench.executions(buy.intent_id) == 1

    def test_no_order_replaces_an_expired_one_beyond_its_limit(self, bench: MarketBench) -> None:
        market = bench.open()
        buy = replace(buys_of(bench)[0], slippage_bps=0)
        (expired,) = orders_of(market, [buy])
        bench.expire()
        bench.raise_price()
        assert rejection_of(market, limited_by(expired, buy)) == "slippage_exceeded"
        assert bench.executions(buy.intent_id) == 0

    # --- amounts

    def test_a_buy_beyond_its_limit_fails_and_costs_only_fees(self, bench: MarketBench) -> None:
        market = bench.open()
        buy = replace(buys_of(bench)[0], slippage_bps=0)
        (order,) = orders_of(market, [buy])
        bench.raise_price()
        held = bench.tokens(buy.wallet)
        market.submit([order])
        (outcome,) = outcomes_of(market, [order])
        assert (outcome.status, outcome.error_code) == (FAILED, "slippage_exceeded")
        assert outcome.spent_lamports <= market.buy_fee(market.detect(bench.token_address))
        assert (outcome.tokens, bench.tokens(buy.wallet)) == (0, held)

    def test_lamports_and_tokens_are_conserved(self, bench: MarketBench) -> None:
        market = bench.open()
        before = balances_of(market, bench)
        transfer, buys = transfer_of(bench), buys_of(bench)
        orders = orders_of(market, [transfer, *buys])
        held = {buy.wallet: bench.tokens(buy.wallet) for buy in buys}
        market.submit(orders)
        paid, *bought = outcomes_of(market, orders)
        expected = dict(before)
        expected[transfer.source] -= transfer.lamports + paid.spent_lamports
        expected[transfer.destination] += transfer.lamports
        for buy, outcome in zip(buys, bought, strict=True):
            expected[buy.wallet] -= outcome.spent_lamports
            assert bench.tokens(buy.wallet) - held[buy.wallet] == outcome.tokens > 0
        assert balances_of(market, bench) == expected

    def test_the_stated_fees_cover_the_costs(self, bench: MarketBench) -> None:
        """The plan of an operation checks the wallets' funds with them."""
        market = bench.open()
        strategy = market.detect(bench.token_address)
        transfer, buy = transfer_of(bench), buys_of(bench)[0]
        costs = market.account_costs(strategy, buy.token_address, [buy.wallet]).get(buy.wallet, 0)
        again = replace(buy, intent_id=new_intent_id(buy.wallet, "buy.2"))
        paid, first, second = (execute(market, intent) for intent in (transfer, buy, again))
        assert paid.spent_lamports <= market.transfer_fee()
        assert first.spent_lamports <= buy.lamports + market.buy_fee(strategy) + costs
        assert second.spent_lamports <= buy.lamports + market.buy_fee(strategy)
        assert not market.account_costs(strategy, buy.token_address, [buy.wallet]).get(buy.wallet)

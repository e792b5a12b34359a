"""Orders of the user of a test bench, and their outcomes, for the contract suite of markets."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from cto_worker.domain.market_port import Buy, Order, Outcome, OutcomeStatus, Rejection, Transfer
from cto_worker.errors import MarketError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cto_worker.domain.market_port import Market
    from cto_worker.testing.market_bench import MarketBench

WALLETS = 4
TRIES = 60  # queries of one second, until an outcome that must come has come


def new_intent_id(wallet: str, name: str) -> str:
    """Return an intent id that no other test has."""
    return f"{uuid4().hex}:{wallet}:{name}"


def transfer_of(bench: MarketBench) -> Transfer:
    """Return a transfer to a wallet that does not buy."""
    account = bench.open().account(bench.user_id, WALLETS)
    wallet = list(account.wallets)[WALLETS - 1]
    name = new_intent_id(wallet, "transfer")
    return Transfer(name, bench.user_id, account.funding_wallet, wallet, bench.lamports)


def buys_of(bench: MarketBench) -> list[Buy]:
    """Return a buy with each wallet but the one that gets transfers."""
    market = bench.open()
    strategy = market.detect(bench.token_address)
    return [
        Buy(
            intent_id=new_intent_id(wallet, "buy.1"),
            user_id=bench.user_id,
            wallet=wallet,
            token_address=bench.token_address,
            lamports=bench.lamports,
            slippage_bps=strategy.slippage_bps,
            priority_fee_lamports=strategy.priority_fee_lamports,
        )
        for wallet in list(market.account(bench.user_id, WALLETS).wallets)[: WALLETS - 1]
    ]


def orders_of(market: Market, intents: Sequence[Transfer | Buy]) -> list[Order]:
    """Prepare orders, none of which may be rejected."""
    orders = []
    for answer in market.prepare(intents):
        assert isinstance(answer, Order), answer
        orders.append(answer)
    return orders


def rejection_of(market: Market, intent: Transfer | Buy) -> str:
    """Return the code with which the market rejects an order."""
    (answer,) = market.prepare([intent])
    assert isinstance(answer, Rejection), answer
    return answer.code


def outcomes_of(market: Market, orders: Sequence[Order]) -> list[Outcome]:
    """Wait for all outcomes, and return them in the sequence of the orders."""
    known: dict[str, Outcome] = {}
    for _ in range(TRIES):
        known |= market.outcomes(orders, wait_s=1)
        if len(known) == len(orders):
            break
    assert known.keys() == {order.intent_id for order in orders}
    return [known[order.intent_id] for order in orders]


def visible_outcomes(market: Market, orders: Sequence[Order]) -> dict[str, Outcome]:
    """Return the outcomes that a market reports at once; none if it raises."""
    with suppress(MarketError):
        return dict(market.outcomes(orders, wait_s=0))
    return {}


def execute(market: Market, intent: Transfer | Buy) -> Outcome:
    """Prepare and submit an order, and return its outcome, which must be a success."""
    orders = orders_of(market, [intent])
    market.submit(orders)
    (outcome,) = outcomes_of(market, orders)
    assert outcome.status is OutcomeStatus.CONFIRMED, outcome
    return outcome


def balances_of(market: Market, bench: MarketBench) -> dict[str, int]:
    """Return the lamports in each wallet of the user."""
    account = market.account(bench.user_id, WALLETS)
    return {account.funding_wallet: account.funding_lamports, **account.wallets}

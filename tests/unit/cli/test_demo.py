"""The operations of the demonstration succeed in any order of their buys."""

from __future__ import annotations

from api.cli.system.demo import operations
from cto_worker.config import Settings
from cto_worker.domain.lamports import to_lamports
from cto_worker.markets.paper.bonding_curve import tokens_for
from cto_worker.markets.paper.market import STRATEGIES


def test_operations_that_buy_one_token_tolerate_each_others_price_moves():
    succeeding = [body for body, error in operations(Settings()) if error is None]
    for number, body in enumerate(succeeding):
        amount = to_lamports(body["buyAmount"])
        others = [*succeeding[:number], *succeeding[number + 1 :]]
        rivals = [each for each in others if each["tokenAddress"] == body["tokenAddress"]]
        before = sum(to_lamports(each["buyAmount"]) for each in rivals)
        quoted, got = tokens_for(amount, 0, 0), tokens_for(amount, before, tokens_for(before, 0, 0))
        default = min(strategy.slippage_bps for strategy in STRATEGIES.values())
        assert got * 10_000 >= quoted * (10_000 - body.get("slippageBps", default)), body

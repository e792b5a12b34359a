"""Test benches of the paper market and of the market in memory."""

from __future__ import annotations

from dataclasses import replace

from cto_worker.domain.lamports import LAMPORTS_PER_SOL as SOL
from cto_worker.markets.paper import ledger
from cto_worker.markets.paper.market import PaperMarket
from cto_worker.store import keys
from cto_worker.testing.in_memory_market import InMemoryMarket
from cto_worker.testing.market_bench import Fault
from support.paper import buy, execute
from support.samples import MINT

_RATES = {
    Fault.DROPPED: "paper_dropped_rate",
    Fault.LOST_REPLY: "paper_lost_rate",
    Fault.BLIND: "paper_silent_rate",
}
_IN_MEMORY = {
    Fault.DROPPED: {"dropped": True},
    Fault.LOST_REPLY: {"lost": ("",)},
    Fault.BLIND: {"silent": ("",)},
}


class PaperBench:
    """The paper market in a store. Its time moves only as far as the bench says, besides the store's time."""

    user_id = "7"
    token_address = MINT
    lamports = SOL // 10

    def __init__(self, store, settings):
        self.store = store
        # An outcome that is reported late is not reported during a test; an order expires only by `expire`.
        self.settings = replace(settings, paper_timeout_ms=600_000, paper_expiry_ms=60_000)

    def open(self, fault=None):
        return PaperMarket(self.store, replace(self.settings, **({_RATES[fault]: 1.0} if fault else {})))

    def expire(self):
        self.store.incrby(keys.PAPER_SKIPPED_MS, self.settings.paper_expiry_ms + 1)

    def raise_price(self):
        market = self.open()
        market.account("other", 1)
        execute(market, buy("other", user_id="other", lamports=2 * SOL))

    def executions(self, intent_id):
        return sum(entry.executed and entry.intent_id == intent_id for entry in ledger.entries(self.store))

    def tokens(self, wallet):
        held = {each["address"]: each["tokens"] for each in ledger.wallets(self.store, self.user_id)}
        return held[wallet].get(MINT, 0)


class InMemoryBench:
    """The market in memory. Its objects share the books; ``opened`` has those that share its time, too."""

    user_id = "7"
    token_address = MINT
    lamports = SOL // 10

    def __init__(self, **options):
        self.market = InMemoryMarket(**options)
        self.opened = [self.market]

    def open(self, fault=None):
        self.opened.append(replace(self.market, **_IN_MEMORY.get(fault, {})))
        return self.opened[-1]

    def expire(self):
        for market in self.opened:
            market.pass_expiry()

    def raise_price(self):
        for market in self.opened:
            market.tokens_per_lamport -= 1

    def executions(self, intent_id):
        return sum(execution.intent_id == intent_id for execution in self.market.executions)

    def tokens(self, wallet):
        return self.market.holdings[wallet, MINT]

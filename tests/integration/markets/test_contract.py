"""The markets of this project pass the suite that every market must pass."""

from __future__ import annotations

import pytest
from support.market_benches import InMemoryBench, PaperBench

from cto_worker.testing.market_contract import MarketContract


class TestPaperMarket(MarketContract):
    @pytest.fixture
    def bench(self, store, settings):
        return PaperBench(store, settings)


class TestInMemoryMarket(MarketContract):
    @pytest.fixture(params=[0, 2_000_000], ids=["no rent", "rent"])
    def bench(self, request):
        return InMemoryBench(rent_lamports=request.param)

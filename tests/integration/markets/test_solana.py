"""The market `solana` on a local chain, with a signer: the contract of markets, and what is its own."""

from __future__ import annotations

import pytest
from support.solana_bench import SolanaBench, SolanaServices

from cto_worker.testing.market_contract import MarketContract


@pytest.fixture(scope="module")
def services():
    services = SolanaServices()
    yield services
    services.close()


@pytest.fixture
def bench(services, opened):
    return opened(SolanaBench(services))


class TestSolanaMarket(MarketContract):
    """The fixture ``bench`` is that of this module."""

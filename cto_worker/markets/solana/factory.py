"""Makes the market `solana` of a worker from its settings, or only names its platforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cto_worker.errors import ConfigError
from cto_worker.markets.solana.aggregator import Aggregator
from cto_worker.markets.solana.chain_reader import ChainReader
from cto_worker.markets.solana.cluster import local_chain_url, providers_and_cluster
from cto_worker.markets.solana.market import SolanaMarket
from cto_worker.markets.solana.strategies import PLATFORMS
from cto_worker.signer.client import SignerClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.config import Settings


class SolanaMarketFactory:
    """Implements :class:`cto_worker.domain.market_port.MarketFactory`."""

    platforms = PLATFORMS

    def __call__(self, settings: Settings, connect: Callable[[str], Any]) -> SolanaMarket:  # noqa: ARG002
        """Return the market on the cluster of ``CTO_SOLANA_RPC_URL``, or on the local chain."""
        if settings.solana_rpc_url and not (settings.solana_genesis and settings.solana_swap_url):
            raise ConfigError(
                "CTO_SOLANA_RPC_URL is set: set CTO_SOLANA_GENESIS to the genesis hash of the cluster and "
                "CTO_SOLANA_SWAP_URL to the address of the aggregator, too"
            )
        providers, cluster = providers_and_cluster(settings)
        swaps = settings.solana_swap_url or f"{local_chain_url(settings)}swap/v2"
        aggregator = Aggregator(swaps, settings.solana_swap_key)
        return SolanaMarket(ChainReader(providers), cluster, aggregator, SignerClient.from_settings(settings))


make_solana_market = SolanaMarketFactory()

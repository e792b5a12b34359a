"""Makes the market `solana` of a worker from its settings, or only names its platforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cto_worker.errors import ConfigError
from cto_worker.markets.solana.aggregator import Aggregator
from cto_worker.markets.solana.chain_reader import ChainReader
from cto_worker.markets.solana.cluster import Cluster
from cto_worker.markets.solana.market import SolanaMarket
from cto_worker.markets.solana.rpc_client import Provider, Providers
from cto_worker.markets.solana.strategies import PLATFORMS
from cto_worker.signer.client import SignerClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.config import Settings

_LOCAL_SWAPS = "/swap/v2"


class SolanaMarketFactory:
    """Implements :class:`cto_worker.domain.market_port.MarketFactory`."""

    platforms = PLATFORMS

    def __call__(self, settings: Settings, connect: Callable[[str], Any]) -> SolanaMarket:  # noqa: ARG002
        """Return the market on the cluster of ``CTO_SOLANA_RPC_URL``, or on the local chain."""
        local = f"http://127.0.0.1:{settings.local_chain_port}"
        if settings.solana_rpc_url and not (settings.solana_genesis and settings.solana_swap_url):
            raise ConfigError(
                "CTO_SOLANA_RPC_URL is set: set CTO_SOLANA_GENESIS to the genesis hash of the cluster and "
                "CTO_SOLANA_SWAP_URL to the address of the aggregator, too"
            )
        urls = settings.solana_rpc_url or (f"{local}/",)
        reader = ChainReader(Providers([Provider(url) for url in urls]))
        cluster = Cluster(reader, settings.solana_genesis, mainnet=settings.solana_mainnet == "yes")
        aggregator = Aggregator(settings.solana_swap_url or local + _LOCAL_SWAPS, settings.solana_swap_key)
        return SolanaMarket(reader, cluster, aggregator, SignerClient.from_settings(settings))


make_solana_market = SolanaMarketFactory()

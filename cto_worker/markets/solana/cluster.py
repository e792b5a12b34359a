"""The identity of the cluster that the providers serve: it is pinned, so that no order goes elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cto_worker.domain.market_port import MarketDescription, Money
from cto_worker.errors import ConfigError, MarketError
from cto_worker.markets.solana.chain_reader import ChainReader
from cto_worker.markets.solana.local_chain.genesis import GENESIS_PREFIX
from cto_worker.markets.solana.rpc_client import Provider, Providers

if TYPE_CHECKING:
    from cto_worker.config import Settings

MAINNET = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"


class Cluster:
    """The cluster with the genesis hash ``pinned``. Without one, it must be a local chain."""

    def __init__(self, reader: ChainReader, pinned: str, *, mainnet: bool) -> None:
        if pinned == MAINNET and not mainnet:
            raise ConfigError(
                "CTO_SOLANA_GENESIS is the genesis hash of mainnet, where orders spend real money. "
                "Read docs/how-to/solana.md, which says what a person must review before"
            )
        self._reader = reader
        self._pinned = pinned
        self._verified = ""

    @property
    def description(self) -> MarketDescription:
        """The only cluster to which orders go. No provider is asked."""
        if not self._pinned or self._pinned.startswith(GENESIS_PREFIX):
            return MarketDescription("solana: local chain", Money.LOCAL_CHAIN)
        name = "mainnet" if self._pinned == MAINNET else f"cluster with genesis hash {self._pinned}"
        return MarketDescription(f"solana: {name}")

    def genesis_hash(self) -> str:
        """Return the genesis hash. It is asked for until every provider has confirmed it.

        Raises :class:`MarketError` if no provider answers, or if one of them serves another cluster.
        """
        if self._verified:
            return self._verified
        answers = self._reader.genesis_hashes()
        found = set(answers)
        if len(found) != 1 or not self._is_pinned(genesis := found.pop()):
            raise MarketError(self._problem(answers))
        if len(answers) == self._reader.provider_count:
            self._verified = genesis
        return genesis

    def _is_pinned(self, genesis: str) -> bool:
        return genesis == self._pinned if self._pinned else genesis.startswith(GENESIS_PREFIX)

    def _problem(self, answers: list[str]) -> str:
        if not answers:
            return (
                "no provider in CTO_SOLANA_RPC_URL answers: start the local chain, or correct the addresses"
            )
        expected = self._pinned or f"that of a local chain, {GENESIS_PREFIX}…"
        return (
            f"the providers' genesis hash is {', '.join(sorted(set(answers)))}, not {expected}: correct "
            "CTO_SOLANA_RPC_URL or CTO_SOLANA_GENESIS"
        )


def providers_and_cluster(settings: Settings) -> tuple[Providers, Cluster]:
    """Return the providers of ``CTO_SOLANA_RPC_URL``, or the local chain, and the cluster they must serve.

    Raises :class:`ConfigError`.
    """
    urls = settings.solana_rpc_url or (local_chain_url(settings),)
    providers = Providers([Provider(url) for url in urls])
    mainnet = settings.solana_mainnet == "yes"
    return providers, Cluster(ChainReader(providers), settings.solana_genesis, mainnet=mainnet)


def local_chain_url(settings: Settings) -> str:
    """Return the address of the first node of the local chain."""
    return f"http://127.0.0.1:{settings.local_chain_port}/"

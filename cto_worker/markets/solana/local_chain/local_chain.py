"""A local chain with its parts: the chain, the exchange, and the nodes that clients ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cto_worker.markets.solana.local_chain.chain import Chain
from cto_worker.markets.solana.local_chain.chain_database import ChainDatabase
from cto_worker.markets.solana.local_chain.exchange.local_exchange import LocalExchange
from cto_worker.markets.solana.local_chain.exchange.price_curve import STEP_PPM
from cto_worker.markets.solana.local_chain.faults import FaultyNode
from cto_worker.markets.solana.local_chain.mempool import Mempool
from cto_worker.markets.solana.local_chain.rpc.request import Node

if TYPE_CHECKING:
    from pathlib import Path

NODE_PATHS = ("/", "/second")  # two nodes, for clients that ask two providers


class LocalChain:
    """The parts of one local chain, whose file is at ``path``.

    ``step_ppm`` is the largest movement of the exchange's reserves per block, in millionths.
    """

    def __init__(self, path: Path, *, step_ppm: int = STEP_PPM) -> None:
        self.chain = Chain(ChainDatabase(path))
        self.mempool = Mempool(self.chain)
        self.exchange = LocalExchange(self.chain, step_ppm)
        self.chain.participants.append(self.exchange)
        self.nodes = {
            path_of_node: Node(self.chain, self.mempool, self.exchange, FaultyNode())
            for path_of_node in NODE_PATHS
        }

    def close(self) -> None:
        """Close the file."""
        self.chain.database.close()

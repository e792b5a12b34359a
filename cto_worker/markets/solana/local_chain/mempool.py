"""The way of a transaction from a node to the chain, with delays."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from solders.transaction import VersionedTransaction

    from cto_worker.markets.solana.local_chain.chain import Chain
    from cto_worker.markets.solana.local_chain.faults import FaultyNode


class Mempool:
    """The transactions that are under way. They are lost with the process, as in a network."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._delayed: dict[int, list[VersionedTransaction]] = {}  # by height of the latest block

    def send(self, transaction: VersionedTransaction, faults: FaultyNode) -> None:
        """Send a transaction towards the next block, or as the node's faults say."""
        if faults.drops():
            return
        if blocks := faults.delay_blocks():
            self._delayed.setdefault(self._chain.tip.height + blocks, []).append(transaction)
        else:
            self._chain.submit(transaction)

    def produce_block(self) -> None:
        """Let the chain produce a block, with the transactions whose delay is over."""
        for height in [height for height in self._delayed if height <= self._chain.tip.height]:
            for transaction in self._delayed.pop(height):
                self._chain.submit(transaction)
        self._chain.produce_block()

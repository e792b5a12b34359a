"""Blocks and slots of the local chain.

A block contains the transactions of one slot. Some slots have no block, as on every Solana cluster, so that a
client that confuses a slot with a height is found out here.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.hash import Hash

if TYPE_CHECKING:
    from collections.abc import Iterable

VALID_BLOCKS = 150  # for which the hash of a block is a valid blockhash of transactions
CONFIRMED_DEPTH = 1  # blocks on top of a confirmed block
FINALIZED_DEPTH = 31
SLOTS_PER_EPOCH = 432_000
KEPT_BLOCKS = 2 * VALID_BLOCKS  # nodes that lag refer to older blocks
_BLOCKS_PER_EMPTY_SLOT = 15


@dataclass(frozen=True, slots=True)
class Block:
    """A block without its transactions. ``time_s`` is a Unix time in seconds."""

    height: int
    hash: Hash
    time_s: int

    @property
    def slot(self) -> int:
        """The block's slot."""
        return slot_of(self.height)


def slot_of(height: int) -> int:
    """Return the slot of the block at a height."""
    return height + height // _BLOCKS_PER_EMPTY_SLOT


def next_hash(parent: Block, signatures: Iterable[bytes]) -> Hash:
    """Return the hash of the block that follows ``parent`` with these transactions."""
    digest = hashlib.sha256(bytes(parent.hash) + parent.height.to_bytes(8, "little"))
    for signature in signatures:
        digest.update(signature)
    return Hash(digest.digest())


class RecentBlocks:
    """The latest blocks. The hashes of the last 150 are valid blockhashes."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks: deque[Block] = deque()
        self._heights: dict[Hash, int] = {}
        for block in blocks:
            self.append(block)

    def append(self, block: Block) -> None:
        """Add the next block."""
        self._blocks.append(block)
        self._heights[block.hash] = block.height
        if len(self._blocks) > KEPT_BLOCKS:
            del self._heights[self._blocks.popleft().hash]

    @property
    def tip(self) -> Block:
        """The latest block."""
        return self._blocks[-1]

    def at(self, height: int) -> Block:
        """Return the block at a height, or the oldest that is kept if that is higher."""
        return self._blocks[max(0, height - self._blocks[0].height)]

    def is_valid(self, blockhash: Hash, height: int) -> bool:
        """Return whether a transaction with this blockhash may execute in the block at ``height``."""
        origin = self._heights.get(blockhash)
        return origin is not None and height <= origin + VALID_BLOCKS

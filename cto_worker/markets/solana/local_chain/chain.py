"""The local chain: pending transactions, blocks, and the rules that LiteSVM does not keep.

A transaction waits until the next block. It executes there if its blockhash is at most 150 blocks old and if
no block contains it yet. A block is one commit on disk, and only then do its transactions have a status: a
crash loses pending transactions only, as a leader that goes down does.

If a block cannot be written, memory is ahead of the disk. The process then ends at once, and continues from
the disk after its restart.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Protocol

from cto_worker.markets.solana.local_chain.blocks import Block, RecentBlocks, next_hash
from cto_worker.markets.solana.local_chain.chain_database import ChainDatabase, Receipt
from cto_worker.markets.solana.local_chain.genesis import Genesis
from cto_worker.markets.solana.local_chain.runtime import Runtime

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from solders.account import Account
    from solders.hash import Hash
    from solders.pubkey import Pubkey
    from solders.transaction import VersionedTransaction

    from cto_worker.markets.solana.local_chain.runtime import Execution

MAX_BLOCK_TRANSACTIONS = 1_000
MAX_PENDING = 20_000
logger = logging.getLogger(__name__)


class Participant(Protocol):
    """A part of the chain that sends transactions of its own and keeps its state with the blocks."""

    def transactions(self) -> Iterable[VersionedTransaction]:
        """Return the transactions with which the next block begins."""

    def executed(self, block: Block, receipts: Sequence[Receipt]) -> None:
        """Note a block that has executed and is not on disk yet."""

    def save(self, cursor: sqlite3.Cursor) -> None:
        """Write the state after that block."""

    def committed(self) -> None:
        """Note that the block is on disk."""


class Chain:
    """One chain. Not thread-safe: one event loop owns it."""

    def __init__(self, database: ChainDatabase) -> None:
        self.database = database
        self.genesis = _identity(database)
        self._recent = RecentBlocks(database.blocks())
        self.runtime = Runtime(database.accounts())
        self.runtime.begin_block(self._recent.tip)
        self._known = {bytes(address) for address, _ in database.accounts()}
        self._pending: dict[bytes, VersionedTransaction] = {}
        self.participants: list[Participant] = []

    @property
    def tip(self) -> Block:
        """The latest block."""
        return self._recent.tip

    def block_at(self, height: int) -> Block:
        """Return one of the latest 300 blocks."""
        return self._recent.at(height)

    def is_valid(self, blockhash: Hash) -> bool:
        """Return whether a transaction with this blockhash may be part of the next block."""
        return self._recent.is_valid(blockhash, self.tip.height + 1)

    def submit(self, transaction: VersionedTransaction) -> None:
        """Add a transaction with valid signatures to those that wait for a block.

        A transaction that already waits is ignored. If :data:`MAX_PENDING` transactions wait, a new one is
        dropped, as a busy leader does.
        """
        if len(self._pending) < MAX_PENDING:
            self._pending.setdefault(bytes(transaction.signatures[0]), transaction)

    def produce_block(self) -> Block:
        """Execute pending transactions in the next block, and write the block to disk."""
        try:
            return self._produce_block()
        except BaseException:
            logger.critical("the block after height %d could not be produced", self.tip.height, exc_info=True)
            logging.shutdown()
            os._exit(os.EX_SOFTWARE)

    def _produce_block(self) -> Block:
        taken = self._taken()
        height = self.tip.height + 1
        signatures = (bytes(transaction.signatures[0]) for transaction in taken)
        block = Block(height, next_hash(self.tip, signatures), max(int(time.time()), self.tip.time_s))
        self.runtime.begin_block(block)
        state = _BlockState(self, block)
        for transaction in taken:
            state.execute(transaction)
        for participant in self.participants:
            participant.executed(block, state.receipts)
        self.database.commit(
            block, state.receipts, state.accounts(), issued=state.issued, save=self._save_participants
        )
        self._known |= {bytes(address) for address in state.changed}
        self._recent.append(block)
        for participant in self.participants:
            participant.committed()
        return block

    def _taken(self) -> list[VersionedTransaction]:
        own = [transaction for each in self.participants for transaction in each.transactions()]
        waiting = list(self._pending)[:MAX_BLOCK_TRANSACTIONS]
        return [*own, *(self._pending.pop(signature) for signature in waiting)]

    def _save_participants(self, cursor: sqlite3.Cursor) -> None:
        for participant in self.participants:
            participant.save(cursor)

    def is_known(self, address: Pubkey) -> bool:
        """Return whether an account is, or ever was, stored on disk."""
        return bytes(address) in self._known

    def may_execute(self, transaction: VersionedTransaction, height: int) -> bool:
        """Return whether a transaction may be part of the block at ``height``, and is part of no other."""
        return self._recent.is_valid(transaction.message.recent_blockhash, height) and not (
            self.database.status(bytes(transaction.signatures[0]))
        )


class _BlockState:
    """The block that is being executed."""

    def __init__(self, chain: Chain, block: Block) -> None:
        self._chain = chain
        self._block = block
        self.receipts: list[Receipt] = []
        self.changed: dict[Pubkey, None] = {}
        self.issued = 0  # lamports of accounts that existed only in the runtime, counted when first stored
        self._signatures: set[bytes] = set()

    def execute(self, transaction: VersionedTransaction) -> None:
        """Execute a transaction, unless it expired, or a block contains it, or it cannot pay its fee."""
        signature = bytes(transaction.signatures[0])
        block = self._block
        if signature in self._signatures or not self._chain.may_execute(transaction, block.height):
            return
        execution = self._chain.runtime.execute(transaction)
        if execution is None:
            return
        self._signatures.add(signature)
        self._note_changes(execution)
        self.receipts.append(
            Receipt(
                signature=signature,
                height=block.height,
                position=len(self.receipts),
                time_s=block.time_s,
                fee=execution.fee,
                error=execution.error,
                transaction=bytes(transaction),
                meta=execution.meta,
                addresses=tuple(bytes(address) for address in execution.addresses),
            )
        )

    def _note_changes(self, execution: Execution) -> None:
        before = dict(zip(execution.addresses, execution.meta["preBalances"], strict=True))
        for address in execution.changed:
            if address not in self.changed and not self._chain.is_known(address):
                self.issued += before[address]
            self.changed[address] = None

    def accounts(self) -> dict[Pubkey, Account | None]:
        """Return the accounts that the block changed."""
        return {address: self._chain.runtime.account(address) for address in self.changed}


def _identity(database: ChainDatabase) -> Genesis:
    """Return the chain's genesis. Creates it if the database is new."""
    if stored := database.identity():
        return Genesis(*stored)
    genesis = Genesis.new()
    first = Block(0, genesis.hash, int(time.time()))
    database.begin(genesis.hash, genesis.seed, genesis.accounts(), first)
    return genesis

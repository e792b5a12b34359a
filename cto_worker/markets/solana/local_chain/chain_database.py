"""The chain on disk: an SQLite file. One commit per block, so a crash loses whole blocks or nothing."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solders.account import Account
from solders.hash import Hash
from solders.pubkey import Pubkey

from cto_worker.errors import ConfigError
from cto_worker.markets.solana import token_program
from cto_worker.markets.solana.local_chain.blocks import KEPT_BLOCKS, Block, slot_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

_VERSION = 1  # of the schema
_COMMIT_TIMEOUT_S = 2.0
_NEVER_PAYS_RENT = 2**64 - 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS identity (genesis_hash BLOB, seed BLOB, issued_lamports INTEGER);
CREATE TABLE IF NOT EXISTS blocks (height INTEGER PRIMARY KEY, hash BLOB, time_s INTEGER);
CREATE TABLE IF NOT EXISTS accounts (
    address BLOB PRIMARY KEY, lamports INTEGER, owner BLOB, executable INTEGER, data BLOB,
    mint BLOB, token_owner BLOB -- of a token account
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS accounts_by_owner ON accounts (token_owner) WHERE token_owner IS NOT NULL;
CREATE TABLE IF NOT EXISTS transactions (
    signature BLOB PRIMARY KEY, height INTEGER, position INTEGER, time_s INTEGER, fee INTEGER, error TEXT,
    bytes BLOB, meta TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mentions (
    address BLOB, height INTEGER, position INTEGER, signature BLOB, PRIMARY KEY (address, height, position)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that a block contains. ``error`` and ``meta`` have the form of the JSON-RPC interface."""

    signature: bytes
    height: int
    position: int  # in its block
    time_s: int
    fee: int  # lamports
    error: Any  # None: executed
    transaction: bytes
    meta: dict[str, Any]
    addresses: tuple[bytes, ...] = ()  # not read back

    @property
    def slot(self) -> int:
        """The slot of its block."""
        return slot_of(self.height)


class ChainDatabase:
    """The tables of one chain. The process that opens it is the only one that writes."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=_COMMIT_TIMEOUT_S)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        version = self._value("PRAGMA user_version")
        if version not in {0, _VERSION}:
            raise ConfigError(
                f"{path} has version {version} of the local chain's schema, this release has {_VERSION}: "
                "delete the file to begin a new chain"
            )
        self._connection.executescript(f"{_SCHEMA} PRAGMA user_version = {_VERSION};")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def identity(self) -> tuple[Hash, bytes] | None:
        """Return the genesis hash and the seed, or ``None`` in a new file."""
        row = self._connection.execute("SELECT genesis_hash, seed FROM identity").fetchone()
        return row and (Hash(row[0]), row[1])

    def begin(
        self, genesis_hash: Hash, seed: bytes, accounts: Mapping[Pubkey, Account], block: Block
    ) -> None:
        """Write the identity, the first accounts and the first block into a new file."""
        issued = sum(account.lamports for account in accounts.values())
        with self._transaction() as cursor:
            cursor.execute("INSERT INTO identity VALUES (?, ?, ?)", (bytes(genesis_hash), seed, issued))
            _write_accounts(cursor, accounts)
            _write_block(cursor, block)

    def commit(
        self,
        block: Block,
        receipts: Iterable[Receipt],
        accounts: Mapping[Pubkey, Account | None],
        *,
        issued: int,
        save: Callable[[sqlite3.Cursor], None],
    ) -> None:
        """Write a block with its transactions and the new state of accounts, all or nothing.

        ``issued`` is the number of lamports that entered the chain's books. ``save`` adds rows of others.
        """
        with self._transaction() as cursor:
            _write_block(cursor, block)
            for receipt in receipts:
                _write_receipt(cursor, receipt)
            _write_accounts(cursor, accounts)
            if issued:
                cursor.execute("UPDATE identity SET issued_lamports = issued_lamports + ?", (issued,))
            save(cursor)

    def add_tables(self, schema: str) -> None:
        """Create the tables of others."""
        self._connection.executescript(schema)

    def rows(self, query: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self._connection.execute(query, parameters).fetchall()

    def blocks(self) -> list[Block]:
        """Return the latest blocks, oldest first."""
        rows = self.rows("SELECT height, hash, time_s FROM blocks ORDER BY height")
        return [Block(height, Hash(digest), time_s) for height, digest, time_s in rows]

    def accounts(self) -> Iterator[tuple[Pubkey, Account]]:
        """Return all accounts."""
        query = "SELECT address, lamports, data, owner, executable FROM accounts"
        for address, lamports, data, owner, executable in self._connection.execute(query):
            yield (
                Pubkey(address),
                Account(lamports, data, Pubkey(owner), bool(executable), _NEVER_PAYS_RENT),
            )

    def receipt(self, signature: bytes) -> Receipt | None:
        """Return a transaction, or ``None`` if no block contains it."""
        query = (
            "SELECT height, position, time_s, fee, error, bytes, meta FROM transactions WHERE signature = ?"
        )
        row = self._connection.execute(query, (signature,)).fetchone()
        if row is None:
            return None
        height, position, time_s, fee, error, transaction, meta = row
        return Receipt(
            signature, height, position, time_s, fee, json.loads(error), transaction, json.loads(meta)
        )

    def status(self, signature: bytes) -> tuple[int, Any] | None:
        """Return the height and the error of a transaction, or ``None`` if no block contains it."""
        query = "SELECT height, error FROM transactions WHERE signature = ?"
        row = self._connection.execute(query, (signature,)).fetchone()
        return row and (row[0], json.loads(row[1]))

    def receipts_of(
        self, address: Pubkey, *, highest: int, before: bytes | None, until: bytes | None, limit: int
    ) -> list[Receipt]:
        """Return transactions that name an address, newest first, of blocks up to the height ``highest``.

        Those from ``before`` on and up to ``until`` are left out.
        """
        newest = self._place(before) if before else (highest + 1, 0)
        oldest = self._place(until) if until else (-1, 0)
        query = (
            "SELECT signature FROM mentions WHERE address = ? AND height <= ? AND (height, position) < (?, ?)"
            " AND (height, position) > (?, ?) ORDER BY height DESC, position DESC LIMIT ?"
        )
        rows = self.rows(query, (bytes(address), highest, *newest, *oldest, limit))
        receipts = (self.receipt(row[0]) for row in rows)
        return [receipt for receipt in receipts if receipt]

    def _place(self, signature: bytes) -> tuple[int, int]:
        """Return height and position of a transaction; the end of the chain if there is no such one."""
        receipt = self.receipt(signature)
        return (receipt.height, receipt.position) if receipt else (2**62, 0)

    def transaction_count(self) -> int:
        """Return the number of transactions in all blocks."""
        return int(self._value("SELECT count(*) FROM transactions"))

    def conservation(self) -> dict[str, int]:
        """Return the lamports that were issued, that accounts hold, and that were burned as fees."""
        return {
            "issued": self._value("SELECT issued_lamports FROM identity"),
            "held": self._value("SELECT coalesce(sum(lamports), 0) FROM accounts"),
            "burned": self._value("SELECT coalesce(sum(fee), 0) FROM transactions"),
        }

    def _value(self, query: str) -> Any:
        return self._connection.execute(query).fetchone()[0]

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection)


class _Transaction:
    """An SQL transaction that takes the write lock at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Cursor:
        return self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, error: object, *_details: object) -> None:
        self._connection.execute("ROLLBACK" if error else "COMMIT")


def _write_block(cursor: sqlite3.Cursor, block: Block) -> None:
    cursor.execute("INSERT INTO blocks VALUES (?, ?, ?)", (block.height, bytes(block.hash), block.time_s))
    cursor.execute("DELETE FROM blocks WHERE height <= ?", (block.height - KEPT_BLOCKS,))


def _write_receipt(cursor: sqlite3.Cursor, receipt: Receipt) -> None:
    cursor.execute(
        "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            receipt.signature,
            receipt.height,
            receipt.position,
            receipt.time_s,
            receipt.fee,
            json.dumps(receipt.error),
            receipt.transaction,
            json.dumps(receipt.meta),
        ),
    )
    cursor.executemany(
        "INSERT OR IGNORE INTO mentions VALUES (?, ?, ?, ?)",
        [(address, receipt.height, receipt.position, receipt.signature) for address in receipt.addresses],
    )


def _write_accounts(cursor: sqlite3.Cursor, accounts: Mapping[Pubkey, Account | None]) -> None:
    gone = [(bytes(address),) for address, account in accounts.items() if not (account and account.lamports)]
    cursor.executemany("DELETE FROM accounts WHERE address = ?", gone)
    cursor.executemany(
        "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            _account_row(address, account)
            for address, account in accounts.items()
            if account and account.lamports
        ],
    )


def _account_row(address: Pubkey, account: Account) -> tuple[Any, ...]:
    held = (
        token_program.token_account(account.data) if account.owner in token_program.TOKEN_PROGRAMS else None
    )
    token = (bytes(held.mint), bytes(held.owner)) if held else (None, None)
    executable = int(account.executable)
    return (bytes(address), account.lamports, bytes(account.owner), executable, account.data, *token)

"""The signer's SQLite database: sealed keys, spendings and changes. A commit is on disk when it returns."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from cto_worker.errors import KeystoreError
from cto_worker.signer.private_files import check_private, create_private, create_private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cto_worker.config import Settings

SCHEMA_VERSION = 1
_FILE, _LOCK = "keys.db", "lock"
_WAIT_S = 5.0  # for another process's transaction
_SCHEMA = """
CREATE TABLE master_key (key_id TEXT NOT NULL);
CREATE TABLE wallets (
    address TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    position INTEGER NOT NULL,  -- 0: the funding wallet
    sealed BLOB NOT NULL,
    UNIQUE (user_id, position)
);
CREATE TABLE spendings (  -- signed messages of the last 24 hours
    message_hash BLOB PRIMARY KEY,
    user_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    lamports INTEGER NOT NULL
);
CREATE INDEX spendings_by_user ON spendings (user_id, at_ms);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    operator TEXT NOT NULL,
    action TEXT NOT NULL,
    user_id TEXT NOT NULL,
    address TEXT NOT NULL
);
"""


def directory_of(settings: Settings) -> Path:
    """Return the directory of the signer's database."""
    return settings.data_dir.absolute() / "signer"


@contextmanager
def opened(directory: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to the database in a directory. Both are created if they are missing.

    The connection may be used by several threads, one at a time. Raises :class:`KeystoreError` if other users
    have access to the files, or if the schema is that of another release.
    """
    create_private_directory(directory)
    path = directory / _FILE
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would use the umask
    check_private(path)
    connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _create_schema(connection, path)
        yield connection
    except sqlite3.DatabaseError as error:
        raise KeystoreError(f"the signer's database {path} is unusable: {error}") from error
    finally:
        connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block as one atomic and durable change. An exception discards it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a failed COMMIT may have ended it already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the lock of the running signer. Raises :class:`KeystoreError` if another process holds it."""
    create_private_directory(directory)
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise KeystoreError(f"a signer uses {directory}: stop it first") from error
    try:
        yield
    finally:
        os.close(descriptor)


def back_up(connection: sqlite3.Connection, path: Path) -> None:
    """Write a copy of the database to a new file, also while a signer runs."""
    create_private(path, "")
    with closing(sqlite3.connect(path)) as copy:
        connection.backup(copy)


def _create_schema(connection: sqlite3.Connection, path: Path) -> None:
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise KeystoreError(
                f"{path} has the schema {version} and this release needs {SCHEMA_VERSION}: "
                "run the release that wrote it"
            )

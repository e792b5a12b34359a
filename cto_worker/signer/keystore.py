"""The wallets of all users, with their sealed keys, and the log of changes to them.

Wallets are only added. The first wallet of a user is the funding wallet; the others are operation wallets.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cto_worker.domain.operation_request import USER_ID
from cto_worker.errors import ConfigError, KeystoreError, SignerRefusedError
from cto_worker.signer.database import transaction
from cto_worker.signer.secret_key import SecretKey

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from cto_worker.signer.master_key import MasterKey

MAX_WALLETS = 200  # of one user
WORKER = "worker"  # operator of the changes that a worker requests


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of the log of changes."""

    number: int
    at_ms: int
    operator: str  # name of the operating system's user, or "worker"
    action: str  # "generate", "import" or "rotate"
    user_id: str
    address: str


class Keystore:
    """The keys in a database. Raises :class:`KeystoreError` if another master key sealed them."""

    def __init__(
        self, database: sqlite3.Connection, master_key: MasterKey, now_s: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._master_key = master_key
        self._now_s = now_s
        self._check_master_key()

    def import_key(self, user_id: str, secret_key: SecretKey, operator: str) -> None:
        """Add a wallet whose key exists already. Raises :class:`ConfigError` if the wallet exists."""
        with transaction(self._database):
            self._add(user_id, secret_key, "import", operator)

    def generate(self, user_id: str, count: int, operator: str) -> list[str]:
        """Add new wallets. Return their addresses; their keys are on disk."""
        secret_keys = [SecretKey.generate() for _ in range(count)]
        with transaction(self._database):
            for secret_key in secret_keys:
                self._add(user_id, secret_key, "generate", operator)
        return [secret_key.address for secret_key in secret_keys]

    def open_wallets(self, user_id: str, count: int) -> list[str]:
        """Add operation wallets until there are ``count``, and return all addresses of the user.

        Raises :class:`SignerRefusedError` ``user_not_found`` if the user has no funding wallet, because only
        an operator adds users, or ``too_many_wallets``.
        """
        known = addresses(self._database, user_id)
        if not known:
            raise SignerRefusedError("user_not_found", f"user {user_id} has no funding wallet")
        missing = 1 + count - len(known)
        if missing > MAX_WALLETS - len(known):
            raise SignerRefusedError(
                "too_many_wallets", f"user {user_id} can have {MAX_WALLETS} wallets, not {1 + count}"
            )
        return [*known, *(self.generate(user_id, missing, WORKER) if missing > 0 else ())]

    def secret_key(self, user_id: str, address: str) -> SecretKey:
        """Return the key of a user's wallet. Raises :class:`SignerRefusedError` ``wallet_unknown``."""
        row = self._database.execute(
            "SELECT sealed FROM wallets WHERE address = ? AND user_id = ?", (address, user_id)
        ).fetchone()
        if row is None:
            raise SignerRefusedError("wallet_unknown", f"user {user_id} has no wallet {address}")
        return self._master_key.unseal(row[0], user_id, address)

    def owns(self, user_id: str, address: str) -> bool:
        """Return whether a user has a wallet. It is authentic, because its key opens and fits the address."""
        try:
            self.secret_key(user_id, address)
        except SignerRefusedError:
            return False
        return True

    def rotate(self, new: MasterKey, operator: str) -> int:
        """Seal all keys with another master key, in one step. Return their number."""
        with transaction(self._database):
            rows = self._database.execute("SELECT address, user_id, sealed FROM wallets").fetchall()
            for address, user_id, sealed in rows:
                secret_key = self._master_key.unseal(sealed, user_id, address)
                self._database.execute(
                    "UPDATE wallets SET sealed = ? WHERE address = ?",
                    (new.seal(secret_key, user_id), address),
                )
            self._database.execute("UPDATE master_key SET key_id = ?", (new.key_id,))
            self._enter(operator, "rotate")
        self._master_key = new
        return len(rows)

    def _add(self, user_id: str, secret_key: SecretKey, action: str, operator: str) -> None:
        if not USER_ID.match(user_id):
            raise ConfigError(
                f"the user id is {user_id!r}: use 1 to 64 characters, "
                "each a letter, a digit or one of _ . : @ + -"
            )
        address = secret_key.address
        if self._database.execute("SELECT 1 FROM wallets WHERE address = ?", (address,)).fetchone():
            raise ConfigError(f"the wallet {address} exists already: a wallet has one user")
        position = len(addresses(self._database, user_id))
        if position >= MAX_WALLETS:
            raise ConfigError(f"user {user_id} has {position} wallets, the maximum: use another user id")
        self._database.execute(
            "INSERT INTO wallets (address, user_id, position, sealed) VALUES (?, ?, ?, ?)",
            (address, user_id, position, self._master_key.seal(secret_key, user_id)),
        )
        self._enter(operator, action, user_id, address)

    def _enter(self, operator: str, action: str, user_id: str = "", address: str = "") -> None:
        self._database.execute(
            "INSERT INTO changes (at_ms, operator, action, user_id, address) VALUES (?, ?, ?, ?, ?)",
            (round(self._now_s() * 1_000), operator, action, user_id, address),
        )

    def _check_master_key(self) -> None:
        with transaction(self._database):
            row = self._database.execute("SELECT key_id FROM master_key").fetchone()
            if row is None:
                self._database.execute(
                    "INSERT INTO master_key (key_id) VALUES (?)", (self._master_key.key_id,)
                )
        if row is not None and row[0] != self._master_key.key_id:
            raise KeystoreError(
                f"the keys are sealed with the master key {row[0]}, but CTO_SIGNER_KEY_FILE has "
                f"{self._master_key.key_id}: set CTO_SIGNER_KEY_FILE to the file of the master key {row[0]}"
            )


def addresses(database: sqlite3.Connection, user_id: str) -> list[str]:
    """Return the addresses of a user's wallets in the order of their creation; the first is for funding."""
    rows = database.execute("SELECT address FROM wallets WHERE user_id = ? ORDER BY position", (user_id,))
    return [address for (address,) in rows]


def user_ids(database: sqlite3.Connection) -> list[str]:
    """Return all users with wallets, in alphabetical order."""
    rows = database.execute("SELECT DISTINCT user_id FROM wallets ORDER BY user_id")
    return [user_id for (user_id,) in rows]


def changes(database: sqlite3.Connection) -> Iterable[Change]:
    """Yield the log of changes, oldest first."""
    rows = database.execute(
        "SELECT number, at_ms, operator, action, user_id, address FROM changes ORDER BY number"
    )
    return (Change(*row) for row in rows)

"""The master key, which seals the secret keys of all wallets at rest.

A sealed key is bound to its user and its address: moved to another row of the database, it cannot be
decrypted. The cipher is XChaCha20-Poly1305 with a random nonce for each seal.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import NoReturn

from nacl.exceptions import CryptoError
from nacl.secret import Aead

from cto_worker.errors import ConfigError, KeystoreError
from cto_worker.signer.private_files import check_private, create_private
from cto_worker.signer.secret_key import SecretKey

_BYTES = 32
_CONTEXT = b"cto signer wallet 1"  # a key that was sealed for another purpose cannot be decrypted
# A random key has fewer distinct bytes with a probability of 10**-16; a placeholder usually has fewer.
_MIN_DISTINCT_BYTES = 16
_MAX_FILE_BYTES = 1_024


class MasterKey:
    """A key of 32 bytes. ``key_id`` identifies it, and does not reveal it."""

    __slots__ = ("_aead", "key_id")

    def __init__(self, key: bytes) -> None:
        self._aead = Aead(key)
        self.key_id = hashlib.blake2b(key=key, digest_size=8, person=b"cto signer id").hexdigest()

    def seal(self, secret_key: SecretKey, user_id: str) -> bytes:
        """Return a wallet's secret key, encrypted and bound to its user and address."""
        return bytes(self._aead.encrypt(secret_key.seed, _bound_to(user_id, secret_key.address)))

    def unseal(self, sealed: bytes, user_id: str, address: str) -> SecretKey:
        """Return a sealed secret key.

        Raises :class:`KeystoreError` if it was modified, or sealed for another user, address or master key.
        """
        secret_key: SecretKey | None
        try:
            secret_key = SecretKey(self._aead.decrypt(sealed, _bound_to(user_id, address)))
        except (CryptoError, ValueError):
            secret_key = None
        if secret_key is None or secret_key.address != address:
            raise KeystoreError(
                f"cannot decrypt the key of wallet {address} of user {user_id}: the master key is wrong, or "
                "the database was modified. Check CTO_SIGNER_KEY_FILE, then restore the database"
            )
        return secret_key

    def __repr__(self) -> str:
        return f"MasterKey(key_id={self.key_id!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a master key cannot be pickled")


def read_master_key(path: str) -> MasterKey:
    """Return the master key in the file ``path``: 64 hexadecimal digits.

    Raises :class:`ConfigError` or :class:`KeystoreError`, without any part of the file's contents.
    """
    if not path:
        raise ConfigError(
            "CTO_SIGNER_KEY_FILE is not set, and there is no default key: create one with "
            "`cto signer create-key FILE`, and set the variable to the file"
        )
    return _master_key(Path(path))


def create_master_key(path: Path) -> MasterKey:
    """Write a new random master key to a new file that only this user can read."""
    create_private(path, secrets.token_hex(_BYTES) + "\n")
    return _master_key(path)


def _master_key(path: Path) -> MasterKey:
    check_private(path)
    with path.open("rb") as file:
        text = file.read(_MAX_FILE_BYTES)
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:  # the error's text would quote the file's contents
        key = b""
    if len(key) != _BYTES or len(set(key)) < _MIN_DISTINCT_BYTES:
        raise ConfigError(
            f"{path} contains no master key: expected 64 random hexadecimal digits, "
            "as `cto signer create-key FILE` writes"
        )
    return MasterKey(key)


def _bound_to(user_id: str, address: str) -> bytes:
    """Return the associated data. Neither a user id nor an address contains a zero byte."""
    return b"\0".join([_CONTEXT, user_id.encode(), address.encode()])

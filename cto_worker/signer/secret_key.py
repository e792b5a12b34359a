"""A wallet's secret key, in a class whose text never contains it."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import base58
from nacl.signing import SigningKey

from cto_worker.errors import ConfigError

SEED_BYTES = 32
_KEYPAIR_BYTES = 64  # the seed, then the public key


class SecretKey:
    """An Ed25519 key. It cannot be printed, compared or pickled, because logs and messages carry what can."""

    __slots__ = ("_key", "address")

    def __init__(self, seed: bytes) -> None:
        # The text of PyNaCl's key *is* the secret, so the key never leaves this object.
        self._key = SigningKey(seed)
        self.address = base58.b58encode(bytes(self._key.verify_key)).decode()

    @classmethod
    def generate(cls) -> SecretKey:
        """Return a new random key."""
        return cls(bytes(SigningKey.generate()))

    @property
    def seed(self) -> bytes:
        """The secret itself, 32 bytes: only to be sealed."""
        return bytes(self._key)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes. The same message always has the same signature."""
        return self._key.sign(message).signature

    def __repr__(self) -> str:
        return f"SecretKey(address={self.address!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret key cannot be pickled")


def parse_secret_key(text: str) -> SecretKey:
    """Return the key in a text: 64 bytes as a JSON array (Solana's command line) or in base58 (wallets).

    Raises :class:`ConfigError`, whose message and causes never contain any part of the text.
    """
    decoded = _decoded(text.strip())
    if decoded is None or len(decoded) != _KEYPAIR_BYTES:
        raise ConfigError(
            "this is not a secret key: expected 64 bytes, as a JSON array of numbers or in base58"
        )
    key = SecretKey(decoded[:SEED_BYTES])
    if base58.b58decode(key.address) != decoded[SEED_BYTES:]:
        raise ConfigError("the two halves of the secret key do not match: copy the whole key again")
    return key


def _decoded(text: str) -> bytes | None:
    """Return the bytes in a text, or ``None``. No exception, because its text would quote the secret."""
    try:
        if not text.startswith("["):
            return base58.b58decode(text)
        numbers: Any = json.loads(text)
        return bytes(numbers) if all(type(number) is int for number in numbers) else None
    except ValueError:
        return None

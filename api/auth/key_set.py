"""The public keys at ``CTO_JWKS_URL`` (RFC 7517): fetched, cached, and used while they cannot be fetched."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

import jwt
from jwt.exceptions import PyJWKSetError, PyJWTError

from api.errors import KeysUnavailableError

REFRESH_S = 240  # a key set of this age is fetched again in the background
LIFESPAN_S = 300  # from this age on a token waits for the fetch, unless the last fetch failed
STALE_S = 3_600  # a key set of this age is not used any more, though none can be fetched
COOLDOWN_S = 10  # after a fetch, for so long no other, whatever keys tokens name
RETRY_S = 2.0  # after a failed one
TIMEOUT_S = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, slots=True)
class SigningKey:
    """A key that tokens are signed with, and the one algorithm it is for. Equal to no other object."""

    material: Any  # as PyJWT takes it
    algorithm: str


class KeySet:
    """The key set at one address. Any number of threads may share it; one of them fetches at a time.

    A token whose key is cached waits for a fetch only when the set is older than :data:`LIFESPAN_S` and
    nothing is known against its address, at most :data:`TIMEOUT_S`.
    """

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=TIMEOUT_S)
        self._keys: dict[str, SigningKey] = {}
        self._fetched_s = float("-inf")
        self._next_fetch_s = float("-inf")
        self._failed = False  # whether the last fetch did
        self._fetching = Lock()

    def find(self, key_id: str) -> SigningKey | None:
        """Return the key with this id, or ``None`` when the set has none.

        Raises :class:`KeysUnavailableError` when that cannot be known.
        """
        age_s = time.monotonic() - self._fetched_s
        key = self._cached(key_id)
        if key and (age_s < LIFESPAN_S or self._failed):
            if age_s >= REFRESH_S:
                self._fetch_in_background()
            return key
        self._fetch_and_wait()
        key = self._cached(key_id)
        if key is None and self._failed:
            raise KeysUnavailableError
        return key

    def _cached(self, key_id: str) -> SigningKey | None:
        usable = time.monotonic() - self._fetched_s < STALE_S
        return self._keys.get(key_id) if usable else None

    def _fetch_and_wait(self) -> None:
        if time.monotonic() < self._next_fetch_s:
            return
        if not self._fetching.acquire(timeout=TIMEOUT_S):
            raise KeysUnavailableError
        self._fetch()

    def _fetch_in_background(self) -> None:
        if time.monotonic() >= self._next_fetch_s and self._fetching.acquire(blocking=False):
            Thread(target=self._fetch, name="key set", daemon=True).start()

    def _fetch(self) -> None:
        """Fetch the set, unless another thread just has. The caller holds the lock, which is released."""
        try:
            if time.monotonic() < self._next_fetch_s:
                return
            keys = _signing_keys(self._client.fetch_data())
        except (PyJWTError, OSError, ValueError) as error:
            self._note_failure(error)
        else:
            self._keys = keys
            self._fetched_s = time.monotonic()
            self._next_fetch_s = self._fetched_s + COOLDOWN_S
            self._failed = False
        finally:
            self._fetching.release()

    def _note_failure(self, error: Exception) -> None:
        if not self._failed:
            log.warning("the key set at CTO_JWKS_URL cannot be fetched: %s", error)
        self._failed = True
        self._next_fetch_s = time.monotonic() + RETRY_S


def _signing_keys(document: dict[str, Any]) -> dict[str, SigningKey]:
    """Return a key set's keys by id. An empty set is a set: its issuer has withdrawn every key."""
    if not isinstance(document.get("keys"), list):
        raise PyJWKSetError("it has no list named keys")
    try:
        keys = jwt.PyJWKSet.from_dict(document).keys
    except PyJWKSetError:  # which PyJWT raises for a set without a usable key
        keys = []
    signing = [key for key in keys if key.public_key_use in ("sig", None)]
    return {key.key_id: SigningKey(key, key.algorithm_name) for key in signing if isinstance(key.key_id, str)}

"""The public keys at ``CTO_JWKS_URL`` (RFC 7517), cached so that an outage of the URL is survived."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

import jwt
from jwt.exceptions import PyJWKSetError, PyJWTError

from api.errors import KeysUnavailableError

REFRESH_S = 240  # the age at which the key set is fetched again in the background
LIFESPAN_S = 300  # the age at which a token waits for the fetch, unless the last fetch failed
STALE_S = 3_600  # the age at which the key set is discarded, even if no other can be fetched
COOLDOWN_S = 10  # the minimum time between two fetches, also if many tokens have unknown keys
RETRY_S = 2.0  # the same after a failed fetch
TIMEOUT_S = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, slots=True)
class SigningKey:
    """A key that verifies tokens of one algorithm. Two keys are never equal, even with the same content."""

    material: Any  # in PyJWT's form
    algorithm: str


class KeySet:
    """The key set at one URL. Any number of threads may share it; at most one of them fetches it.

    A token whose key is cached normally does not wait for a fetch. It waits if the set is older than
    :data:`LIFESPAN_S` and the last fetch succeeded, for at most :data:`TIMEOUT_S`.
    """

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=TIMEOUT_S)
        self._keys: dict[str, SigningKey] = {}
        self._fetched_s = float("-inf")
        self._next_fetch_s = float("-inf")
        self._failed = False  # whether the last fetch failed
        self._fetching = Lock()

    def find(self, key_id: str) -> SigningKey | None:
        """Return the key with this id, or ``None`` if the set does not contain it.

        Raises :class:`KeysUnavailableError` if the set cannot be fetched to find out.
        """
        age_s = time.monotonic() - self._fetched_s
        key = self._cached(key_id)
        if key and (age_s < LIFESPAN_S or self._failed):
            if age_s >= REFRESH_S:
                self._fetch_in_background()
            return key
        fetched = self._fetch_and_wait()
        key = self._cached(key_id)
        if key is None and (self._failed or not fetched):
            raise KeysUnavailableError
        return key

    def _cached(self, key_id: str) -> SigningKey | None:
        usable = time.monotonic() - self._fetched_s < STALE_S
        return self._keys.get(key_id) if usable else None

    def _fetch_and_wait(self) -> bool:
        """Fetch the set if it is due. Returns ``False`` if another thread's fetch takes too long."""
        if time.monotonic() < self._next_fetch_s:
            return True
        if not self._fetching.acquire(timeout=TIMEOUT_S):
            return False
        self._fetch()
        return True

    def _fetch_in_background(self) -> None:
        if time.monotonic() >= self._next_fetch_s and self._fetching.acquire(blocking=False):
            Thread(target=self._fetch, name="key set", daemon=True).start()

    def _fetch(self) -> None:
        """Fetch the set, unless another thread has just done so. Releases the caller's lock."""
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
    """Return a key set's keys by id. An empty set is valid: its issuer has withdrawn every key."""
    if not isinstance(document.get("keys"), list):
        raise PyJWKSetError("the document has no list named keys")
    try:
        keys = jwt.PyJWKSet.from_dict(document).keys
    except PyJWKSetError:  # raised for a set without a usable key
        keys = []
    signing = [key for key in keys if key.public_key_use in ("sig", None)]
    return {key.key_id: SigningKey(key, key.algorithm_name) for key in signing if isinstance(key.key_id, str)}

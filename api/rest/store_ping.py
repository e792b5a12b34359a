"""The ping of the store for ``/readyz``, which concurrent requests share."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis import Redis

VALID_S = 0.5  # how long the result of a check is used


class StorePing:
    """Pings the store. Health checks have no rate limit, so at most one of them uses a connection."""

    def __init__(self, store: Redis) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._checked_s = -VALID_S
        self._failure: RedisError | None = None

    def check(self) -> None:
        """Raise ``RedisError`` unless the store has answered a ping within the last :data:`VALID_S`."""
        with self._lock:
            if time.monotonic() - self._checked_s > VALID_S:
                self._ping()
            failure = self._failure
        if failure:
            raise type(failure)(str(failure)) from failure

    def _ping(self) -> None:
        self._failure = None
        try:
            self._store.ping()
        except RedisError as error:
            self._failure = error
        self._checked_s = time.monotonic()

"""The connections for events, on all transports: limited per user, and closed when their token ends."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from api import metric_definitions
from api.auth.authentication import REVOKED
from api.auth.caller import Role
from api.auth.tokens import EXPIRED
from api.errors import RoomError
from api.relay.subscriber import GOING_AWAY

if TYPE_CHECKING:
    from api.auth.caller import Caller
    from api.auth.token_revocations import Revocations
    from api.relay.subscriber import Subscriber

log = logging.getLogger(__name__)

TOKEN_CHECK_INTERVAL_S = 0.25  # a connection must end within a second of its token


class ConnectionRegistry:
    """The connections of one gateway."""

    def __init__(self, revocations: Revocations, max_per_user: int) -> None:
        self._revocations = revocations
        self._max_per_user = max_per_user
        self._subscribers: set[Subscriber] = set()
        self._closing: list[Subscriber] = []  # by close_all
        self._by_user: Counter[str] = Counter()

    def add(self, subscriber: Subscriber, caller: Caller) -> None:
        """Add a client. Raises :class:`~api.errors.RoomError` ``too_many_connections``.

        The service is not limited: it connects for all of its users.
        """
        if caller.role is not Role.SERVICE and self._by_user[caller.name] >= self._max_per_user:
            metric_definitions.REFUSED.labels("user").inc()
            message = f"you have {self._max_per_user} connections, which is the limit: close one of them"
            raise RoomError("too_many_connections", message)
        subscriber.caller = caller
        self._subscribers.add(subscriber)
        self._by_user[caller.name] += 1

    def renew(self, subscriber: Subscriber, caller: Caller) -> None:
        """Replace a client's token. The new one must be for the same user and role."""
        if (caller.user_id, caller.role) != (subscriber.caller.user_id, subscriber.caller.role):
            raise RoomError("user_mismatch", "the new token is for another user or role: reconnect with it")
        subscriber.caller = caller

    def remove(self, subscriber: Subscriber) -> None:
        """Remove a client. Does nothing if it has been removed."""
        if subscriber not in self._subscribers:
            return
        self._subscribers.remove(subscriber)
        self._by_user[subscriber.caller.name] -= 1
        if not self._by_user[subscriber.caller.name]:
            del self._by_user[subscriber.caller.name]

    def run(self) -> None:
        """Call :meth:`check_tokens` until the process ends."""
        while True:
            try:
                self.check_tokens()
            except RedisError as error:
                log.debug("cannot read the revoked tokens: %s", error)
            except Exception:
                log.exception("cannot check tokens")
            time.sleep(TOKEN_CHECK_INTERVAL_S)

    def check_tokens(self) -> None:
        """Close the connections whose token has expired or been revoked.

        Raises ``RedisError`` when the revocations cannot be read.
        """
        now_s = time.time()
        for subscriber in list(self._subscribers):
            if subscriber.caller.expires_s <= now_s:
                self._close(subscriber, EXPIRED)
        if self._revocations.refresh():
            for subscriber in list(self._subscribers):
                if self._revocations.revoked(subscriber.caller):
                    self._close(subscriber, REVOKED)

    def close_all(self) -> None:
        """Close every connection.

        Its client then reconnects to another gateway, or to this gateway's successor.
        """
        for subscriber in list(self._subscribers):
            self._closing.append(subscriber)
            self._close(subscriber, GOING_AWAY)

    def abort_remaining(self) -> None:
        """Abort the connections of :meth:`close_all` that have not sent their queued items yet."""
        for subscriber in self._closing:
            subscriber.drop()

    def _close(self, subscriber: Subscriber, reason: tuple[str, str]) -> None:
        self.remove(subscriber)
        try:
            subscriber.close(reason)
        except Exception:
            log.exception("a connection could not be closed")

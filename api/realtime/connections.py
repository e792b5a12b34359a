"""The connections for events, on all transports: limited per user, and closed when their token ends."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from api import metric_definitions
from api.auth.authentication import REVOKED
from api.auth.policy import Role
from api.auth.tokens import EXPIRED
from api.errors import RoomError

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.auth.policy import Caller
    from api.auth.revocations import Revocations

log = logging.getLogger(__name__)

TOKEN_CHECK_INTERVAL_S = 0.25  # a connection must end within a second of its token


class CloseReason(Enum):
    """Why the gateway closes a connection: a code and a message."""

    EXPIRED = EXPIRED
    REVOKED = REVOKED
    GOING_AWAY = ("going_away", "this gateway is shutting down: reconnect")

    @property
    def code(self) -> str:
        """The machine-readable code."""
        return self.value[0]

    @property
    def message(self) -> str:
        """The message for people."""
        return self.value[1]


@dataclass(eq=False, slots=True)
class Connection:
    """The connection of one client.

    ``close`` reports the reason to the client and closes the connection after the queued items. It must not
    block. ``abort`` closes the connection at once.
    """

    caller: Caller
    close: Callable[[CloseReason], object]
    abort: Callable[[], object]


class Connections:
    """The connections of one gateway."""

    def __init__(self, revocations: Revocations, max_per_user: int) -> None:
        self._revocations = revocations
        self._max_per_user = max_per_user
        self._connections: set[Connection] = set()
        self._closing: list[Connection] = []  # by close_all
        self._by_user: Counter[str] = Counter()

    def add(
        self,
        caller: Caller,
        close: Callable[[CloseReason], object],
        abort: Callable[[], object] = lambda: None,
    ) -> Connection:
        """Add a connection. Raises :class:`~api.errors.RoomError` ``too_many_connections``.

        The service is not limited: it connects for all of its users.
        """
        if caller.role is not Role.SERVICE and self._by_user[caller.name] >= self._max_per_user:
            metric_definitions.REFUSED.labels("user").inc()
            message = f"you have {self._max_per_user} connections, which is the limit: close one of them"
            raise RoomError("too_many_connections", message)
        connection = Connection(caller, close, abort)
        self._connections.add(connection)
        self._by_user[caller.name] += 1
        return connection

    def renew(self, connection: Connection, caller: Caller) -> None:
        """Replace a connection's token. The new one must be for the same user and role."""
        if (caller.user_id, caller.role) != (connection.caller.user_id, connection.caller.role):
            raise RoomError("user_mismatch", "the new token is for another user or role: reconnect with it")
        connection.caller = caller

    def remove(self, connection: Connection) -> None:
        """Remove a connection. Does nothing if it has been removed."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        self._by_user[connection.caller.name] -= 1
        if not self._by_user[connection.caller.name]:
            del self._by_user[connection.caller.name]

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
        for connection in list(self._connections):
            if connection.caller.expires_s <= now_s:
                self._close(connection, CloseReason.EXPIRED)
        if self._revocations.refresh():
            for connection in list(self._connections):
                if self._revocations.revoked(connection.caller):
                    self._close(connection, CloseReason.REVOKED)

    def close_all(self) -> None:
        """Close every connection, so that its client reconnects to another gateway or a later one."""
        for connection in list(self._connections):
            self._closing.append(connection)
            self._close(connection, CloseReason.GOING_AWAY)

    def abort_remaining(self) -> None:
        """Abort the connections of :meth:`close_all` that have not sent their queued items yet."""
        for connection in self._closing:
            connection.abort()

    def _close(self, connection: Connection, reason: CloseReason) -> None:
        self.remove(connection)
        try:
            connection.close(reason)
        except Exception:
            log.exception("a connection could not be closed")

"""Who is connected for events, by whichever door: so many of each user, and as long as its token holds."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from api import metrics
from api.auth.authentication import REVOKED
from api.auth.policy import Role
from api.auth.tokens import EXPIRED
from api.errors import RoomError

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.auth.policy import Caller
    from api.auth.revocations import Revocations

log = logging.getLogger(__name__)

LOOK_S = 0.25  # how often tokens are looked at: all is to be cut off within a second


class CloseReason(Enum):
    """Why a connection is ended, as a code and in words."""

    EXPIRED = EXPIRED
    REVOKED = REVOKED
    GOING_AWAY = ("going_away", "this gateway stops: connect again")

    @property
    def code(self) -> str:
        """For machines."""
        return self.value[0]

    @property
    def message(self) -> str:
        """For people."""
        return self.value[1]


@dataclass(eq=False, slots=True)
class Connection:
    """One client. ``end`` tells it why its connection ends, ends it, and must not wait for it.

    ``cut_off`` ends it at once, whatever waits for it.
    """

    who: Caller
    end: Callable[[CloseReason], object]
    cut_off: Callable[[], object]


class Connections:
    """All of one gateway's."""

    def __init__(self, revocations: Revocations, of_each_user: int) -> None:
        self._revocations = revocations
        self._most = of_each_user
        self._open: set[Connection] = set()
        self._sent_away: list[Connection] = []
        self._users: Counter[str] = Counter()

    def open(
        self, who: Caller, end: Callable[[CloseReason], object], cut_off: Callable[[], object] = lambda: None
    ) -> Connection:
        """Count a client in. Raises :class:`~api.errors.RoomError` ``too_many_connections``.

        The service is not limited: it connects for all of its users.
        """
        if who.role is not Role.SERVICE and self._users[who.name] >= self._most:
            metrics.REFUSED.labels("user").inc()
            raise RoomError("too_many_connections", f"you have {self._most} connections: close one of them")
        connection = Connection(who, end, cut_off)
        self._open.add(connection)
        self._users[who.name] += 1
        return connection

    def renew(self, connection: Connection, who: Caller) -> None:
        """Let a client stay as long as its new token holds. It must be the same user's, in the same role."""
        if (who.user_id, who.role) != (connection.who.user_id, connection.who.role):
            raise RoomError("user_mismatch", "the new token is not this user's, or is for another role")
        connection.who = who

    def close(self, connection: Connection) -> None:
        """Count a client out. Harmless when it has been already."""
        if connection not in self._open:
            return
        self._open.remove(connection)
        self._users[connection.who.name] -= 1
        if not self._users[connection.who.name]:
            del self._users[connection.who.name]

    def run(self) -> None:
        """Cut off whoever's token has expired or been revoked, until the process ends."""
        while True:
            try:
                self.look()
            except RedisError as error:
                log.debug("cannot ask for revoked tokens: %s", error)
            except Exception:
                log.exception("cannot look at tokens")
            time.sleep(LOOK_S)

    def look(self) -> None:
        """Look once. Raises ``RedisError`` when it cannot be known what is revoked."""
        now_s = time.time()
        for connection in [one for one in list(self._open) if one.who.expires_s <= now_s]:
            self._end(connection, CloseReason.EXPIRED)
        if self._revocations.refresh():
            for connection in [one for one in list(self._open) if self._revocations.revoked(one.who)]:
                self._end(connection, CloseReason.REVOKED)

    def close_all_connections(self) -> None:
        """Send everybody away, to come again to another gateway or a later one."""
        for connection in list(self._open):
            self._sent_away.append(connection)
            self._end(connection, CloseReason.GOING_AWAY)

    def abort_remaining(self) -> None:
        """Wait no longer for those who were sent away and have not taken in what waits for them."""
        for connection in self._sent_away:
            connection.cut_off()

    def _end(self, connection: Connection, ending: CloseReason) -> None:
        self.close(connection)
        try:
            connection.end(ending)
        except Exception:
            log.exception("a client could not be cut off")

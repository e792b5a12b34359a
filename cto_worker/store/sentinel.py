"""Connections to a store that Sentinels watch over.

Sentinels name the primary server, and choose another when it dies. https://valkey.io/topics/sentinel/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.backoff import NoBackoff
from redis.connection import BlockingConnectionPool
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection

if TYPE_CHECKING:
    from redis import ConnectionPool

    from cto_worker.store_url import Sentinels

ASK_TIMEOUT_S = 0.5  # a Sentinel that does not answer by then is passed over for the next
ASKING_AT_ONCE = 3_000  # after a failover every thread asks at once, and none of them may be turned away


def connection_options(sentinels: Sentinels) -> dict[str, Any]:
    """Return redis-py's options for a connection to a Sentinel."""
    return {
        "socket_timeout": ASK_TIMEOUT_S,
        "socket_connect_timeout": ASK_TIMEOUT_S,
        "password": sentinels.own_password or None,
        "max_connections": ASKING_AT_ONCE,
        # By default redis-py asks ten more times, which takes longer than any caller waits.
        "retry": Retry(NoBackoff(), 0),
    }


def connection_pool(sentinels: Sentinels, **options: Any) -> ConnectionPool:
    """Return a pool of connections to the current primary. ``options`` are redis-py's."""
    login = {"username": sentinels.username or None, "password": sentinels.password or None}
    manager = Sentinel(sentinels.hosts, sentinel_kwargs=connection_options(sentinels))
    options |= {"connection_class": _Connection, "db": sentinels.db}
    return _Pool(sentinels.primary, manager, **login, **options)  # type: ignore[no-untyped-call]


class _Connection(SentinelManagedConnection):
    """redis-py's connection to a primary, without two of its faults."""

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        """Send, to whichever is the primary now; redis-py goes back to where it was connected last."""
        if not self._sock:
            self.connect()  # type: ignore[no-untyped-call]
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def read_response(
        self,
        disable_decoding: Any = False,  # noqa: FBT002 - redis-py's
        *,
        disconnect_on_error: bool | None = True,
        **options: Any,
    ) -> Any:
        """Read, and give the connection up if no answer comes.

        redis-py goes on with it: whatever it is asked next may get the answer that was given up
        (https://github.com/redis/redis-py/pull/4292).
        """
        return super().read_response(disable_decoding, disconnect_on_error=disconnect_on_error, **options)


class _Pool(SentinelConnectionPool, BlockingConnectionPool):
    """redis-py's pool for Sentinels, which waits for a connection where that would raise at once."""

"""Connections to a store that Redis Sentinels monitor.

Sentinels report the address of the primary, and promote a replica when the primary dies.
https://valkey.io/topics/sentinel/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.backoff import NoBackoff
from redis.connection import BlockingConnectionPool
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection

if TYPE_CHECKING:
    from redis import ConnectionPool

    from cto_worker.addresses import Sentinels

TIMEOUT_S = 0.5  # after this time without an answer the next Sentinel is asked
# To one Sentinel: after a failover all threads ask at once, and each must get an answer.
MAX_CONNECTIONS = 3_000


def connection_options(sentinels: Sentinels) -> dict[str, Any]:
    """Return redis-py's options for a connection to a Sentinel."""
    return {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "password": sentinels.own_password or None,
        "max_connections": MAX_CONNECTIONS,
        # By default redis-py retries ten times, which takes longer than any caller waits.
        "retry": Retry(NoBackoff(), 0),
    }


def connection_pool(sentinels: Sentinels, **options: Any) -> ConnectionPool:
    """Return a pool of connections to the current primary. ``options`` are redis-py's pool options."""
    login = {"username": sentinels.username or None, "password": sentinels.password or None}
    manager = Sentinel(sentinels.hosts, sentinel_kwargs=connection_options(sentinels))
    options |= {"connection_class": _Connection, "db": sentinels.db}
    return _Pool(sentinels.primary, manager, **login, **options)  # type: ignore[no-untyped-call]


class _Connection(SentinelManagedConnection):
    """redis-py's connection to a primary, with two faults corrected."""

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        """Send a command to the current primary. redis-py would reconnect to the previous one."""
        if not self._sock:
            self.connect()  # type: ignore[no-untyped-call]
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def read_response(self, *arguments: Any, disconnect_on_error: bool | None = True, **options: Any) -> Any:
        """Read an answer, and disconnect if none arrives in time.

        redis-py would keep the connection, so the next command could read the answer of this one
        (https://github.com/redis/redis-py/pull/4292).
        """
        return super().read_response(*arguments, disconnect_on_error=disconnect_on_error, **options)


class _Pool(SentinelConnectionPool, BlockingConnectionPool):
    """redis-py's pool for Sentinels, which waits for a free connection instead of raising at once."""

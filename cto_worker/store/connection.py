"""The store: how to reach it, and how to run a Lua script in it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import TimeoutError as StoreTimeoutError
from redis.retry import Retry

from cto_worker.errors import ConfigError
from cto_worker.store import keys
from cto_worker.store.scripts import _NOT_DURABLE, DURABLE_TIMEOUT_MS, _durability_shortfall
from cto_worker.store.sentinel import connection_pool

if TYPE_CHECKING:
    from cto_worker.config import Settings

TIMEOUT_S = 5.0  # a store that does not answer by then is out of reach
HEALTH_CHECK_S = 5.0
# A machine that is gone answers nothing, not even that a connection is closed. Who waits for its next word,
# as a worker does for a message, hears of it after 5 + 3 * 2 s, and who has sent something after 10 s.
KEEPALIVE = {
    getattr(socket, name): value
    for name, value in {
        "TCP_KEEPIDLE": 5,
        "TCP_KEEPINTVL": 2,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 10_000,  # ms; Linux alone has it
    }.items()
    if hasattr(socket, name)
}
# Every command we send is safe to repeat: the journal and the paper market recognize what they did already.
RETRIES = 2
RETRY_BASE_S, RETRY_CAP_S = 0.05, 0.5


def connect(
    settings: Settings,
    max_connections: int = 50,
    *,
    timeout_s: float = TIMEOUT_S,
    retry_timeouts: bool = True,
) -> Redis:
    """Return a client that any number of threads may share; the connections are made when needed.

    More threads than ``max_connections`` wait their turn, at most ``timeout_s``, where redis-py's default
    pool would raise at once. A store that hangs is given up after as much again, or, with
    ``retry_timeouts``, after several times as much: whoever has a caller waiting wants that off.
    """
    # A connection that broke is made anew in any case: that costs no time.
    retried = (StoreConnectionError, StoreTimeoutError) if retry_timeouts else (StoreConnectionError,)
    options: dict[str, Any] = {
        "max_connections": max_connections,
        "timeout": timeout_s,
        "socket_timeout": timeout_s,
        **(
            {}
            if settings.embedded  # a Unix socket takes none of this
            else {
                "socket_connect_timeout": timeout_s,
                "socket_keepalive": True,
                "socket_keepalive_options": KEEPALIVE,
            }
        ),
        "health_check_interval": HEALTH_CHECK_S,
        # Named here too, for redis-py only ever adds to what a Retry supports by default.
        "retry": Retry(ExponentialWithJitterBackoff(base=RETRY_BASE_S, cap=RETRY_CAP_S), RETRIES, retried),
        "retry_on_error": list(retried),
    }
    if settings.sentinels:
        return Redis(connection_pool=connection_pool(settings.sentinels, **options))
    return Redis(connection_pool=BlockingConnectionPool.from_url(settings.store_url, **options))


def check_durable(store: Redis, replicas: int) -> None:
    """Raise :class:`ConfigError` unless store and replicas keep what is written: else no intent is safe."""
    with store.pipeline(transaction=False) as pipeline:
        pipeline.set(keys.PROBE, 1, px=DURABLE_TIMEOUT_MS)
        pipeline.execute_command("WAITAOF", 1, replicas, DURABLE_TIMEOUT_MS)
        written, durable = pipeline.execute(raise_on_error=False)
    if isinstance(written, Exception):
        raise written
    if lack := _durability_shortfall(durable, replicas):
        raise ConfigError(_NOT_DURABLE.format(lack))

"""The store: how to reach it, and how to run a Lua script in it."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import TimeoutError as StoreTimeoutError
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.config import Settings

TIMEOUT_S = 5.0  # a store that does not answer by then is out of reach
HEALTH_CHECK_S = 5.0
# Every command we send is safe to repeat: the journal and the paper market recognize what they did already.
RETRIES = 2
RETRY_BASE_S, RETRY_CAP_S = 0.05, 0.5


def connect(settings: Settings, max_connections: int = 50) -> Redis:
    """Return a client that any number of threads may share; the connections are made when needed.

    More threads than ``max_connections`` wait their turn, at most :data:`TIMEOUT_S` seconds, where redis-py's
    default pool would raise at once.
    """
    pool = BlockingConnectionPool.from_url(
        settings.store_url,
        max_connections=max_connections,
        timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        **({} if settings.embedded else {"socket_connect_timeout": TIMEOUT_S, "socket_keepalive": True}),
        health_check_interval=HEALTH_CHECK_S,
        retry=Retry(ExponentialWithJitterBackoff(base=RETRY_BASE_S, cap=RETRY_CAP_S), RETRIES),
        retry_on_error=[StoreConnectionError, StoreTimeoutError],
    )
    return Redis(connection_pool=pool)


def script(store: Redis, name: str) -> Callable[..., Any]:
    """Return ``lua/<name>.lua`` as a function of ``keys`` and ``args``, run atomically by the store."""
    source = (files("cto_worker") / "lua" / f"{name}.lua").read_text()
    run: Callable[..., Any] = store.register_script(source)
    return run

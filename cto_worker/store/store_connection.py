"""Connections to the store, and the check that the store is durable."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import TimeoutError as StoreTimeoutError
from redis.retry import Retry

from cto_worker.errors import ConfigError
from cto_worker.store import keys
from cto_worker.store.script_runner import DURABLE_TIMEOUT_MS, NOT_DURABLE, durability_shortfall
from cto_worker.store.sentinel import connection_pool

if TYPE_CHECKING:
    from cto_worker.config import Settings

TIMEOUT_S = 5.0  # a store that does not answer within this time is treated as unreachable
HEALTH_CHECK_S = 5.0
# A dead machine does not close its connections. With these options an idle connection, such as that of a
# worker that waits for a message, fails after 5 + 3 * 2 s. One with unacknowledged data fails after 10 s.
KEEPALIVE = {
    getattr(socket, name): value
    for name, value in {
        "TCP_KEEPIDLE": 5,
        "TCP_KEEPINTVL": 2,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 10_000,  # ms; exists on Linux only
    }.items()
    if hasattr(socket, name)
}
# Every command is safe to repeat: the journal and the paper market recognize a repeated command.
RETRIES = 2
RETRY_BASE_S, RETRY_CAP_S = 0.05, 0.5


def connect(
    settings: Settings,
    max_connections: int = 50,
    *,
    timeout_s: float = TIMEOUT_S,
    retry_timeouts: bool = True,
    url: str = "",
) -> Redis:
    """Return a client that any number of threads may share. It connects on first use.

    If ``max_connections`` are in use, a thread waits up to ``timeout_s`` for a free connection; redis-py's
    default pool would raise at once. A command fails if the store does not answer within ``timeout_s``. With
    ``retry_timeouts``, a command that timed out is repeated up to :data:`RETRIES` times. Pass ``False`` where
    a user waits for the result. ``url`` is the address of a store other than that of the jobs, as in
    ``CTO_LIMITS_URL``.
    """
    if url:
        settings = replace(settings, redis_url=url)
    # A broken connection is always replaced, because a reconnect costs no waiting time.
    retried = (StoreConnectionError, StoreTimeoutError) if retry_timeouts else (StoreConnectionError,)
    options: dict[str, Any] = {
        "max_connections": max_connections,
        "timeout": timeout_s,
        "socket_timeout": timeout_s,
        **(
            {}
            if settings.embedded  # a Unix socket does not support these options
            else {
                "socket_connect_timeout": timeout_s,
                "socket_keepalive": True,
                "socket_keepalive_options": KEEPALIVE,
            }
        ),
        "health_check_interval": HEALTH_CHECK_S,
        # Also set here, because redis-py only adds to the errors that a Retry handles by default.
        "retry": Retry(ExponentialWithJitterBackoff(base=RETRY_BASE_S, cap=RETRY_CAP_S), RETRIES, retried),
        "retry_on_error": list(retried),
    }
    if settings.sentinels:
        return Redis(connection_pool=connection_pool(settings.sentinels, **options))
    return Redis(connection_pool=BlockingConnectionPool.from_url(settings.store_url, **options))


def check_durable(store: Redis, replicas: int) -> None:
    """Raise :class:`ConfigError` unless the store and ``replicas`` replicas write to disk.

    Without that, an intent could be lost after its order was sent.
    """
    with store.pipeline(transaction=False) as pipeline:
        pipeline.set(keys.PROBE, 1, px=DURABLE_TIMEOUT_MS)
        pipeline.execute_command("WAITAOF", 1, replicas, DURABLE_TIMEOUT_MS)
        written, durable = pipeline.execute(raise_on_error=False)
    if isinstance(written, Exception):
        raise written
    if shortfall := durability_shortfall(durable, replicas):
        raise ConfigError(NOT_DURABLE.format(shortfall))

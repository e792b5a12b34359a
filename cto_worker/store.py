"""The store: how to reach it, and how to run a Lua script in it."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as StoreTimeoutError
from redis.retry import Retry

from cto_worker import keys
from cto_worker.errors import ConfigError, NotDurableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
_NOT_DURABLE = (
    "the store cannot promise that an intent is on disk before money moves ({}): run it and as many replicas "
    "as CTO_REPLICAS says with `appendonly yes`; they must be Valkey, or Redis 7.2 or later"
)
DURABLE_TIMEOUT_MS = 3_000  # an intent that is not on disk by then must not be submitted
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
        return Redis(connection_pool=settings.sentinels.pool(**options))
    return Redis(connection_pool=BlockingConnectionPool.from_url(settings.store_url, **options))


def script(store: Redis, name: str) -> Callable[..., Any]:
    """Return ``lua/<name>.lua`` as a function of ``keys`` and ``args``, run atomically by the store."""
    source = (files("cto_worker") / "lua" / f"{name}.lua").read_text()
    run: Callable[..., Any] = store.register_script(source)
    return run


@contextmanager
def refusals(**errors: Callable[[ResponseError], Exception]) -> Iterator[None]:
    """Raise our own error where a script refuses with ``<CODE> <text>``, by code."""
    try:
        yield
    except ResponseError as error:
        make = errors.get(str(error).split(" ", 1)[0])
        if make is None:
            raise
        raise make(error) from error


def run_each(store: Redis, read: Any, calls: list[tuple[list[str], list[Any]]]) -> list[Any]:
    """Run a script that only reads for each of these keys and arguments, in one round trip.

    redis-py's own pipeline asks first, in another one, whether the store has the script.
    """
    answers = _pipelined(store, read, calls) if calls else []
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _pipelined(
    store: Redis, run: Any, calls: list[tuple[list[str], list[Any]]], *more: tuple[Any, ...]
) -> list[Any]:
    """Run a script for each call, and then ``more`` commands. Errors are among the answers."""
    with store.pipeline(transaction=False) as pipeline:
        for keys, args in calls:
            pipeline.execute_command("EVALSHA", run.sha, len(keys), *keys, *args)
        for command in more:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
    if any(isinstance(answer, NoScriptError) for answer in answers):
        store.script_load(run.script)
        return _pipelined(store, run, calls, *more)
    return answers


def durably(store: Redis, write: Any, *, keys: list[str], args: list[Any], replicas: int) -> Any:
    """Run a script and wait until what it wrote is on disk, in one round trip on one connection.

    Returns the script's answer. Raises :class:`NotDurableError` unless this store and as many ``replicas``
    have all of the connection's writes on disk (https://valkey.io/commands/waitaof/), and what the script
    raises. An answer that is false wrote nothing, and is returned in any case.
    """
    answer, durable = _pipelined(store, write, [(keys, args)], ("WAITAOF", 1, replicas, DURABLE_TIMEOUT_MS))
    if isinstance(answer, Exception):
        raise answer
    if answer and (lack := _lacking(durable, replicas)):
        raise NotDurableError(_NOT_DURABLE.format(lack))
    return answer


def check_durable(store: Redis, replicas: int) -> None:
    """Raise :class:`ConfigError` unless store and replicas keep what is written: else no intent is safe."""
    with store.pipeline(transaction=False) as pipeline:
        pipeline.set(keys.PROBE, 1, px=DURABLE_TIMEOUT_MS)
        pipeline.execute_command("WAITAOF", 1, replicas, DURABLE_TIMEOUT_MS)
        written, durable = pipeline.execute(raise_on_error=False)
    if isinstance(written, Exception):
        raise written
    if lack := _lacking(durable, replicas):
        raise ConfigError(_NOT_DURABLE.format(lack))


def _lacking(durable: Any, replicas: int) -> str:
    """What WAITAOF's answer lacks of the promise, or ""."""
    if isinstance(durable, Exception):
        return str(durable)
    local, remote = map(int, durable)
    if local < 1 or remote < replicas:
        return f"it is on disk in {local} of 1 store and {remote} of {replicas} replicas"
    return ""

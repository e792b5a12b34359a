"""Lua scripts in the store: loading, running, errors and durability."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, ResponseError

from cto_worker.errors import NotDurableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

NOT_DURABLE = (
    "the store cannot guarantee that an intent is on disk before money moves ({}): set `appendonly yes` on "
    "the store and on CTO_REPLICAS of its replicas, and use Valkey, or Redis 7.2 or later"
)
DURABLE_TIMEOUT_MS = 3_000  # an intent that is not on disk after this time must not be submitted


def script(store: Redis, name: str, package: str = "cto_worker.store") -> Callable[..., Any]:
    """Return the script ``lua/<name>.lua`` of ``package`` as a function of ``keys`` and ``args``.

    The store runs a script atomically.
    """
    source = (files(package) / "lua" / f"{name}.lua").read_text()
    run: Callable[..., Any] = store.register_script(source)
    return run


@contextmanager
def translate_script_errors(**errors: Callable[[ResponseError], Exception]) -> Iterator[None]:
    """Translate a script's error ``<CODE> <text>`` into the exception given for that code.

    Other errors pass unchanged.
    """
    try:
        yield
    except ResponseError as error:
        make = errors.get(str(error).split(" ", 1)[0])
        if make is None:
            raise
        raise make(error) from error


def run_many(store: Redis, read: Any, calls: list[tuple[list[str], list[Any]]]) -> list[Any]:
    """Run a read-only script once for each (keys, arguments) pair, in one round trip.

    redis-py's own pipeline needs a second round trip to check whether the store has the script.
    """
    answers = _pipelined(store, read, calls) if calls else []
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _pipelined(
    store: Redis, run: Any, calls: list[tuple[list[str], list[Any]]], *commands: tuple[Any, ...]
) -> list[Any]:
    """Run a script for each call, then ``commands``. Errors are returned among the answers."""
    with store.pipeline(transaction=False) as pipeline:
        for keys, args in calls:
            pipeline.execute_command("EVALSHA", run.sha, len(keys), *keys, *args)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
    if any(isinstance(answer, NoScriptError) for answer in answers):
        store.script_load(run.script)
        return _pipelined(store, run, calls, *commands)
    return answers


def run_durably(store: Redis, write: Any, *, keys: list[str], args: list[Any], replicas: int) -> Any:
    """Run a script and wait until its writes are on disk, in one round trip on one connection.

    Returns the script's answer. Raises :class:`NotDurableError` unless the store and ``replicas`` replicas
    have all writes of the connection on disk (https://valkey.io/commands/waitaof/). Also raises the script's
    own errors. A false answer means that the script wrote nothing; it is returned without this check.
    """
    answer, durable = _pipelined(store, write, [(keys, args)], ("WAITAOF", 1, replicas, DURABLE_TIMEOUT_MS))
    if isinstance(answer, Exception):
        raise answer
    if answer and (shortfall := durability_shortfall(durable, replicas)):
        raise NotDurableError(NOT_DURABLE.format(shortfall))
    return answer


def durability_shortfall(durable: Any, replicas: int) -> str:
    """Return why an answer of ``WAITAOF`` does not meet the requirement, or "" if it does."""
    if isinstance(durable, Exception):
        return str(durable)
    local, remote = map(int, durable)
    if local < 1 or remote < replicas:
        return f"a write is on disk in {local} of 1 store and {remote} of {replicas} replicas"
    return ""

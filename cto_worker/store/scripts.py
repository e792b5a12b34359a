"""Lua scripts of the store: loading, running, errors and durability."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, ResponseError

from cto_worker.errors import NotDurableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis


_NOT_DURABLE = (
    "the store cannot promise that an intent is on disk before money moves ({}): run it and as many replicas "
    "as CTO_REPLICAS says with `appendonly yes`; they must be Valkey, or Redis 7.2 or later"
)


DURABLE_TIMEOUT_MS = 3_000  # an intent that is not on disk by then must not be submitted


def script(store: Redis, name: str, package: str = "cto_worker.store") -> Callable[..., Any]:
    """Return a package's ``lua/<name>.lua`` as a function of ``keys`` and ``args``.

    The store runs it atomically.
    """
    source = (files(package) / "lua" / f"{name}.lua").read_text()
    run: Callable[..., Any] = store.register_script(source)
    return run


@contextmanager
def translate_script_errors(**errors: Callable[[ResponseError], Exception]) -> Iterator[None]:
    """Raise our own error where a script refuses with ``<CODE> <text>``, by code."""
    try:
        yield
    except ResponseError as error:
        make = errors.get(str(error).split(" ", 1)[0])
        if make is None:
            raise
        raise make(error) from error


def run_many(store: Redis, read: Any, calls: list[tuple[list[str], list[Any]]]) -> list[Any]:
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


def run_durably(store: Redis, write: Any, *, keys: list[str], args: list[Any], replicas: int) -> Any:
    """Run a script and wait until what it wrote is on disk, in one round trip on one connection.

    Returns the script's answer. Raises :class:`NotDurableError` unless this store and as many ``replicas``
    have all of the connection's writes on disk (https://valkey.io/commands/waitaof/), and what the script
    raises. An answer that is false wrote nothing, and is returned in any case.
    """
    answer, durable = _pipelined(store, write, [(keys, args)], ("WAITAOF", 1, replicas, DURABLE_TIMEOUT_MS))
    if isinstance(answer, Exception):
        raise answer
    if answer and (lack := _durability_shortfall(durable, replicas)):
        raise NotDurableError(_NOT_DURABLE.format(lack))
    return answer


def _durability_shortfall(durable: Any, replicas: int) -> str:
    """What WAITAOF's answer lacks of the promise, or ""."""
    if isinstance(durable, Exception):
        return str(durable)
    local, remote = map(int, durable)
    if local < 1 or remote < replicas:
        return f"it is on disk in {local} of 1 store and {remote} of {replicas} replicas"
    return ""

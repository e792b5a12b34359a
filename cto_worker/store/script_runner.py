"""Lua scripts in the store: loading, running, errors and durability."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, ResponseError

from cto_worker.errors import NotDurableError
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from redis import Redis

NOT_DURABLE = (
    "the store cannot guarantee that an intent is on disk before money moves ({}): set `appendonly yes` on "
    "the store and on CTO_REPLICAS of its replicas, and use Valkey, or Redis 7.2 or later"
)
_PACKAGE = "cto_worker.store"
_PRELUDE, _AUDIT_CHAIN = (
    (files(_PACKAGE) / "lua" / name).read_text() for name in ("prelude.lua", "audit_chain.lua")
)
_CONSTANT = re.compile(r"\b[A-Z][A-Z_]+\b")
DURABLE_TIMEOUT_MS = 3_000  # an intent that is not on disk after this time must not be submitted


class Script:
    """A Lua script with named keys and arguments. The store runs it atomically.

    A script declares the names: ``local job, events = unpack(KEYS)``, ``local job_id, seq = unpack(ARGV)``.
    Callers pass keys and arguments by these names. ``rest`` contains further arguments; in the script, the
    first one is ``ARGV[REST]``. A script also has the functions of ``prelude.lua`` here and in its own
    package, ``append_audit`` of ``audit_chain.lua``, and the constants of :mod:`cto_worker.store.keys`.
    Its first line may be ``#!lua flags=allow-oom``: a full store then runs it.
    """

    def __init__(self, store: Redis, name: str, package: str = _PACKAGE) -> None:
        """Load ``lua/<name>.lua`` of ``package``."""
        folder = files(package) / "lua"
        body = (folder / f"{name}.lua").read_text()
        self._store = store
        self._name = name
        key_names, argument_names = _declared(body, "KEYS"), _declared(body, "ARGV")
        self._key_count = len(key_names)
        self._names = dict.fromkeys(key_names + argument_names)
        flags, body = _split_flags(body)
        library = _PRELUDE + (_AUDIT_CHAIN if "append_audit(" in body else "")
        if package != _PACKAGE and (own := folder / "prelude.lua").is_file():
            library += own.read_text()
        self.source = flags + _constants(library + body, rest=len(argument_names) + 1) + library + body
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, rest: Sequence[Any] = (), /, **named: Any) -> Any:
        """Run the script and return its answer."""
        key_count, values = self.bind(rest, **named)
        try:
            return self._store.evalsha(self.sha, key_count, *values)
        except NoScriptError:
            self._store.script_load(self.source)
            return self._store.evalsha(self.sha, key_count, *values)

    def bind(self, rest: Sequence[Any] = (), /, **named: Any) -> tuple[int, list[Any]]:
        """Return the number of keys, and keys and arguments in their order.

        Raises :class:`TypeError` unless the names are those of the script.
        """
        names = self._names
        if named.keys() != names.keys():
            raise TypeError(f"{self._name}.lua: give {', '.join(names)}, not {', '.join(named)}")
        return self._key_count, [*map(named.__getitem__, names), *rest]


def _split_flags(body: str) -> tuple[str, str]:
    """Return the line with the script's flags, which the store expects first, and the rest of the script."""
    if not body.startswith("#!"):
        return "", body
    flags, _, rest = body.partition("\n")
    return f"{flags}\n", rest


def _constants(source: str, rest: int) -> str:
    """Return the definitions of the constants that a script uses."""
    used = {word: getattr(keys, word) for word in _CONSTANT.findall(source) if hasattr(keys, word)}
    used["REST"] = rest
    return "".join(f"local {word} = {json.dumps(value)}\n" for word, value in sorted(used.items()))


def _declared(body: str, array: str) -> list[str]:
    """Return the names that a script gives to the entries of ``KEYS`` or ``ARGV``."""
    found = re.search(rf"^local ([a-z_,\s]+?) = unpack\({array}\)$", body, re.MULTILINE)
    return re.split(r",\s*", found[1]) if found else []


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


def run_many(store: Redis, read: Script, calls: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Run a read-only script once for each mapping of names to values, in one round trip.

    redis-py's own pipeline needs a second round trip to check whether the store has the script.
    """
    answers = _pipelined(store, read, [read.bind(**call) for call in calls]) if calls else []
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _pipelined(
    store: Redis, run: Script, calls: list[tuple[int, list[Any]]], *commands: tuple[Any, ...]
) -> list[Any]:
    """Run a script for each call, then ``commands``. Errors are returned among the answers."""
    with store.pipeline(transaction=False) as pipeline:
        for key_count, values in calls:
            pipeline.execute_command("EVALSHA", run.sha, key_count, *values)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
    if any(isinstance(answer, NoScriptError) for answer in answers):
        store.script_load(run.source)
        return _pipelined(store, run, calls, *commands)
    return answers


def run_durably(store: Redis, write: Script, replicas: int, rest: Sequence[Any] = (), /, **named: Any) -> Any:
    """Run a script and wait until its writes are on disk, in one round trip on one connection.

    Returns the script's answer. Raises :class:`NotDurableError` unless the store and ``replicas`` replicas
    have all writes of the connection on disk (https://valkey.io/commands/waitaof/). Also raises the script's
    own errors. A false answer means that the script wrote nothing; it is returned without this check.
    """
    wait = ("WAITAOF", 1, replicas, DURABLE_TIMEOUT_MS)
    answer, durable = _pipelined(store, write, [write.bind(rest, **named)], wait)
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

"""``cto doctor``: what is wrong, and how to mend it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.exceptions import RedisError

from api.auth.authentication import validate_auth_settings
from api.cli.gateway_client import Gateway, GatewayError
from api.cli.options import program
from cto_worker.errors import ConfigError
from cto_worker.observability.heartbeat import alive
from cto_worker.store import keys, reconciliation
from cto_worker.store.connection import check_durable, connect
from cto_worker.store.sentinel import connection_options
from cto_worker.unknown_settings import unknown_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cto_worker.config import Settings
    from cto_worker.store_url import Sentinels

OLDEST_REDIS = (7, 2)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. ``mend`` says what to do when it is not ``right``.

    A ``warning`` is right, but probably not what somebody meant.
    """

    check: str
    right: bool
    text: str
    mend: str = ""
    warning: bool = False


class _Wrong(Exception):  # noqa: N818 - a finding, not an error
    def __init__(self, text: str, mend: str) -> None:
        super().__init__(text)
        self.mend = mend


def examine(settings: Settings) -> Iterator[Finding]:
    """Check the configuration, the store, the gateway and the workers, in that order."""
    for text in unknown_settings().values():
        yield Finding("environment", right=True, text=text, warning=True)
    found = settings.sentinels
    with connect(settings) as store:
        checks: dict[str, Callable[[], str]] = {
            "configuration": lambda: _configuration(settings, store),
            **({"sentinels": lambda: _sentinels(found, settings.replicas)} if found else {}),
            "store": lambda: _store(store, settings),
            "durability": lambda: _durability(store, settings.replicas),
            "eviction": lambda: _eviction(store),
            "gateway": lambda: _gateway(settings, store),
            "workers": lambda: _workers(store, settings),
            "queue": lambda: f"{store.llen(keys.QUEUE)} messages wait",
            "review": lambda: _review(store),
        }
        for name, check in checks.items():
            yield _finding(name, check, settings)


def _finding(name: str, check: Callable[[], str], settings: Settings) -> Finding:
    try:
        return Finding(name, right=True, text=check())
    except _Wrong as wrong:
        return Finding(name, right=False, text=str(wrong), mend=wrong.mend)
    except RedisError as error:
        mend = (
            f"start it with `{_up()}`, or set CTO_REDIS_URL to one that runs"
            if settings.embedded
            else "start the store that CTO_REDIS_URL names, or correct that address"
        )
        return Finding(name, right=False, text=f"the store is out of reach: {error}", mend=mend)


def _configuration(settings: Settings, store: Redis) -> str:
    try:
        validate_auth_settings(settings)
    except ConfigError as error:
        # Who asks is often in another terminal than the system, which got its settings there.
        if others := _elsewhere(settings, store):
            return (
                f"no gateway would start with these settings; those that run have others: {', '.join(others)}"
            )
        if not _runs(settings):
            raise _Wrong(
                str(error),
                "to try things out on this machine, set CTO_AUTH=off; docs/security.md has the rest",
            ) from error
        return (
            f"a gateway runs at {settings.base_url} with settings of its own; "
            f"this shell's are CTO_AUTH={settings.auth}, CTO_HOST={settings.host}"
        )
    return f"authorization {settings.auth}, market {settings.market}"


def _runs(settings: Settings) -> bool:
    try:
        Gateway(settings.base_url).get("/healthz")
    except GatewayError:
        return False
    return True


def _elsewhere(settings: Settings, store: Redis) -> list[str]:
    """The gateways that have been heard of, on whatever machine; without a store of others there are none."""
    if settings.embedded:
        return []
    with suppress(RedisError):
        return alive(store, "gateway")
    return []


def _sentinels(sentinels: Sentinels, replicas: int) -> str:
    """Ask each by itself whether enough of them would agree on a failover."""
    silent = []
    for host, port in sentinels.hosts:
        with Redis(host=host, port=port, **connection_options(sentinels)) as sentinel:
            try:
                sentinel.execute_command("SENTINEL", "CKQUORUM", sentinels.primary)
            except RedisError as error:
                silent.append(f"{host}:{port} says: {error}")
    if silent:
        raise _Wrong(
            "; ".join(silent), "start and configure them as docs/scaling.md says, three on three machines"
        )
    if not replicas:
        raise _Wrong(
            "when a replica takes over, jobs and orders that somebody was told of may be gone",
            "set CTO_REPLICAS=1, for gateways and workers alike (docs/scaling.md)",
        )
    return f"{len(sentinels.hosts)} Sentinels watch {sentinels.primary} and can agree on a failover"


def _store(store: Redis, settings: Settings) -> str:
    info: Any = store.info("server")
    where = f"embedded in {settings.data_dir.absolute()}" if settings.embedded else "at CTO_REDIS_URL"
    if settings.sentinels:
        connection: Any = store.connection_pool
        where = "the primary, at {}:{}".format(*connection.master_address)
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}, {where}"
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        raise _Wrong(f"Redis {version} is too old", "use Redis 7.2 or later, or any Valkey")
    return f"Redis {version}, {where}"


def _durability(store: Redis, replicas: int) -> str:
    if not _info(store)["aof_enabled"]:
        raise _Wrong("what is written may be lost with the store", "run the store with `appendonly yes`")
    try:
        check_durable(store, replicas)
    except ConfigError as error:
        raise _Wrong("what is written may be lost with the store", str(error)) from error
    return f"append-only file, {replicas} replicas asked for"


def _review(store: Redis) -> str:
    if count := reconciliation.count(store):
        raise _Wrong(f"{count} jobs need a person", f"see `{program()} jobs --status {keys.REVIEW}`")
    return "no job needs a person"


def _eviction(store: Redis) -> str:
    policy = _info(store)["maxmemory_policy"]
    if policy != "noeviction":
        raise _Wrong(
            f"the store may evict jobs ({policy})", "run the store with `maxmemory-policy noeviction`"
        )
    return "never"


def _info(store: Redis) -> dict[str, Any]:
    """What whoever may use the store may know of it; its configuration is its operator's."""
    found: dict[str, Any] = store.info("persistence", "memory")
    return found


def _gateway(settings: Settings, store: Redis) -> str:
    gateway = Gateway(settings.base_url)
    try:
        gateway.get("/healthz")
        gateway.get("/readyz")
    except GatewayError as error:
        if error.code == "unreachable" and (others := _elsewhere(settings, store)):
            return f"none at {settings.base_url}, but elsewhere: {', '.join(others)}"
        start = f"`{_up()}`" if settings.embedded else "`python -m api.wsgi`, or its container"
        raise _Wrong(_said(error, settings), f"start it with {start}, and look at what it prints") from error
    return f"answers at {settings.base_url}"


def _said(error: GatewayError, settings: Settings) -> str:
    """The error, without its own advice, which is for one machine."""
    return f"no gateway at {settings.base_url}" if error.code == "unreachable" else str(error)


def _workers(store: Redis, settings: Settings) -> str:
    names = alive(store, "worker")
    if not names:
        start = (
            f"it is part of `{_up()}`" if settings.embedded else "the Procfile's `worker`, or its container"
        )
        raise _Wrong("no worker has been heard of for 15 s", f"start one: {start}")
    return ", ".join(names)


def _up() -> str:
    return f"CTO_AUTH=off {program()} up"

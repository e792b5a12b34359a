"""``cto doctor``: checks of the whole system, each with a remedy."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as StoreTimeoutError

from api.auth.startup_settings import validate_auth_settings
from api.cli.program_name import program
from api.cli.rest_client import GatewayError, RestClient, client_for
from cto_worker.archive import database
from cto_worker.archive.schema_version import check_schema
from cto_worker.errors import ArchiveUnavailableError, ConfigError, MarketError
from cto_worker.markets.market_loader import description, make_market
from cto_worker.observability.heartbeat_reader import running_processes, worker_markets
from cto_worker.store import job_review, keys
from cto_worker.store.sentinel import connection_options
from cto_worker.store.store_connection import check_durable, connect
from cto_worker.store.store_reachability import missing_system, store_name
from cto_worker.unknown_settings import unknown_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cto_worker.addresses import Sentinels
    from cto_worker.config import Settings

OLDEST_REDIS = (7, 2)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ``mend`` is the remedy if it is not ``right``.

    A ``warning`` is a passed check whose result is probably not intended.
    """

    check: str
    right: bool
    text: str
    mend: str = ""
    warning: bool = False


class _CheckFailed(Exception):  # noqa: N818 - a finding, not an error
    def __init__(self, text: str, mend: str) -> None:
        super().__init__(text)
        self.mend = mend


def examine(settings: Settings) -> Iterator[Finding]:
    """Run all checks in order: configuration, store, archive, market, gateway, workers, queue, review.

    If the store is not reachable, this is the only finding of the checks that need it.
    """
    for text in unknown_settings().values():
        yield Finding("environment", right=True, text=text, warning=True)
    sentinels = settings.sentinels
    with connect(settings) as store:
        checks: dict[str, Callable[[], str]] = {
            "configuration": lambda: _configuration(settings, store),
            **({"sentinels": lambda: _sentinels(sentinels, settings.replicas)} if sentinels else {}),
            "store": lambda: _store(store, settings),
            "durability": lambda: _durability(store, settings.replicas),
            "eviction": lambda: _eviction(store),
            "archive": lambda: _archive(settings, store),
            "market": lambda: _market(settings, store),
            "gateway": lambda: _gateway(settings, store),
            "workers": lambda: _workers(store, settings),
            "queue": lambda: f"{store.llen(keys.QUEUE)} queued messages",
            "review": lambda: _review(store),
        }
        reported = False
        for name, check in checks.items():
            try:
                yield _finding(name, check)
            except RedisError as error:
                if reported and isinstance(error, (StoreConnectionError, StoreTimeoutError)):
                    continue
                reported = True
                text = f"{store_name(settings)} is not reachable: {error}"
                yield Finding(name, right=False, text=text, mend=_store_mend(settings))


def _finding(name: str, check: Callable[[], str]) -> Finding:
    """Run a check. Raises ``RedisError`` if the store does not answer it."""
    try:
        return Finding(name, right=True, text=check())
    except _CheckFailed as failure:
        return Finding(name, right=False, text=str(failure), mend=failure.mend)


def _store_mend(settings: Settings) -> str:
    if elsewhere := missing_system(settings):
        return f"{elsewhere}. If you have no system yet, start it with `{_up()}`"
    if settings.embedded:
        return f"start it with `{_up()}`, or set CTO_REDIS_URL to a running store"
    return "start the store that CTO_REDIS_URL names, or correct the URL"


def _configuration(settings: Settings, store: Redis) -> str:
    try:
        validate_auth_settings(settings)
    except ConfigError as error:
        # The system often runs in another terminal, with other settings.
        if others := _known_gateways(settings, store):
            return (
                "no gateway would start with these settings; "
                f"the running ones use other settings: {', '.join(others)}"
            )
        if not _runs(settings):
            raise _CheckFailed(
                str(error),
                "for a trial on this machine, set CTO_AUTH=off; else see docs/explanation/security.md",
            ) from error
        return (
            f"a gateway runs at {settings.base_url} with other settings; "
            f"this shell has CTO_AUTH={settings.auth}, CTO_HOST={settings.host}"
        )
    return f"authorization {settings.auth}, market {settings.market}"


def _runs(settings: Settings) -> bool:
    try:
        RestClient(settings.base_url).get("/healthz")
    except GatewayError:
        return False
    return True


def _known_gateways(settings: Settings, store: Redis) -> list[str]:
    """Return the gateways with a recent heartbeat, on any machine; none with an embedded store."""
    if settings.embedded:
        return []
    with suppress(RedisError):
        return running_processes(store, "gateway")
    return []


def _sentinels(sentinels: Sentinels, replicas: int) -> str:
    """Check with each Sentinel that enough of them can agree on a failover."""
    failures = []
    for host, port in sentinels.hosts:
        with Redis(host=host, port=port, **connection_options(sentinels)) as sentinel:
            try:
                sentinel.execute_command("SENTINEL", "CKQUORUM", sentinels.primary)
            except RedisError as error:
                failures.append(f"{host}:{port}: {error}")
    if failures:
        raise _CheckFailed(
            "; ".join(failures),
            "start and configure three Sentinels on three machines (docs/explanation/scaling.md)",
        )
    if not replicas:
        raise _CheckFailed(
            "after a failover, acknowledged jobs and orders may be lost",
            "set CTO_REPLICAS=1 for all gateways and workers (docs/explanation/scaling.md)",
        )
    return f"{len(sentinels.hosts)} Sentinels monitor {sentinels.primary} and can agree on a failover"


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
        raise _CheckFailed(f"Redis {version} is too old", "use Redis 7.2 or later, or any Valkey")
    return f"Redis {version}, {where}"


def _durability(store: Redis, replicas: int) -> str:
    if not _info(store)["aof_enabled"]:
        raise _CheckFailed("a crash of the store may lose writes", "run the store with `appendonly yes`")
    try:
        check_durable(store, replicas)
    except ConfigError as error:
        raise _CheckFailed("a crash of the store may lose writes", str(error)) from error
    return f"append-only file, {replicas} replicas required"


def _archive(settings: Settings, store: Redis) -> str:
    if not settings.archive_url and not settings.archive_path.exists():
        return f"{database.location(settings)}: created when a worker starts"
    try:
        with database.connected(settings) as engine:
            check_schema(engine)
    except ArchiveUnavailableError as error:
        raise _CheckFailed(str(error), "until then, ended jobs stay in the store") from error
    return f"{database.location(settings)}, {store.zcard(keys.ENDED)} ended jobs are not archived yet"


def _market(settings: Settings, store: Redis) -> str:
    """Make the market as a worker does, and let it check its services."""
    try:
        market = make_market(settings, lambda url: connect(settings, url=url) if url else store)
        text = market.check()
    except ConfigError as error:
        raise _CheckFailed(str(error), "correct CTO_MARKET (docs/how-to/own-market.md)") from error
    except MarketError as error:
        if isinstance(error.__cause__, RedisError):  # of the paper market: reported with the store
            raise error.__cause__ from error
        raise _CheckFailed(f"{settings.market} does not answer: {error}", "check its services") from error
    own = description(market, settings.market).text
    if others := worker_markets(store) - {own}:
        found = f"the workers use {', '.join(sorted(others))}; this command uses {own}"
        raise _CheckFailed(found, "set CTO_MARKET and its settings as for the workers")
    return text


def _review(store: Redis) -> str:
    if count := job_review.count(store):
        raise _CheckFailed(f"{count} jobs need review", f"run `{program()} jobs --status {keys.REVIEW}`")
    return "no job needs review"


def _eviction(store: Redis) -> str:
    policy = _info(store)["maxmemory_policy"]
    if policy != "noeviction":
        raise _CheckFailed(
            f"the store may evict jobs ({policy})", "run the store with `maxmemory-policy noeviction`"
        )
    return "noeviction"


def _info(store: Redis) -> dict[str, Any]:
    """Return the store's state. Its configuration is not readable with the rights of every store user."""
    info: dict[str, Any] = store.info("persistence", "memory")
    return info


def _gateway(settings: Settings, store: Redis) -> str:
    gateway = RestClient(settings.base_url)
    try:
        gateway.get("/healthz")
        gateway.get("/readyz")
    except GatewayError as error:
        if error.code == "unreachable" and (others := _known_gateways(settings, store)):
            return f"none at {settings.base_url}; running elsewhere: {', '.join(others)}"
        start = f"`{_up()}`" if settings.embedded else "`python -m api.wsgi`, or its container"
        mend = missing_system(settings) or f"start it with {start}, and read its output"
        raise _CheckFailed(_text(error, settings), mend) from error
    _check_store_of_gateway(settings, store)
    return f"ready at {settings.base_url}"


def _check_store_of_gateway(settings: Settings, store: Redis) -> None:
    """Check that the gateway at the address of these settings, which is ready, uses their store."""
    try:
        own = set(running_processes(store, "gateway"))
    except (StoreConnectionError, StoreTimeoutError):
        own = set()
    if own and not own.isdisjoint(_gateways_of_system(settings) or own):
        return
    raise _CheckFailed(
        f"{settings.base_url} is the gateway of another system: it does not use {store_name(settings)}",
        "run the command with that system's CTO_DATA_DIR or CTO_REDIS_URL, "
        "or set CTO_PORT to the port of this system",
    )


def _gateways_of_system(settings: Settings) -> set[str]:
    """Return the names of the gateways in the store of the gateway; none if it does not tell this caller."""
    try:
        system = client_for(settings, settings.base_url).get("/api/cto/system")
    except GatewayError:
        return set()
    return {gateway["id"] for gateway in system["gateways"]}


def _text(error: GatewayError, settings: Settings) -> str:
    """Return the error without its advice, which is right on one machine only."""
    if error.code == "timeout":
        return f"the gateway at {settings.base_url} does not respond"
    return f"no gateway at {settings.base_url}" if error.code == "unreachable" else str(error)


def _workers(store: Redis, settings: Settings) -> str:
    names = running_processes(store, "worker")
    if not names:
        start = (
            f"it is part of `{_up()}`" if settings.embedded else "the Procfile's `worker`, or its container"
        )
        raise _CheckFailed("no worker is running", f"start one: {start}")
    return ", ".join(names)


def _up() -> str:
    return f"CTO_AUTH=off {program()} up"

"""The settings: one frozen value, read from the environment and validated at start.

No other module reads ``os.environ`` for a setting. Each setting is declared once, as a field of
:class:`Settings`: its validation and its row in docs/reference/settings.md are derived from it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from marshmallow import ValidationError

from cto_worker.addresses import as_host_name, is_loopback, parse_sentinel_url
from cto_worker.errors import ConfigError
from cto_worker.setting_fields import (
    addresses,
    crash_point,
    database_address,
    declaration,
    environment_schema,
    genesis_hash,
    host_names,
    link,
    market_name,
    origins,
    password,
    rate,
    setting,
    store_address,
    url,
    urls,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cto_worker.addresses import Sentinels

ENV_PREFIX = "CTO_"
# The path of a Unix socket has at most 104 (macOS) or 108 (Linux) bytes, with its final zero byte.
_MAX_SOCKET_PATH_BYTES = 103


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. ``port`` is read from the environment variable ``CTO_PORT``, etc."""

    # fmt: off
    # The table of settings: section of docs/reference/settings.md, default, allowed values, description.
    host: str = setting("Gateway", "127.0.0.1", description="Address on which the gateway listens")
    port: int = setting("Gateway", 3000, between=(1, 65_535), description="Port on which the gateway listens")
    engine: str = setting("Gateway", "eventlet", one_of=("eventlet", "gevent"), description=
        "Event loop of the gateway ([decision 0017](../decisions/0017-two-engines.md))")
    cors_origins: tuple[str, ...] = setting("Gateway", (), field=origins(), description=
        "Origins whose pages may use the gateway, comma-separated: `https://app.example.org`. The gateway's"
        " own origin is always allowed; `*` is not possible")
    proxies: int = setting("Gateway", 0, between=(0, 10), description=
        "Number of trusted reverse proxies in front of the gateway. The client address is taken from that "
        "many trailing `X-Forwarded-For` entries. Clients must not be able to reach the gateway except "
        "through these proxies")
    rate_limit: str = setting("Gateway", "600/minute", field=rate(), description=
        "REST requests per user, or per address for requests without a valid token, as `number/second`, "
        "`minute`, `hour` or `day`. Requests above it get 429. The `service` role is not limited")
    limits_url: str = setting("Gateway", "", field=store_address(), secret=True, description=
        "Store that counts requests for the rate limit. Empty: the store of `CTO_REDIS_URL`")
    max_sockets: int = setting("Gateway", 20_000, between=(1, 1_000_000), description=
        "Clients that can receive events from one gateway at the same time, on all transports. Further "
        "clients get 503. REST requests do not count")
    max_user_sockets: int = setting("Gateway", 20, between=(1, 1_000_000), description=
        "The same limit for one user. Further connections get 429. The `service` role is not limited")
    max_rooms: int = setting("Gateway", 1_200, between=(1, 1_000_000), description=
        "Rooms that one connection can be in at the same time, whatever its role")

    explorer_url: str = setting(
        "Console", "", field=link("https://explorer.example/tx/{signature}"), description=
        "Address of a transaction in a blockchain explorer, with `{signature}`: "
        "`https://explorer.example/tx/{signature}`. Empty: signatures are no links")
    trace_url: str = setting(
        "Console", "", field=link("https://traces.example/trace/{traceId}"), description=
        "Address of an operation's trace, with `{traceId}`: `https://traces.example/trace/{traceId}`. Only "
        "operations that were accepted with `CTO_OTLP_ENDPOINT` have a trace. Empty: no link")
    confirm_sol: float = setting("Console", 10.0, between=(0, 1_000_000), description=
        "The console asks for confirmation before it starts an operation of this many SOL or more")

    auth: str = setting("Authentication", "required", one_of=("required", "off"), description=
        "`required`: requests need a token. `off`: every caller has the `service` role; allowed only if "
        "`CTO_HOST` is a loopback address")
    jwt_secret: str = setting("Authentication", "", secret=True, description=
        "Secret for HS256 tokens, at least 32 bytes")
    jwt_public_key: str = setting("Authentication", "", description=
        "Public key for RS256 or ES256 tokens, in PEM format")
    jwks_url: str = setting("Authentication", "", field=url("begin with https:// (or http://)"), description=
        "URL of a JSON Web Key Set with public keys for RS256 or ES256")
    jwt_audience: str = setting("Authentication", "", description=
        "Required `aud` claim. If empty, tokens that carry an `aud` claim are rejected")
    jwt_issuer: str = setting("Authentication", "", description=
        "Required `iss` claim. If empty, any issuer with a valid key is accepted")
    token: str = setting("Authentication", "", secret=True, description=
        "Token that the `cto` command sends. Not needed if `CTO_JWT_SECRET` is set")

    redis_url: str = setting("Store", "", field=store_address(), secret=True, description=
        "Redis 7.2 or later, or Valkey: `redis://host:6379/0`, `rediss://…`, or "
        "`redis+sentinel://host1:26379,host2:26379,host3:26379/mymaster/0`. Empty: the embedded store")
    sentinel_password: str = setting("Store", "", secret=True, description=
        "Password of the Sentinels in `CTO_REDIS_URL`")
    data_dir: Path = setting("Store", Path(".cto"), description=
        "Directory for the embedded store's data and for Unix sockets")
    replicas: int = setting("Store", 0, between=(0, 10), description=
        "Number of replicas that must persist a job, a cancellation, a claim or an order before the system "
        "continues; see [scaling.md](../explanation/scaling.md#what-a-failover-keeps)")
    retention_days: int = setting("Store", 1, between=(1, 3_650), description=
        "Days for which the store keeps an ended job, from its end, and at least until it is in the archive")

    archive_url: str = setting("Archive", "", field=database_address(), secret=True, description=
        "Database of ended jobs: `postgresql://user:password@host:5432/database`. Empty: an SQLite file in "
        "`CTO_DATA_DIR`, for a system on one machine")
    archive_days: int = setting("Archive", 0, between=(0, 36_500), description=
        "Days for which the archive keeps a job, from its end; 0: for ever")

    worker_concurrency: int = setting("Worker", 100, between=(1, 2_000), description=
        "Operations that one worker process runs at the same time")
    operation_parallelism: int = setting("Worker", 10, between=(1, 100), description=
        "Transfers and buys of one operation that may be in flight at the same time; 1: one after another")
    lease_ms: int = setting("Worker", 4_000, between=(1_000, 600_000), description=
        "Milliseconds without a lease renewal until another worker takes over a job")

    market: str = setting("Market", "paper", field=market_name(), description=
        "Market on which operations trade: `paper`, the simulated one; [`solana`](../how-to/solana.md); the "
        "name of an installed market; or `package.module:factory` ([own-market.md](../how-to/own-market.md))")

    paper_url: str = setting("Paper market", "", field=store_address(), secret=True, description=
        "Store for the paper market's ledger. Empty: the store of `CTO_REDIS_URL`")
    paper_latency_ms: int = setting("Paper market", 400, between=(0, 600_000), description=
        "Milliseconds until a transfer or buy is confirmed")
    paper_timeout_ms: int = setting("Paper market", 10_000, between=(0, 600_000), description=
        "Milliseconds after the latency for which a worker waits for an outcome")
    paper_balance_sol: float = setting("Paper market", 100.0, between=(0, 1_000_000), description=
        "SOL in each new wallet")
    paper_failure_rate: float = setting("Paper market", 0.0, between=(0, 1), description=
        "Fraction of orders that fail")
    paper_lost_rate: float = setting("Paper market", 0.0, between=(0, 1), description=
        "Fraction of orders that are executed, but whose reply is lost")
    paper_silent_rate: float = setting("Paper market", 0.0, between=(0, 1), description=
        "Fraction of orders that are executed, but whose outcome is not reported before the timeout")
    paper_late_rate: float = setting("Paper market", 0.0, between=(0, 1), description=
        "Fraction of orders that arrive only after the timeout: they execute, unless they have expired")
    paper_dropped_rate: float = setting("Paper market", 0.0, between=(0, 1), description=
        "Fraction of orders that never arrive, so that they expire")
    paper_expiry_ms: int = setting("Paper market", 8_000, between=(0, 600_000), description=
        "Milliseconds from its preparation until an order expires; 0: never. Above `CTO_PAPER_TIMEOUT_MS`, "
        "orders that do not arrive are unknown")

    solana_rpc_url: tuple[str, ...] = setting("Solana", (), field=urls(), secret=True, description=
        "JSON-RPC addresses of independent providers, comma-separated. Empty: the local chain")
    solana_genesis: str = setting("Solana", "", field=genesis_hash(), description=
        "Genesis hash of the cluster. Nodes with another are not used. Empty: a local chain")
    solana_mainnet: str = setting("Solana", "no", one_of=("yes", "no"), description=
        "`yes`: orders may spend real money, on mainnet ([review](../how-to/solana.md#before-real-money))")
    solana_swap_url: str = setting("Solana", "", field=url("be like https://host/swap/v2"), description=
        "Address of Jupiter's Swap API V2, or of its equal. Empty: that of the local chain")
    solana_swap_key: str = setting("Solana", "", secret=True, description="Its key, sent as `x-api-key`")

    signer_socket: str = setting("Signer", "", description=
        "Unix socket of the [signer](../how-to/signer.md). Empty: `signer.sock` in `CTO_DATA_DIR`")
    signer_key_file: str = setting("Signer", "", description=
        "File with the signer's master key, which only the signer may read. `cto signer create-key` makes it")
    signer_clients: tuple[str, ...] = setting("Signer", (), field=words(), description=
        "Names or numbers of the users whose processes may use the signer, besides its own, comma-separated")
    signer_payees: tuple[str, ...] = setting("Signer", (), field=addresses(), description=
        "Addresses of exchanges to which a wallet may pay SOL within the limits, comma-separated")
    signer_order_sol: float = setting("Signer", 1.0, between=(0, 1_000_000), description=
        "SOL that one signed transaction may spend, fees included")
    signer_daily_sol: float = setting("Signer", 10.0, between=(0, 1_000_000), description=
        "SOL that the signed transactions of one user may spend within 24 hours")

    local_chain_port: int = setting("Local chain", 8899, between=(1, 65_535), description=
        "Port of `cto local-chain` on 127.0.0.1: JSON-RPC, and the interface of an aggregator")
    local_chain_slot_ms: int = setting("Local chain", 400, between=(0, 10_000), description=
        "Milliseconds between two blocks. 0: only the method `localAdvance` produces blocks")

    log_format: str = setting("Observability", "console", one_of=("console", "json"), description=
        "`console`, or `json`: one JSON object per line")
    otlp_endpoint: str = setting(
        "Observability", "", field=url("be like http://127.0.0.1:4318, without /v1/traces"), description=
        "Collector for traces (OTLP over HTTP): `http://127.0.0.1:4318`. Empty: no traces. The SDK's "
        "`OTEL_…` variables also apply")
    flower_host: str = setting("Observability", "127.0.0.1", description=
        "Address on which Flower listens. Any other than a loopback address requires `CTO_FLOWER_PASSWORD`")
    flower_port: int = setting("Observability", 5555, between=(1, 65_535), description=
        "Port on which Flower listens")
    flower_password: str = setting("Observability", "", field=password(12), secret=True, description=
        "Password of Flower's user `operator`, at least 12 characters")
    flower_names: tuple[str, ...] = setting("Observability", (), field=host_names(), description=
        "Host names that Flower accepts besides `localhost` and `127.0.0.1`, comma-separated: for example "
        "that of a proxy")
    flower_control: str = setting("Observability", "no", one_of=("yes", "no"), description=
        "`yes`: Flower can stop workers, change their pools, and send or revoke tasks. `no`: read-only")
    flower_tasks: int = setting("Observability", 5_000, between=(1, 1_000_000), description=
        "Number of latest tasks that Flower keeps in memory, about 10 kB each")

    heartbeat_file: str = setting("Deployment", "", description=
        "File that a worker touches every 2 s while it can receive messages, for health checks. Empty: no "
        "file")

    crash_at: str = setting("Tests", "", field=crash_point(), description=
        "Crash point at which a worker kills itself, in the first attempt of a job or, with `:always`, in "
        "every attempt ([reliability.md](../explanation/reliability.md#crash-points))")

    # fmt: on

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Return the settings in the environment. An empty variable counts as not set.

        Raises :class:`ConfigError` with every invalid variable, its value and the allowed values.
        """
        given = {name: value for name, value in environ.items() if name.startswith(ENV_PREFIX) and value}
        try:
            settings = cls(**environment_schema(cls, ENV_PREFIX).load(given))
        except ValidationError as error:
            secrets = {ENV_PREFIX + each.name.upper() for each in fields(cls) if declaration(each).secret}
            lines = [
                f"  {name}={'…' if name in secrets else repr(given[name])}: {' '.join(texts)}"
                for name, texts in sorted(error.normalized_messages().items())
            ]
            raise ConfigError("\n".join(["invalid settings in the environment:", *lines])) from error
        paths = [settings.dispatcher_path, *([settings.socket_path] if settings.embedded else [])]
        longest = max(paths, key=lambda path: len(os.fsencode(path)))
        if len(os.fsencode(longest)) > _MAX_SOCKET_PATH_BYTES:
            raise ConfigError(
                f"CTO_DATA_DIR is too long: the Unix socket {longest} in it may have at most "
                f"{_MAX_SOCKET_PATH_BYTES} bytes. Choose a shorter path"
            )
        return settings

    @property
    def embedded(self) -> bool:
        """Whether the store is the embedded one."""
        return not self.redis_url

    @property
    def socket_path(self) -> Path:
        """The Unix socket of the embedded store, which only this user can open."""
        return self.data_dir.absolute() / "store.sock"

    @property
    def archive_path(self) -> Path:
        """The SQLite file of the archive, if ``archive_url`` is empty."""
        return self.data_dir.absolute() / "archive.db"

    @property
    def dispatcher_path(self) -> Path:
        """The Unix socket from which gateways that share one port receive their connections."""
        return self.data_dir.absolute() / f"{self.port}.sock"

    @property
    def store_url(self) -> str:
        """The store's URL for redis-py."""
        return self.redis_url or f"unix://{self.socket_path}"

    @property
    def celery_url(self) -> str:
        """The store's URL for Celery's broker and result backend."""
        if self.sentinels:
            return self.sentinels.celery_url
        return self.redis_url or f"redis+socket://{self.socket_path}"

    @property
    def sentinels(self) -> Sentinels | None:
        """The store's Sentinels; ``None`` without any."""
        return parse_sentinel_url(self.redis_url, self.sentinel_password)

    @property
    def base_url(self) -> str:
        """The gateway's URL for clients on this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared only
        return replace(self, host=host).listen_url

    @property
    def listen_url(self) -> str:
        """The URL with the address that the gateway listens on, which may be a wildcard."""
        return f"http://{as_host_name(self.host)}:{self.port}"

    @property
    def retention_s(self) -> int:
        """How long the store keeps an ended and archived job after its last event, in seconds."""
        return self.retention_days * 86_400

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the gateway."""
        return is_loopback(self.host)


VARIABLES = frozenset(ENV_PREFIX + each.name.upper() for each in fields(Settings))

"""The settings: one frozen value, read from the environment and validated at start.

No other module reads ``os.environ`` for a setting. docs/settings.md lists all; a test compares the two.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from cto_worker.crash_points import CRASH_POINTS
from cto_worker.errors import ConfigError
from cto_worker.setting_fields import HostNames, Origins, StoreAddress
from cto_worker.store_url import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cto_worker.store_url import Sentinels

ENV_PREFIX = "CTO_"
SECRETS = frozenset(  # never shown
    {
        "CTO_JWT_SECRET", "CTO_TOKEN", "CTO_REDIS_URL", "CTO_LIMITS_URL", "CTO_PAPER_URL",
        "CTO_SENTINEL_PASSWORD", "CTO_FLOWER_PASSWORD",
    }
)  # fmt: skip
# The path of a Unix socket has at most 104 (macOS) or 108 (Linux) bytes, with its final zero byte.
_MAX_SOCKET_PATH_BYTES = 103


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings with their defaults. ``port`` is read from the environment variable ``CTO_PORT``, etc."""

    host: str = "127.0.0.1"
    port: int = 3000
    max_sockets: int = 20_000  # connections per gateway
    max_user_sockets: int = 20  # connections per user
    max_rooms: int = 1_200  # per connection; also how many it can join at once when it reconnects
    redis_url: str = ""  # empty: the embedded store
    sentinel_password: str = ""  # of the Sentinels in CTO_REDIS_URL
    limits_url: str = ""  # the store for rate limits; empty: the store of the jobs
    data_dir: Path = Path(".cto")  # the directory of the embedded store
    auth: str = "required"
    jwt_secret: str = ""  # of HS256; set exactly one of these three, unless auth is off
    jwt_public_key: str = ""  # of RS256 or ES256, in PEM
    jwks_url: str = ""  # URL of the public keys
    jwt_audience: str = ""  # empty: only tokens without the claim `aud`
    jwt_issuer: str = ""  # empty: any issuer
    token: str = ""  # the `cto` command sends it to the gateway
    cors_origins: tuple[str, ...] = ()
    proxies: int = 0  # trusted reverse proxies in front of the gateway
    rate_limit: str = "600/minute"  # REST requests per user
    market: str = "paper"
    retention_days: int = 7
    log_format: str = "console"
    otlp_endpoint: str = ""  # the collector's URL; empty: no traces
    worker_concurrency: int = 100  # operations at the same time per worker process
    heartbeat_file: str = ""  # a worker touches it while it receives messages; empty: no file
    lease_ms: int = 6_000  # how long a claim lasts without renewal
    replicas: int = 0  # replicas that must persist an intent before its order is submitted
    flower_host: str = "127.0.0.1"
    flower_port: int = 5555
    flower_password: str = ""  # of the user "operator"; required unless Flower listens on loopback
    flower_names: tuple[str, ...] = ()  # host names that Flower accepts in addition to this machine's
    flower_control: str = "no"  # "yes": Flower may stop workers and send tasks
    flower_tasks: int = 5_000  # newest tasks that Flower keeps in memory
    paper_url: str = ""  # the store of the paper market; empty: the store of the jobs
    paper_latency_ms: int = 400  # per transfer or buy
    paper_failure_rate: float = 0.0  # 0–1
    paper_balance_sol: float = 100.0  # initial SOL in each paper wallet
    paper_timeout_ms: int = 10_000  # how long a run waits for an outcome after the latency
    paper_lost_rate: float = 0.0  # 0–1: orders that execute, but whose reply is lost
    paper_silent_rate: float = 0.0  # 0–1: orders that execute without an outcome before the time-out
    paper_late_rate: float = 0.0  # 0–1: orders that execute only after the time-out
    crash_at: str = ""  # for tests: where a worker kills itself, see crash_points.py

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Return the settings in the environment. An empty variable counts as not set.

        Raises :class:`ConfigError` with every invalid variable, its value and the allowed values.
        """
        given = {name: value for name, value in environ.items() if name.startswith(ENV_PREFIX) and value}
        try:
            settings = cls(**_EnvironmentSchema(unknown=EXCLUDE).load(given))
        except ValidationError as error:
            lines = [
                f"  {name}={'…' if name in SECRETS else repr(given[name])}: {' '.join(texts)}"
                for name, texts in _messages(error)
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
        return parse(self.redis_url, self.sentinel_password)

    @property
    def base_url(self) -> str:
        """The gateway's URL for clients on this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared only
        return replace(self, host=host).listen_url

    @property
    def listen_url(self) -> str:
        """The URL with the address that the gateway listens on, which may be a wildcard."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def retention_s(self) -> int:
        """How long a job is stored after its last event, in seconds."""
        return self.retention_days * 86_400

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the gateway."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server that listens at ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _messages(error: ValidationError) -> list[tuple[str, list[str]]]:
    messages = error.normalized_messages()
    return sorted((name, texts) for name, texts in messages.items())


class _EnvironmentSchema(Schema):
    host = fields.String(data_key="CTO_HOST")
    port = fields.Integer(data_key="CTO_PORT", validate=validate.Range(1, 65_535))
    max_sockets = fields.Integer(data_key="CTO_MAX_SOCKETS", validate=validate.Range(1, 1_000_000))
    max_user_sockets = fields.Integer(data_key="CTO_MAX_USER_SOCKETS", validate=validate.Range(1, 1_000_000))
    max_rooms = fields.Integer(data_key="CTO_MAX_ROOMS", validate=validate.Range(1, 1_000_000))
    redis_url = StoreAddress(data_key="CTO_REDIS_URL")
    sentinel_password = fields.String(data_key="CTO_SENTINEL_PASSWORD")
    limits_url = StoreAddress(data_key="CTO_LIMITS_URL")
    data_dir = fields.Function(deserialize=Path, data_key="CTO_DATA_DIR")
    auth = fields.String(data_key="CTO_AUTH", validate=validate.OneOf(["required", "off"]))
    jwt_secret = fields.String(data_key="CTO_JWT_SECRET")
    jwt_public_key = fields.String(data_key="CTO_JWT_PUBLIC_KEY")
    jwks_url = fields.String(
        data_key="CTO_JWKS_URL",
        validate=validate.Regexp(r"https?://.+", error="Must begin with https:// (or http://)."),
    )
    jwt_audience = fields.String(data_key="CTO_JWT_AUDIENCE")
    jwt_issuer = fields.String(data_key="CTO_JWT_ISSUER")
    token = fields.String(data_key="CTO_TOKEN")
    cors_origins = Origins(data_key="CTO_CORS_ORIGINS")
    proxies = fields.Integer(data_key="CTO_PROXIES", validate=validate.Range(0, 10))
    rate_limit = fields.String(
        data_key="CTO_RATE_LIMIT",
        validate=validate.Regexp(
            r"[1-9][0-9]{0,8}/(second|minute|hour|day)\Z", error="Must be like 600/minute, or 20/second."
        ),
    )
    market = fields.String(data_key="CTO_MARKET", validate=validate.OneOf(["paper"]))
    retention_days = fields.Integer(data_key="CTO_RETENTION_DAYS", validate=validate.Range(1, 3_650))
    log_format = fields.String(data_key="CTO_LOG_FORMAT", validate=validate.OneOf(["console", "json"]))
    otlp_endpoint = fields.String(
        data_key="CTO_OTLP_ENDPOINT",
        validate=validate.Regexp(
            r"https?://.+", error="Must be like http://127.0.0.1:4318, without /v1/traces."
        ),
    )
    worker_concurrency = fields.Integer(data_key="CTO_WORKER_CONCURRENCY", validate=validate.Range(1, 2_000))
    heartbeat_file = fields.String(data_key="CTO_HEARTBEAT_FILE")
    lease_ms = fields.Integer(data_key="CTO_LEASE_MS", validate=validate.Range(1_000, 600_000))
    replicas = fields.Integer(data_key="CTO_REPLICAS", validate=validate.Range(0, 10))
    flower_host = fields.String(data_key="CTO_FLOWER_HOST")
    flower_port = fields.Integer(data_key="CTO_FLOWER_PORT", validate=validate.Range(1, 65_535))
    flower_password = fields.String(
        data_key="CTO_FLOWER_PASSWORD",
        validate=validate.Length(12, error="Must have 12 characters or more."),
    )
    flower_names = HostNames(data_key="CTO_FLOWER_NAMES")
    flower_control = fields.String(data_key="CTO_FLOWER_CONTROL", validate=validate.OneOf(["yes", "no"]))
    flower_tasks = fields.Integer(data_key="CTO_FLOWER_TASKS", validate=validate.Range(1, 1_000_000))
    paper_url = StoreAddress(data_key="CTO_PAPER_URL")
    paper_latency_ms = fields.Integer(data_key="CTO_PAPER_LATENCY_MS", validate=validate.Range(0, 600_000))
    paper_failure_rate = fields.Float(data_key="CTO_PAPER_FAILURE_RATE", validate=validate.Range(0, 1))
    paper_balance_sol = fields.Float(data_key="CTO_PAPER_BALANCE_SOL", validate=validate.Range(0, 1_000_000))
    paper_timeout_ms = fields.Integer(data_key="CTO_PAPER_TIMEOUT_MS", validate=validate.Range(0, 600_000))
    paper_lost_rate = fields.Float(data_key="CTO_PAPER_LOST_RATE", validate=validate.Range(0, 1))
    paper_silent_rate = fields.Float(data_key="CTO_PAPER_SILENT_RATE", validate=validate.Range(0, 1))
    paper_late_rate = fields.Float(data_key="CTO_PAPER_LATE_RATE", validate=validate.Range(0, 1))
    crash_at = fields.String(
        data_key="CTO_CRASH_AT",
        validate=validate.Regexp(
            rf"({'|'.join(CRASH_POINTS)})(:always)?\Z",
            error=f"Must be one of {', '.join(CRASH_POINTS)}, with the suffix :always for every attempt.",
        ),
    )


VARIABLES = frozenset(field.data_key for field in _EnvironmentSchema().fields.values() if field.data_key)

"""The settings: one frozen value, read once from the environment and validated at start.

Nothing else reads ``os.environ``. docs/settings.md lists every setting; a test keeps the two equal.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from cto_worker.crash_points import CRASH_POINTS
from cto_worker.errors import ConfigError
from cto_worker.hosts import host_name
from cto_worker.store_url import SCHEME, parse

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
# A Unix socket's path must fit a field of 104 (macOS) or 108 (Linux) bytes, with its closing zero.
_MAX_SOCKET_PATH_BYTES = 103


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, with its default. The environment variable of ``port`` is ``CTO_PORT``, and so on."""

    host: str = "127.0.0.1"
    port: int = 3000
    max_sockets: int = 20_000  # clients that get events from one gateway at once
    max_user_sockets: int = 20  # of them, for each user
    max_rooms: int = 1_200  # of one connection: as many as it may join at once when it comes back
    redis_url: str = ""  # empty: the embedded store
    sentinel_password: str = ""  # of the Sentinels, if CTO_REDIS_URL names any
    limits_url: str = ""  # where requests are counted; empty: in the store
    data_dir: Path = Path(".cto")  # where the embedded store keeps its data
    auth: str = "required"
    jwt_secret: str = ""  # of HS256; exactly one of these three, unless auth is off
    jwt_public_key: str = ""  # of RS256 or ES256, in PEM
    jwks_url: str = ""  # where public keys are published
    jwt_audience: str = ""  # empty: only tokens without an audience
    jwt_issuer: str = ""  # empty: any
    token: str = ""  # what the `cto` command shows to the gateway
    cors_origins: tuple[str, ...] = ()
    proxies: int = 0  # before the gateway, each of which adds to X-Forwarded-For
    rate_limit: str = "600/minute"  # REST requests of each user
    market: str = "paper"
    retention_days: int = 7
    log_format: str = "console"
    otlp_endpoint: str = ""  # of a collector; empty: no traces
    worker_concurrency: int = 100  # operations at once per worker process
    heartbeat_file: str = ""  # that a worker touches while it takes messages; empty: none
    lease_ms: int = 6_000  # how long a job stays with a worker that has fallen silent
    replicas: int = 0  # replicas of the store that must have an intent on disk before it is submitted
    flower_host: str = "127.0.0.1"
    flower_port: int = 5555
    flower_password: str = ""  # of the user "operator"; needed where others can reach Flower
    flower_names: tuple[str, ...] = ()  # host names that Flower answers to, beside those of this machine
    flower_control: str = "no"  # whether Flower may stop workers and send tasks
    flower_tasks: int = 5_000  # tasks that Flower keeps in memory, the latest ones
    paper_url: str = ""  # where the paper market keeps its books; empty: in the store
    paper_latency_ms: int = 400  # per transfer or buy
    paper_failure_rate: float = 0.0  # 0–1
    paper_balance_sol: float = 100.0  # SOL in each paper wallet when it is opened
    paper_timeout_ms: int = 10_000  # how long an outcome is waited for
    paper_lost_rate: float = 0.0  # 0–1: executed, but the reply to the submission is lost
    paper_silent_rate: float = 0.0  # 0–1: executed, but no outcome is told before the time-out
    paper_late_rate: float = 0.0  # 0–1: executed only after the time-out
    crash_at: str = ""  # for tests: where a worker kills itself, see crash.py

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read and validate the environment. A variable that is set to nothing counts as not set.

        Raises :class:`ConfigError` naming every wrong variable and what it may be.
        """
        given = {name: value for name, value in environ.items() if name.startswith(ENV_PREFIX) and value}
        try:
            settings = cls(**_EnvironmentSchema(unknown=EXCLUDE).load(given))
        except ValidationError as error:
            lines = [
                f"  {name}={'…' if name in SECRETS else repr(given[name])}: {' '.join(texts)}"
                for name, texts in _messages(error)
            ]
            raise ConfigError("\n".join(["wrong settings in the environment:", *lines])) from error
        paths = [settings.front_path, *([settings.socket_path] if settings.embedded else [])]
        longest = max(paths, key=lambda path: len(os.fsencode(path)))
        if len(os.fsencode(longest)) > _MAX_SOCKET_PATH_BYTES:
            raise ConfigError(
                f"CTO_DATA_DIR is too long for a Unix socket in it ({longest}): "
                f"choose a shorter path, so that this one has at most {_MAX_SOCKET_PATH_BYTES} bytes"
            )
        return settings

    @property
    def embedded(self) -> bool:
        """Whether this system runs its own store."""
        return not self.redis_url

    @property
    def socket_path(self) -> Path:
        """Where the embedded store listens: a Unix socket that only this user can open."""
        return self.data_dir.absolute() / "store.sock"

    @property
    def front_path(self) -> Path:
        """Where gateways that share one address get their connections. Each system has a port of its own."""
        return self.data_dir.absolute() / f"{self.port}.sock"

    @property
    def store_url(self) -> str:
        """The store's URL as redis-py takes it."""
        return self.redis_url or f"unix://{self.socket_path}"

    @property
    def celery_url(self) -> str:
        """The store's URL as Celery takes it, for broker and results alike."""
        if self.sentinels:
            return self.sentinels.celery_url
        return self.redis_url or f"redis+socket://{self.socket_path}"

    @property
    def sentinels(self) -> Sentinels | None:
        """Those who know where the store is, if it has any."""
        return parse(self.redis_url, self.sentinel_password)

    @property
    def of_limits(self) -> Settings:
        """The same, with the store in which requests are counted."""
        return replace(self, redis_url=self.limits_url or self.redis_url)

    @property
    def of_paper_market(self) -> Settings:
        """The same, with the store in which the paper market keeps its books."""
        return replace(self, redis_url=self.paper_url or self.redis_url)

    @property
    def base_url(self) -> str:
        """Where this machine's clients find the gateway."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared only
        return replace(self, host=host).listen_url

    @property
    def listen_url(self) -> str:
        """Where the gateway listens, which may be every address of the machine."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def retention_s(self) -> int:
        """How long a job is kept, counted from its last event, in seconds."""
        return self.retention_days * 86_400

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the gateway."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _messages(error: ValidationError) -> list[tuple[str, list[str]]]:
    messages = error.normalized_messages()
    return sorted((name, texts) for name, texts in messages.items())


class _Words(fields.String):
    """Comma-separated words; read as a tuple."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        return tuple(word.strip() for word in text.split(",") if word.strip())


_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+\Z")  # as browsers send it: lower case, no path, no `*`


class _Origins(_Words):
    """Origins of pages. One that no browser would send must not be taken for one that is allowed."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        origins = super()._deserialize(value, attr, data, **kwargs)
        for origin in origins:
            if not _ORIGIN.match(origin):
                raise ValidationError(
                    f"{origin!r} is no origin: write it as browsers do: http://localhost:5173, lower case, "
                    "without a slash at its end, and each by itself (no *)."
                )
        return origins


class _HostNames(_Words):
    """Names as a ``Host`` header gives them, without a port."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        names = super()._deserialize(value, attr, data, **kwargs)
        for name in names:
            if host_name(name) != name:
                raise ValidationError(
                    f"{name!r} is no host name: write it like flower.example.org, "
                    "in lower case, without scheme and port."
                )
        return names


class _StoreAddress(fields.String):
    """The address of a store, or of the Sentinels that know it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        url = super()._deserialize(value, attr, data, **kwargs)
        try:
            known = parse(url) or re.match(r"rediss?://.+", url)
        except ValueError:
            known = None
        if not known:
            raise ValidationError(
                "Must be empty, or like redis://127.0.0.1:6379/0, or "
                f"{SCHEME}://user:password@host1:26379,host2:26379,host3:26379/mymaster/0, "
                "where user and password are percent-encoded, as in every URL."
            )
        return url


class _EnvironmentSchema(Schema):
    host = fields.String(data_key="CTO_HOST")
    port = fields.Integer(data_key="CTO_PORT", validate=validate.Range(1, 65_535))
    max_sockets = fields.Integer(data_key="CTO_MAX_SOCKETS", validate=validate.Range(1, 1_000_000))
    max_user_sockets = fields.Integer(data_key="CTO_MAX_USER_SOCKETS", validate=validate.Range(1, 1_000_000))
    max_rooms = fields.Integer(data_key="CTO_MAX_ROOMS", validate=validate.Range(1, 1_000_000))
    redis_url = _StoreAddress(data_key="CTO_REDIS_URL")
    sentinel_password = fields.String(data_key="CTO_SENTINEL_PASSWORD")
    limits_url = _StoreAddress(data_key="CTO_LIMITS_URL")
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
    cors_origins = _Origins(data_key="CTO_CORS_ORIGINS")
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
    flower_names = _HostNames(data_key="CTO_FLOWER_NAMES")
    flower_control = fields.String(data_key="CTO_FLOWER_CONTROL", validate=validate.OneOf(["yes", "no"]))
    flower_tasks = fields.Integer(data_key="CTO_FLOWER_TASKS", validate=validate.Range(1, 1_000_000))
    paper_url = _StoreAddress(data_key="CTO_PAPER_URL")
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
            error=f"Must be one of {', '.join(CRASH_POINTS)}, and :always behind it for every attempt.",
        ),
    )


VARIABLES = frozenset(field.data_key for field in _EnvironmentSchema().fields.values() if field.data_key)

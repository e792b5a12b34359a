"""``cto up``: the whole system in the foreground until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import socket
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from honcho.environ import parse_procfile
from redis.exceptions import RedisError

from api.auth.startup_settings import validate_auth_settings
from api.cli import profiles
from api.cli.program_name import program
from api.cli.system.demo_tokens import market_prefix, uses_local_chain
from api.cli.system.market_processes import chain_url, market_processes
from api.cli.system.process_supervisor import Spec, Supervisor
from cto_worker.config import ENV_PREFIX, VARIABLES, Settings
from cto_worker.errors import ConfigError
from cto_worker.market_registry import platforms
from cto_worker.observability import flower_options
from cto_worker.observability.heartbeat_reader import running_processes
from cto_worker.observability.logging_setup import json_line
from cto_worker.setting_fields import declaration
from cto_worker.store.embedded import answers, check_unused
from cto_worker.store.store_connection import connect
from cto_worker.store.store_reachability import AGAIN_S, WAITING, unreachable
from cto_worker.unknown_settings import unknown_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROBE_S = 0.5
READY_EVERY_S = 0.25  # interval of the check whether the system is ready


def up(
    settings: Settings, *, workers: int = 1, gateways: int = 1, flower: bool = True, quiet: bool = False
) -> int:
    """Run the system and return the exit status. Raises :class:`ConfigError` before any process starts.

    ``quiet`` hides the lines of the processes below a warning.
    """
    validate_auth_settings(settings)
    platforms(settings.market)
    ports = {"CTO_PORT": settings.port}
    if flower:
        # Raises if Flower would be open to other machines without a password.
        flower_options.environment(settings)
        ports["CTO_FLOWER_PORT"] = settings.flower_port
    for name, port in ports.items():
        _check_free(settings.host, port, name)
    if uses_local_chain(settings):
        _check_free("127.0.0.1", settings.local_chain_port, "CTO_LOCAL_CHAIN_PORT")
    if settings.embedded:
        check_unused(settings)
    readiness = Readiness(settings, {"worker": workers, "gateway": gateways}, flower=flower)

    def announce() -> None:
        if readiness.reached():
            for line in _addresses(settings, flower=flower):
                supervisor.write_line(line)

    specs = processes(settings, workers=workers, gateways=gateways, flower=flower)
    as_line = _json_line if settings.log_format == "json" else None
    supervisor = Supervisor(specs, _environ(settings), every_tick=announce, as_line=as_line, quiet=quiet)
    supervisor.may_start = _StoreWait(settings, supervisor.write_line).over
    for warning in unknown_settings().values():
        supervisor.write_line(f"warning: {warning}")
    supervisor.write_line(f"starting {', '.join(spec.name for spec in specs)}; Ctrl-C stops everything")
    return supervisor.run()


class _StoreWait:
    """The wait for an external store before the first process starts. It is reported once."""

    def __init__(self, settings: Settings, write_line: Callable[[str], None]) -> None:
        self._settings, self._write_line = settings, write_line
        self._over = settings.embedded  # an embedded store is the first process
        self._reported = False
        self._next_s = 0.0

    def over(self) -> bool:
        """Return whether the store has answered."""
        if self._over or time.monotonic() < self._next_s:
            return self._over
        reason = unreachable(self._settings)
        self._over = not reason
        if reason and not self._reported:
            self._reported = True
            self._write_line(f"{reason}; {WAITING}")
        self._next_s = time.monotonic() + AGAIN_S
        return self._over


class Readiness:
    """The check whether gateways, workers and Flower of this system answer.

    An answer at the gateway's address may come from another system, which has taken the port in the meantime.
    The heartbeats of ``wanted`` processes by kind, in this system's store, show that these have started.
    """

    def __init__(self, settings: Settings, wanted: Mapping[str, int], *, flower: bool) -> None:
        self._settings, self._wanted = settings, wanted
        self._urls = [f"{settings.base_url}/readyz"]
        if flower:
            host = f"[{settings.flower_host}]" if ":" in settings.flower_host else settings.flower_host
            self._urls.append(f"http://{host}:{settings.flower_port}/healthcheck")
        # Processes of an earlier run, whose heartbeats have not expired, by kind.
        self._earlier: dict[str, set[str]] | None = None
        self._reached = False
        self._next_s = 0.0

    def reached(self) -> bool:
        """Return true once: the first time that the whole system answers."""
        if self._reached or time.monotonic() < self._next_s:
            return False
        self._next_s = time.monotonic() + READY_EVERY_S
        # In this order: the gateway answers only after the store does.
        self._reached = self._store_answers() and all(map(_answers, self._urls)) and self._enough_processes()
        return self._reached

    def _store_answers(self) -> bool:
        """Return whether the store answers. The first answer contains the processes of an earlier run."""
        if self._earlier is None:
            self._earlier = self._alive()
        return self._earlier is not None

    def _enough_processes(self) -> bool:
        alive, earlier = self._alive(), self._earlier or {}
        return alive is not None and all(
            len(alive[kind] - earlier.get(kind, set())) >= number for kind, number in self._wanted.items()
        )

    def _alive(self) -> dict[str, set[str]] | None:
        try:
            with connect(self._settings, 1, timeout_s=PROBE_S, retry_timeouts=False) as store:
                return {kind: set(running_processes(store, kind)) for kind in self._wanted}
        except RedisError:
            return None


def processes(settings: Settings, *, workers: int = 1, gateways: int = 1, flower: bool = True) -> list[Spec]:
    """Return the Procfile's processes, after an embedded store and those of the market.

    Several gateways get a dispatcher.
    """
    lines = parse_procfile(procfile().read_text()).processes
    specs = []
    if settings.embedded:
        command = [sys.executable, "-m", "cto_worker.store.embedded"]
        specs.append(Spec("store", command, ready=lambda: answers(settings)))
    specs += market_processes(settings)
    for kind, line in lines.items():
        command = shlex.split(line)
        if kind == "worker":
            # Celery requires a unique name for each worker.
            names = [f"worker.{number}" for number in range(1, workers + 1)] if workers > 1 else ["worker"]
            specs += [Spec(name, [*command, "--hostname", f"{name}@%h"]) for name in names]
        elif kind == "gateway" and gateways > 1:
            specs.append(Spec("dispatcher", [sys.executable, "-m", "api.server.dispatcher"]))
            specs += [
                Spec(f"gateway.{number}", [*command, "--number", str(number)])
                for number in range(1, gateways + 1)
            ]
        elif kind != "flower" or flower:
            specs.append(Spec(kind, command))
    return specs


def procfile() -> Path:
    """Return the path of the Procfile: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parents[2]
    inside = package / "Procfile"
    return inside if inside.exists() else package.parent / "Procfile"


def _environ(settings: Settings) -> dict[str, str]:
    programs = Path(sys.executable).parent  # the folder of this environment's celery and python
    unknown = unknown_settings()  # reported once here, instead of by each process
    return {
        **{name: value for name, value in os.environ.items() if name not in unknown},
        "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", "")]),
        "PYTHONUNBUFFERED": "1",
        "CTO_DATA_DIR": str(settings.data_dir.absolute()),
    }


def _json_line(text: str, name: str) -> str:
    return json_line(text, process=name)


def _addresses(settings: Settings, *, flower: bool) -> list[str]:
    lines = [
        f"console     {settings.base_url}/",
        f"REST        {settings.base_url}/api/cto/jobs",
        f"Socket.IO   {settings.base_url}/socket.io/",
    ]
    if flower:
        lines.append(f"Flower      http://{settings.flower_host}:{settings.flower_port}/")
    lines.append(
        f"store       {settings.data_dir.absolute()}" if settings.embedded else "store       CTO_REDIS_URL"
    )
    if uses_local_chain(settings):
        lines.append(f"chain       {chain_url(settings)} (local, its SOL is worth nothing)")
    # Another terminal does not have the port that was set in this one.
    elsewhere = settings.base_url != Settings().base_url or _default_gateway_is_saved()
    url = f" --url {settings.base_url}" if elsewhere else ""
    return [
        *lines,
        f"ready: try `{market_prefix(settings)}{program()} submit --watch{url}` in another terminal",
    ]


def _default_gateway_is_saved() -> bool:
    try:
        return bool(profiles.load().default)
    except ConfigError:  # the next command reports it
        return True


def _check_free(host: str, port: int, name: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"port {port} on {host} is in use ({error.strerror}): stop the process that uses it, "
                f"or choose another port: {_command_with(**{name: str(port + 1)})}"
            ) from error


def _command_with(**changes: str) -> str:
    """Return the command that starts the system again with these changes. It contains no secrets."""
    secret = {ENV_PREFIX + each.name.upper() for each in fields(Settings) if declaration(each).secret}
    given = {name: value for name, value in os.environ.items() if value and name in VARIABLES - secret}
    words = [f"{name}={shlex.quote(value)}" for name, value in sorted((given | changes).items())]
    return " ".join([*words, f"{program()} up"])


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=PROBE_S) as response:  # noqa: S310 - our own address
            return bool(response.status == 200)  # noqa: PLR2004 - OK
    except (URLError, OSError):
        return False

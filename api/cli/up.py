"""``cto up``: the whole system in the foreground, until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from honcho.environ import parse_procfile
from redis.exceptions import RedisError

from api.auth.authentication import validate_auth_settings
from api.cli.options import program
from api.cli.supervisor import Spec, Supervisor
from cto_worker.config import Settings
from cto_worker.errors import ConfigError
from cto_worker.observability import flower_options
from cto_worker.observability.heartbeat import alive
from cto_worker.observability.logs import json_line
from cto_worker.store.connection import connect
from cto_worker.store.embedded import answers
from cto_worker.store.startup import AGAIN_S, unreachable
from cto_worker.unknown_settings import unknown_settings

if TYPE_CHECKING:
    from collections.abc import Callable

PROBE_S = 0.5
READY_EVERY_S = 0.25  # how often it is asked whether all is ready


def up(settings: Settings, *, workers: int = 1, gateways: int = 1, flower: bool = True) -> int:
    """Run everything and return the exit status. Raises :class:`ConfigError` before anything is started."""
    validate_auth_settings(settings)
    ports = {"CTO_PORT": settings.port}
    if flower:
        flower_options.environment(settings)  # raises when it would be open to others
        ports["CTO_FLOWER_PORT"] = settings.flower_port
    for name, port in ports.items():
        _check_free(settings, port, name)
    if settings.embedded and answers(settings):
        raise ConfigError(
            f"another system is running in {settings.data_dir.absolute()}: stop it, or set CTO_DATA_DIR"
        )
    ready = _Ready(settings, workers=workers, flower=flower)

    def announce() -> None:
        if ready.now():
            for line in _where(settings, flower=flower):
                supervisor.say(line)

    specs = processes(settings, workers=workers, gateways=gateways, flower=flower)
    as_line = _json_line if settings.log_format == "json" else None
    supervisor = Supervisor(specs, _environ(settings), every_tick=announce, as_line=as_line)
    supervisor.may_start = _Waiting(settings, supervisor.say).over
    for warning in unknown_settings().values():
        supervisor.say(f"warning: {warning}")
    supervisor.say(f"starting {', '.join(spec.name for spec in specs)}; Ctrl-C stops everything")
    return supervisor.run()


class _Waiting:
    """Keeps processes from being started before a store elsewhere answers; says so once."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self._over = settings.embedded  # it is the first process itself
        self._said = False
        self._next_s = 0.0

    def over(self) -> bool:
        """Whether the store answers, or has once."""
        if self._over or time.monotonic() < self._next_s:
            return self._over
        why = unreachable(self._settings)
        self._over = not why
        if why and not self._said:
            self._said = True
            self._say(f"{why}; waiting")
        self._next_s = time.monotonic() + AGAIN_S
        return self._over


class _Ready:
    """Whether the whole system answers: gateway, workers and Flower. Tells it once."""

    def __init__(self, settings: Settings, *, workers: int, flower: bool) -> None:
        self._settings, self._workers = settings, workers
        self._urls = [f"{settings.base_url}/readyz"]
        if flower:
            host = f"[{settings.flower_host}]" if ":" in settings.flower_host else settings.flower_host
            self._urls.append(f"http://{host}:{settings.flower_port}/healthcheck")
        self._before: set[str] | None = None  # workers of an earlier run, which are remembered for a while
        self._told = False
        self._next_s = 0.0

    def now(self) -> bool:
        """Return true the first time that all of it answers."""
        if self._told or time.monotonic() < self._next_s:
            return False
        self._next_s = time.monotonic() + READY_EVERY_S
        # In this order: the gateway answers only after the store does.
        self._told = self._store_answers() and all(map(_answers, self._urls)) and self._enough_workers()
        return self._told

    def _store_answers(self) -> bool:
        """Whether it does; the first time, note which workers are remembered from before."""
        if self._before is None:
            self._before = self._alive()
        return self._before is not None

    def _enough_workers(self) -> bool:
        alive = self._alive()
        return alive is not None and len(alive - (self._before or set())) >= self._workers

    def _alive(self) -> set[str] | None:
        try:
            with connect(self._settings, 1, timeout_s=PROBE_S, retry_timeouts=False) as store:
                return set(alive(store, "worker"))
        except RedisError:
            return None


def processes(settings: Settings, *, workers: int = 1, gateways: int = 1, flower: bool = True) -> list[Spec]:
    """The Procfile's processes, after the embedded store if there is one. Several gateways have a front."""
    lines = parse_procfile(procfile().read_text()).processes
    specs = []
    if settings.embedded:
        command = [sys.executable, "-m", "cto_worker.store.embedded"]
        specs.append(Spec("store", command, ready=lambda: answers(settings)))
    for name, line in lines.items():
        command = shlex.split(line)
        if name == "worker":
            # Celery needs a name of its own for each worker.
            names = [f"worker.{number}" for number in range(1, workers + 1)] if workers > 1 else ["worker"]
            specs += [Spec(one, [*command, "--hostname", f"{one}@%h"]) for one in names]
        elif name == "gateway" and gateways > 1:
            specs.append(Spec("front", [sys.executable, "-m", "api.server.dispatcher"]))
            specs += [
                Spec(f"gateway.{number}", [*command, "--number", str(number)])
                for number in range(1, gateways + 1)
            ]
        elif name != "flower" or flower:
            specs.append(Spec(name, command))
    return specs


def procfile() -> Path:
    """Where the Procfile lies: beside this package in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).parents[1]
    inside = package / "Procfile"
    return inside if inside.exists() else package.parent / "Procfile"


def _environ(settings: Settings) -> dict[str, str]:
    programs = Path(sys.executable).parent  # where this environment's celery and python are
    told = unknown_settings()  # once, rather than by each process
    return {
        **{name: value for name, value in os.environ.items() if name not in told},
        "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", "")]),
        "PYTHONUNBUFFERED": "1",
        "CTO_DATA_DIR": str(settings.data_dir.absolute()),
    }


def _json_line(text: str, name: str) -> str:
    return json_line(text, process=name)


def _where(settings: Settings, *, flower: bool) -> list[str]:
    lines = [
        f"dashboard   {settings.base_url}/",
        f"REST        {settings.base_url}/api/cto/jobs",
        f"Socket.IO   {settings.base_url}/socket.io/",
    ]
    if flower:
        lines.append(f"Flower      http://{settings.flower_host}:{settings.flower_port}/")
    lines.append(
        f"store       {settings.data_dir.absolute()}" if settings.embedded else "store       CTO_REDIS_URL"
    )
    # Another terminal does not know of a port that was set in this one.
    url = f" --url {settings.base_url}" if settings.base_url != Settings().base_url else ""
    return [*lines, f"ready: try `{program()} submit --watch{url}` in another terminal"]


def _check_free(settings: Settings, port: int, name: str) -> None:
    host = settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"port {port} on {host} is taken ({error.strerror}): stop what uses it, "
                f"or choose another: CTO_AUTH={settings.auth} {name}={port + 1} {program()} up"
            ) from error


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=PROBE_S) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)  # noqa: PLR2004 - OK
    except (URLError, OSError):
        return False

"""Procfile, docker-compose.yml and `cto up` start the same commands, and the project's lists are complete."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

import pytest
import yaml
from honcho.environ import parse_procfile

from api.cli.system.up import processes, procfile, up
from cto_worker.config import VARIABLES, Settings
from cto_worker.errors import ConfigError
from cto_worker.jobs.celery_app import celery_app
from cto_worker.store import keys

ROOT = Path(__file__).parents[3]
PROCFILE = parse_procfile((ROOT / "Procfile").read_text()).processes


def test_the_procfile_and_docker_compose_start_the_same_commands():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    commands = {
        name: service["command"]
        for name, service in services.items()
        if service["image"] == "cto" and service["restart"] != "no"  # the others end by themselves
    }
    assert commands.pop("gateway-1") == commands.pop("gateway-2") == PROCFILE["gateway"]
    assert commands == {name: command for name, command in PROCFILE.items() if name != "gateway"}


def test_cto_up_starts_the_procfiles_commands_after_the_store():
    specs = processes(Settings())
    assert procfile().read_text() == (ROOT / "Procfile").read_text()
    assert [spec.name for spec in specs] == ["store", *PROCFILE]
    for spec in specs[1:]:
        line = shlex.split(PROCFILE[spec.name])
        assert list(spec.command[: len(line)]) == line


def test_an_external_store_is_not_started():
    assert [spec.name for spec in processes(Settings(redis_url="redis://h/0"))] == list(PROCFILE)


def test_each_of_several_workers_has_a_unique_name():
    specs = processes(Settings(), workers=3, flower=False)
    workers = [spec for spec in specs if spec.name.startswith("worker")]
    assert len({spec.command[-1] for spec in workers}) == 3


def test_several_gateways_have_numbers_and_a_dispatcher():
    specs = processes(Settings(), gateways=2, flower=False)
    assert [spec.name for spec in specs] == ["store", "worker", "dispatcher", "gateway.1", "gateway.2"]
    line = shlex.split(PROCFILE["gateway"])
    assert [spec.command for spec in specs[3:]] == [[*line, "--number", number] for number in ("1", "2")]


def test_a_port_in_use_is_reported_with_a_command_that_keeps_the_other_settings(monkeypatch):
    given = {
        "CTO_AUTH": "off",
        "CTO_CORS_ORIGINS": "http://localhost:5173",
        "CTO_FLOWER_PORT": "5999",
        "CTO_TOKEN": "secret",
        "CTO_OPERATION_PARALLELISM": "",
    }
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for name, value in (given | {"CTO_PORT": str(port)}).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is in use") as refusal:
            up(Settings.from_env())
    kept = "CTO_AUTH=off CTO_CORS_ORIGINS=http://localhost:5173 CTO_FLOWER_PORT=5999"
    assert f": {kept} CTO_PORT={port + 1} " in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_every_queue_has_a_consumer():
    words = shlex.split(PROCFILE["worker"])
    consumed = words[words.index("--queues") + 1].split(",")
    queues = [queue.name for queue in celery_app(Settings()).conf.task_queues]
    assert queues == consumed == [keys.QUEUE, keys.RESUMED_QUEUE]


def test_ci_runs_make_test_and_nothing_else():
    script = (ROOT / ".ci/run").read_text().splitlines()
    assert [line for line in script if line.startswith(("exec", "make"))] == ["exec make test"]


@pytest.mark.parametrize(
    "name",
    [
        "requirements.lock",
        "requirements-solana.lock",
        "requirements-build.lock",
        "requirements-docs.lock",
        "requirements-dev.lock",
    ],
)
def test_locks_contain_hashes_and_no_urls(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert text.count("--hash=sha256:") > text.count("==")


@pytest.mark.parametrize("directory", ["tests/acceptance/node", "benchmarks/node"])
def test_locks_of_node_packages_contain_hashes_and_no_urls(directory):
    text = (ROOT / directory / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert '"integrity": "sha512-' in text

"""docker-compose.yml as a file: its schema, and the rules for every service."""

from __future__ import annotations

import subprocess

import pytest
import yaml
from support.deployment import COMPOSE, GATEWAYS, GUIDE, ROOT, SECRETS_IN, interpolated
from support.processes import BIN

ON_REQUEST = {"backup"}
ONE_TIME = {"migrate"}


@pytest.mark.parametrize("file", [COMPOSE, ROOT / "deploy" / "tls.yml"], ids=lambda file: file.name)
def test_a_compose_file_matches_the_compose_schema(file, tmp_path):
    plain = tmp_path / file.name
    plain.write_text(
        file.read_text().replace("!override ", "")
    )  # a tag of Compose that is not part of the schema
    check = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", plain]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_one_service_builds_the_image_of_all():
    ours = {
        name: service
        for name, service in yaml.safe_load(COMPOSE.read_text())["services"].items()
        if service["image"] == "cto"
    }
    assert set(ours) == {"worker", *GATEWAYS, "flower", "backup", "migrate"}
    assert [name for name, service in ours.items() if "build" in service] == ["worker"], (
        "several builds race for one name, and all but one fail with the containerd image store"
    )


def test_a_scheduled_backup_does_not_start_a_stopped_store():
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    assert services["backup"]["depends_on"] == []
    assert services["flower"]["depends_on"] == {"store": {"condition": "service_healthy"}}


def test_the_archive_is_migrated_before_the_workers_start_and_never_prevents_a_start():
    """Operations run without the archive; ended jobs then stay in the store."""
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    waits = {
        (name, dependency): services[name]["depends_on"][dependency]
        for name in services
        for dependency in ("archive", "migrate")
        if dependency in services[name].get("depends_on", ())
    }
    assert waits == {
        ("migrate", "archive"): {"condition": "service_healthy", "required": False},
        ("worker", "migrate"): {"condition": "service_completed_successfully", "required": False},
    }
    assert services["worker"]["depends_on"]["store"] == {"condition": "service_healthy"}
    assert {name for name, service in services.items() if service.get("restart") == "no"} == {
        *ON_REQUEST,
        *ONE_TIME,
    }


def test_compose_requires_the_secrets():
    with pytest.raises(KeyError, match="make secrets"):
        interpolated(COMPOSE.read_text(), {})


def test_every_service_is_confined():
    for name, service in yaml.safe_load(COMPOSE.read_text())["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["deploy"]["resources"]["limits"]["pids"] == 512, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert "healthcheck" in service or name in ON_REQUEST | ONE_TIME, name
        assert "cap_add" not in service or name == "proxy", name
        assert "profiles" not in service or name in ON_REQUEST, f"{name} is not started"
        own = [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")]
        assert not own or name == "proxy", f"{name} is open to others"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and not source.startswith(SECRETS_IN):
                assert (ROOT / source).is_file(), volume


def test_the_guide_states_the_sum_of_the_resource_limits():
    services = yaml.safe_load(COMPOSE.read_text())["services"].values()
    limits = [service["deploy"]["resources"]["limits"] for service in services if service["restart"] != "no"]
    units = {"G": 1.0, "M": 0.001}
    cpus = sum(float(limit["cpus"]) for limit in limits)
    memory_gb = sum(float(limit["memory"][:-1]) * units[limit["memory"][-1]] for limit in limits)
    assert f"{cpus:.1f} processors and {memory_gb:.1f} GB" in GUIDE.replace("\n", " ")

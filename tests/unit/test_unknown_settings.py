"""Warnings about variables that look like settings but are not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cto_worker.config import VARIABLES
from cto_worker.unknown_settings import unknown_settings

ROOT = Path(__file__).parents[2]
DEPLOYED = [
    ROOT / "docker-compose.yml",
    ROOT / "Procfile",
    *(ROOT / "deploy").rglob("*.y*ml"),
    ROOT / "Dockerfile",
]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CTO_FAILURE_RATE", "did you mean CTO_PAPER_FAILURE_RATE?"),
        ("CTO_PAPER_FAILURERATE", "did you mean CTO_PAPER_FAILURE_RATE?"),
        ("CTO_REDISURL", "did you mean CTO_REDIS_URL?"),
        ("CTO_WORKER_CONCURENCY", "did you mean CTO_WORKER_CONCURRENCY?"),
        ("CTO_XYZZY", "docs/reference/settings.md lists the settings"),
    ],
)
def test_the_warning_about_a_misspelt_setting_suggests_a_setting(name, hint):
    warning = unknown_settings({name: "0.3", "CTO_PORT": "3000", "HOME": "/"})
    assert warning == {name: f"{name} is not a setting and has no effect: {hint}"}


def test_variables_of_deployments_give_no_warning():
    named = {name for path in DEPLOYED for name in re.findall(r"\bCTO_[A-Z_]+\b", path.read_text())}
    assert named > {"CTO_SITE", "CTO_REDIS_URL"}
    injected = {
        "CTO_STORE_SERVICE_HOST",
        "CTO_STORE_SERVICE_PORT",
        "CTO_STORE_PORT_6379_TCP_ADDR",
        "CTO_STORE_PORT",
    }
    assert unknown_settings(dict.fromkeys(named | injected | VARIABLES, "x")) == {}


def test_an_empty_variable_gives_no_warning():
    assert unknown_settings({"CTO_XYZZY": ""}) == {}

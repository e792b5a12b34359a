"""The published OpenAPI document against the running system, by ``schemathesis run`` with every check."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.processes import BIN
from support.tokens import GUARDED, bearer, token

from api.spec import openapi

HERE = Path(__file__).parent
OPEN = {"CTO_RATE_LIMIT": "1000000/minute", "CTO_MAX_USER_SOCKETS": "1000"}


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("settings", "headers"), [(OPEN, {}), (OPEN | GUARDED, bearer(token("fuzzer")))], ids=["off", "required"]
)
def test_the_system_matches_the_openapi_document(launch, tmp_path, settings, headers):
    system = launch("--no-flower", **settings).ready()
    command = [BIN / "schemathesis", "--config-file", HERE / "schemathesis.toml", "run"]
    command += [f"{system.url}/openapi.json", "--url", system.url, "--checks", "all", "--seed", "1"]
    command += ["--max-examples", "8", "--continue-on-failure", "--no-color"]
    command += [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
    env = os.environ | {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)}
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    operations = sum(len(methods) for methods in openapi.document()["paths"].values())
    operations -= 1  # the command does not test the path of the document itself
    assert f"Selected: {operations}/{operations}" in done.stdout
    assert "Traceback" not in system.output()

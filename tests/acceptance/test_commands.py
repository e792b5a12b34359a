"""The `cto` command, run as its users run it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from prometheus_client import CollectorRegistry
from support.cases import check_all
from support.processes import BIN, Process, free_port, run
from support.terminal import in_terminal
from support.waiting import wait_until

from api.cli.system.doctor import examine
from cto_worker.domain.market_port import MarketDescription, Money
from cto_worker.observability.process_heartbeat import ProcessHeartbeat


@pytest.fixture
def elsewhere(system):
    """Return environments of a system that is not running: ``elsewhere(CTO_AUTH="required")``."""
    directory = tempfile.mkdtemp(prefix="cto-")  # a short path, because the store's socket is below it
    port = free_port()
    yield lambda **settings: system.env | {"CTO_DATA_DIR": directory, "CTO_PORT": str(port)} | settings
    shutil.rmtree(directory)


def test_a_job_is_watched_in_a_terminal(system):
    status, output = in_terminal(system.env, "submit", "--watch", "--yes", "--user", uuid.uuid4().hex)
    assert status == 0, output
    assert "━" in output
    assert "completed" in output


def test_the_error_of_a_failed_job_is_shown_in_full(system):
    user = uuid.uuid4().hex
    status, output = in_terminal(system.env, "submit", "--watch", "--yes", "--user", user, "--amount", "5000")
    assert status == 1, output
    job = json.loads(system.cto("jobs", "--user", user, "--json").stdout)["jobs"][0]
    error = system.get(f"/api/cto/job/{job['jobId']}/latest")["details"]["error"]
    assert error in output


def test_doctor_finds_nothing_wrong_from_a_second_terminal(system):
    env = {name: value for name, value in system.env.items() if name != "CTO_AUTH"}
    done = run([BIN / "cto", "doctor"], env)
    assert done.returncode == 0, done.stdout
    assert "CTO_AUTH=required" in done.stdout
    assert not re.search("^FAIL", done.stdout, re.MULTILINE)


@pytest.fixture
def started(tmp_path):
    """Start a command and wait for its output. Returns the process, and a function that reads its output."""
    processes = []

    def started(command, env, condition):
        process = Process(command, env, tmp_path / f"{len(processes)}.log")
        processes.append(process)
        wait_until(lambda: condition(process.log.read_text()) or not process.alive)
        return process, process.log.read_text

    yield started
    for process in processes:
        process.terminate(60)


COMMANDS = {
    "up": [BIN / "cto", "up"],
    "worker": [BIN / "celery", "--app", "cto_worker.app", "worker", "--queues", "cto"],
    "gateway": [BIN / "python", "-m", "api.wsgi"],
    "flower": [BIN / "python", "-m", "cto_worker.observability.flower"],
}


def test_an_unreachable_store_is_named_once_without_its_password(elsewhere, started):
    unreachable = {"CTO_REDIS_URL": "redis://worker:sEcReT@127.0.0.1:1/0"}
    named = "the store at redis://127.0.0.1:1/0 is not reachable"
    running = []
    for name, command in COMMANDS.items():
        ports = {"CTO_PORT": str(free_port()), "CTO_FLOWER_PORT": str(free_port())}
        running.append(
            (name, *started(command, elsewhere(**unreachable, **ports), lambda text: named in text))
        )
    time.sleep(3)  # long enough for a repeated message

    def check(process, read):
        assert process.alive, read()
        assert read().count(named) == 1, read()
        assert "sEcReT" not in read()
        assert "Trying again" not in read()
        assert read().count("lost the store") <= 1

    check_all([(name, (process, read)) for name, process, read in running], check)


def test_the_system_reports_ready_once_and_no_warnings_follow(elsewhere, started):
    env = elsewhere(CTO_FLOWER_PORT=str(free_port()), CTO_PAPER_FAILURERATE="0.3")
    _, read = started([BIN / "cto", "up"], env, lambda text: "ready: try" in text)
    before, ready, _ = read().partition("ready: try")
    assert ready, read()
    assert "@" in before
    assert " ready." in before, "the worker is ready"
    warning = "CTO_PAPER_FAILURERATE is not a setting and has no effect: did you mean CTO_PAPER_FAILURE_RATE?"
    assert before.count(warning) == 1
    assert "superuser" not in before
    assert run([BIN / "cto", "submit", "--watch"], env).returncode == 0
    time.sleep(6)  # in which Flower inspects a worker that has just started
    after = read().partition("ready: try")[2]
    assert "warning" not in after.lower(), after
    assert "error" not in after.lower(), after


def test_doctor_warns_of_a_misspelt_setting(system):
    found = run([BIN / "cto", "doctor"], system.env | {"CTO_REDISURL": "x"})
    assert found.returncode == 0, found.stderr
    assert "WARN  environment    CTO_REDISURL is not a setting and has no effect" in found.stdout


@pytest.mark.parametrize("auth", ["off", "required"])
def test_doctor_names_the_failed_checks_of_a_stopped_system(elsewhere, auth):
    done = run([BIN / "cto", "doctor", "--json"], elsewhere(CTO_AUTH=auth))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    passed = {finding["check"]: finding["right"] for finding in json.loads(done.stdout)}
    assert passed == {"configuration": auth == "off", "store": False, "archive": True, "gateway": False}
    assert done.stdout.count("no system has run in ") == 2


def test_a_command_for_the_store_names_the_folder_without_a_system(elsewhere):
    env = elsewhere()
    done = run([BIN / "cto", "audit"], env)
    assert done.stderr.startswith(
        f"Error: the store is not reachable: no system has run in {env['CTO_DATA_DIR']}: run the command in"
    )


def test_doctor_finds_workers_of_another_market(settings, store):
    def finding():
        return next(finding for finding in examine(settings) if finding.check == "market")

    assert finding().right
    local = MarketDescription("solana: local chain", Money.LOCAL_CHAIN)
    ProcessHeartbeat(store, "worker", CollectorRegistry(), dict, local).send()
    assert finding().text == "the workers use solana: local chain; this command uses paper: simulated"


def test_doctor_finds_a_gateway_of_another_system(system, settings, store):
    here = replace(settings, port=system.settings.port)

    def finding():
        return next(finding for finding in examine(here) if finding.check == "gateway")

    assert "is the gateway of another system" in finding().text
    ProcessHeartbeat(store, "gateway", CollectorRegistry(), dict).send()
    assert "is the gateway of another system" in finding().text
    assert next(each for each in examine(system.settings) if each.check == "gateway").right


def processes_of(directory):
    """Return the processes that were started with this directory for temporary files."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={directory}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended, or belongs to another user
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads the processes from /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_demo_that_is_stopped_leaves_no_process(elsewhere, number):
    directory = elsewhere()["CTO_DATA_DIR"]
    env = elsewhere(TMPDIR=directory)
    demo = subprocess.Popen(
        [BIN / "cto", "demo", "--keep"],
        env=env,
        stdout=subprocess.DEVNULL,
        # Under nohup, the test would pass on its ignored SIGHUP, which the demo respects.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{env['CTO_PORT']}/"))
        assert len(processes_of(directory)) > 3
        demo.send_signal(number)
        status = demo.wait(60)
    finally:
        demo.kill()
        demo.wait()
    assert status == (-number if number == signal.SIGKILL else 128 + number)
    wait_until(lambda: not processes_of(directory))


def answers(page):
    try:
        return requests.get(page, timeout=1).ok
    except requests.RequestException:
        return False


def test_text_from_users_is_printed_unchanged(system):
    done = system.cto("submit", "--watch", "--json", "--user", "a:cat:b")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["userId"] for event in events} == {"a:cat:b"}
    assert "a:cat:b" in system.cto("jobs", "--user", "a:cat:b").stdout


def test_the_market_shows_addresses_in_full(system):
    user = uuid.uuid4().hex
    assert system.ended(system.submit(userId=user))["status"] == "completed"
    wallets = json.loads(system.cto("market", "wallets", "--user", user, "--json").stdout)
    shown = system.cto("market", "wallets", "--user", user).stdout
    booked = system.cto("market", "ledger", "--user", user).stdout
    for wallet in wallets:
        assert wallet["address"] in shown
        assert wallet["address"] in booked
    mints = {mint for wallet in wallets for mint in wallet["tokens"]}
    assert mints
    assert all(mint in shown and mint in booked for mint in mints)
    assert max(map(len, shown.splitlines())) <= 80


def test_the_market_shows_an_operations_steps_as_a_review_asks_for_them(system):
    status = system.ended(
        system.submit(userId=uuid.uuid4().hex, mode="prefunded", walletCount=1, buyAmount=0.02)
    )
    (wallet,) = status["operationResult"]["wallets"]
    lines = system.cto("market", "operation", status["jobId"]).stdout.splitlines()
    (step,) = [line.split() for line in lines if wallet["wallet"] in line]
    spent = f"{status['operationResult']['totalSpent']:.9f}"
    assert (step[0], step[4], step[-1]) == (
        "buy",
        spent,
        status["operationResult"]["transactionSignatures"][0],
    )
    booked = system.cto("market", "ledger").stdout
    assert f"-{spent}" in booked


def test_a_request_that_cannot_be_sent_is_invalid(system):
    done = system.cto("submit", "--idempotency-key", "ключ")
    assert done.returncode == 1
    assert "invalid_request" in done.stderr


def test_hints_can_be_copied(system):
    hint = re.search(r"try `(.*)` in another terminal", system.output())[1]
    command, *options = hint.split()
    assert Path(shutil.which(command)) == BIN / "cto"
    assert options == ["submit", "--watch", "--url", system.url]
    done = subprocess.run(hint, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    port_in_use = system.cto("up")
    for words in ("CTO_AUTH=off ", f"CTO_PORT={system.settings.port + 1} ", f" {command} up"):
        assert words in port_in_use.stderr


def test_a_quiet_system_shows_only_addresses_and_warnings(elsewhere, started):
    _, read = started(
        [BIN / "cto", "up", "--quiet", "--no-flower"], elsewhere(), lambda text: "ready: try" in text
    )
    assert "console  " in read()
    assert "[info" not in read()
    assert {line.partition("|")[0].strip() for line in read().splitlines()} <= {"cto", "store"}

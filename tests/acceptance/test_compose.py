"""The services of docker-compose.yml as processes of this machine: proxy, gateways, and their rights."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import requests
import yaml
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from support.clients import NodeClient, PythonClient
from support.deployment import GATEWAYS, GUIDE, ROOT, SECRETS_IN, Deployment
from support.tokens import token
from support.waiting import wait_until

from api.auth.token_revocations import revoke
from api.cli.system import deployment_secrets
from cto_worker.observability.heartbeat_reader import read_system_counts
from cto_worker.store import keys


@pytest.fixture
def without_worker():
    """A deployment of which only the store and a gateway run: its jobs wait."""
    deployment = Deployment()
    try:
        deployment.start_store()
        deployment.start_archive()
        deployment.start("gateway-1")
        wait_until(lambda: deployment.ready(deployment.url("gateway-1")))
        yield deployment
    finally:
        deployment.down()


@pytest.mark.parametrize(("client", "transport"), [(NodeClient, "polling"), (PythonClient, "websocket")])
def test_a_client_receives_every_event_through_the_proxy(composed, client, transport):
    user = f"compose-{transport}"
    watching = client(f"{composed.url('proxy')}?token={composed.token()}", transport, [f"user_{user}"])
    try:
        watching.wait_for(lambda client: client.answers())
        for _ in range(3):
            joins = len(watching.received("answer"))
            job_id = composed.submit(userId=user, mode="standard")
            watching.wait_for(lambda client, job_id=job_id: job_id in client.ended())
            # A stock client misses events while it reconnects, which a busy machine can cause.
            if len(watching.received("answer")) == joins:
                break
        assert watching.events(job_id) == composed.get(f"/api/cto/job/{job_id}/events")["events"]
    finally:
        watching.close()
    assert composed.ended(job_id)["status"] == "completed"


def test_prometheus_reads_the_metrics_of_every_gateway(composed):
    config = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    (scrape,) = (one for one in config["scrape_configs"] if one["job_name"] == "cto")
    (targets,) = scrape["static_configs"]
    assert targets["targets"] == [f"{name}:3000" for name in GATEWAYS]
    mounts = composed.services["prometheus"]["volumes"]
    assert f"{SECRETS_IN}prometheus-token:{scrape['authorization']['credentials_file']}:ro" in mounts
    bearer = {"Authorization": f"Bearer {(composed.secrets / 'prometheus-token').read_text()}"}
    for name in GATEWAYS:
        metrics = f"{composed.url(name)}/metrics"
        assert requests.get(metrics, timeout=10).status_code == 401
        wait_until(
            lambda url=metrics: (
                'cto_processes{kind="gateway"} 2.0' in requests.get(url, headers=bearer, timeout=10).text
            )
        )


def test_flower_lists_the_worker_and_requires_its_password(composed):
    url, password = composed.url("flower"), composed.values["CTO_FLOWER_PASSWORD"]

    def workers():
        try:
            return requests.get(
                f"{url}/api/workers?refresh=1", auth=("operator", password), timeout=20
            ).json()
        except (requests.RequestException, ValueError):
            return {}

    wait_until(workers)
    assert requests.get(f"{url}/workers", timeout=10).status_code == 401


def test_a_user_is_rate_limited_and_can_cancel_and_be_revoked(composed):
    secret = composed.values["CTO_JWT_SECRET"]
    bearer = {"Authorization": f"Bearer {token('counted', key=secret, aud=None)}"}
    jobs = f"{composed.url('proxy')}/api/cto/jobs"
    left = [
        int(requests.get(jobs, headers=bearer, timeout=10).headers["X-RateLimit-Remaining"]) for _ in range(2)
    ]
    assert left[1] == left[0] - 1, "on either gateway"
    waiting = [composed.submit(userId="counted", walletCount=40, buyAmount=0.8) for _ in range(3)]
    for job_id in waiting:
        cancel = f"{composed.url('proxy')}/api/cto/job/{job_id}/cancel"
        assert requests.post(cancel, headers=bearer, timeout=10).status_code == 202
    assert {composed.ended(job_id)["latestProgress"]["details"]["errorCode"] for job_id in waiting} == {
        "cancelled"
    }
    with composed.store("worker") as store:
        revoke(store, token_id="", user_id="counted", keep_s=60)
    wait_until(lambda: requests.get(jobs, headers=bearer, timeout=10).status_code == 401)


def test_all_gateways_share_a_rate_limit(composed):
    bearer = {"Authorization": f"Bearer {token('greedy', key=composed.values['CTO_JWT_SECRET'], aud=None)}"}
    answers = []

    def ask(name):
        with requests.Session() as session:
            url = f"{composed.url(name)}/api/cto/jobs"
            for _ in range(50):
                # A gateway on a busy machine refuses some requests before it counts them.
                while (answer := session.get(url, headers=bearer, timeout=60)).status_code == 503:
                    pass
                answers.append(answer)

    begun_s = time.monotonic()
    threads = [threading.Thread(target=ask, args=[name]) for name in GATEWAYS * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    within_window = time.monotonic() - begun_s < 60
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 429}, statuses
    limit = int(answers[0].headers["X-RateLimit-Limit"])
    window = f"{keys.LIMITS_PREFIX}:{{LIMITER/user:greedy/{limit}/1/minute}}"
    with composed.store("gateway") as store:
        assert statuses[200] == sum(int(store.get(key) or 0) for key in (window, f"{window}/-1"))
    assert statuses[200] == limit or not within_window
    for name in GATEWAYS:
        assert "unreachable" not in composed.output(name)
        assert "Traceback" not in composed.output(name)


def test_requests_without_a_token_are_counted_by_the_address_from_the_proxy(composed):
    def left(forwarded):
        headers = {"X-Forwarded-For": forwarded}
        answer = requests.get(f"{composed.url('gateway-1')}/api/cto/jobs", headers=headers, timeout=10)
        assert answer.status_code == 401
        return int(answer.headers["X-RateLimit-Remaining"])

    first = left("10.1.1.1")
    assert left("6.6.6.6, 10.1.1.1") == first - 1, "addresses that the client sends itself do not count"
    assert left("10.1.1.2") == first


def test_each_store_user_has_only_the_rights_that_it_needs(composed):
    users = _, gateway, flower, backup = [composed.store(name) for name in deployment_secrets.STORE_USERS]
    health = Redis(port=composed.ports["store"], username="health", password="any")
    for user in (*users, health):
        for command in (
            "FLUSHALL",
            "FLUSHDB",
            "CONFIG GET *",
            "KEYS *",
            "SCAN 0",
            "ACL LIST",
            "SHUTDOWN",
            "REPLICAOF NO ONE",
        ):
            with pytest.raises(NoPermissionError):
                user.execute_command(*command.split())
        with pytest.raises(NoPermissionError):
            user.set("anything", 1)
    gateway.hgetall(keys.paper_wallets("7"))
    with pytest.raises(NoPermissionError):
        gateway.hset(keys.paper_wallets("7"), "wallet", 1)
    with pytest.raises(NoPermissionError):
        gateway.xlen(keys.PAPER_LEDGER)
    gateway.hgetall(keys.paper_intent("i"))
    with pytest.raises(NoPermissionError):
        gateway.hset(keys.paper_intent("i"), "status", "confirmed")
    gateway.hgetall(keys.PAPER_LEDGER_ID)
    with pytest.raises(NoPermissionError):
        gateway.hset(keys.PAPER_LEDGER_ID, "id", "x")
    for user, key in (
        *((flower, key) for key in (keys.job("j"), keys.intents("j"), keys.meta("j"))),
        *((user, key) for user in (backup, health) for key in (keys.job("j"), keys.QUEUE)),
    ):
        with pytest.raises(NoPermissionError):
            user.exists(key)
    gateway.hgetall(keys.intents("j"))
    with pytest.raises(NoPermissionError):
        gateway.hset(keys.intents("j"), "i", "a forged order")
    with pytest.raises(NoPermissionError):
        flower.rpush(keys.QUEUE, "a forged message")
    with pytest.raises(RedisError, match=r"ACL failure|No permissions"):
        flower.eval("return redis.call('EXISTS', KEYS[1])", 1, keys.job("j"))
    with Redis(port=composed.ports["store"]) as anonymous, pytest.raises(AuthenticationError):
        anonymous.ping()
    job_id = composed.submit(mode="standard")
    composed.ended(job_id)
    admin = token("root", key=composed.values["CTO_JWT_SECRET"], aud=None, role="admin")
    address = f"{composed.url('proxy')}/api/cto/job/{job_id}/market"
    answer = requests.get(address, headers={"Authorization": f"Bearer {admin}"}, timeout=10).json()["data"]
    assert {order["executed"] for order in answer["orders"]} == {True}
    status, output = composed.run("gateway-1", "cto doctor")
    assert status == 0, output
    status, output = composed.run("worker", "cto doctor")
    assert (status, "no gateway would start with these settings" in output) == (0, True), output
    status, output = composed.run("gateway-1", "cto market ledger")
    assert (status, "Run this command where a worker runs" in output) == (1, True), output
    composed.settle()
    assert composed.run("worker", "cto market ledger --user 7")[0] == 0, composed.output("run")
    log = composed.output("worker") + composed.output("gateway-1") + composed.output("flower")
    assert "NOPERM" not in log
    assert "No permissions" not in log
    assert all(secret not in log for secret in composed.values.values())


def checked(composed, name):
    """Run a service's health check on the files of this machine. Return its exit status."""
    _, program, *arguments = composed.services[name]["healthcheck"]["test"]
    assert program == "healthy", "it runs every few seconds in each container, so it must not start Python"
    arguments = [
        argument if argument not in {"3000", "5555"} else str(composed.ports[name]) for argument in arguments
    ]
    words = [composed.nearby(composed.inside(word, composed.services[name])) for word in arguments]
    return subprocess.run([ROOT / "deploy" / "image" / "healthy", *words], check=False).returncode


def test_health_checks_fail_for_a_stopped_gateway_and_a_frozen_worker(composed):
    for name in ("worker", *GATEWAYS, "flower"):
        wait_until(lambda name=name: checked(composed, name) == 0)
    beats = Path(composed.nearby("/tmp/heartbeat"))
    composed.stop("gateway-2")
    assert checked(composed, "gateway-2") == 1
    composed.start("gateway-2")
    worker = composed.processes["worker"]
    worker.send_signal(signal.SIGSTOP)
    try:
        long_ago_s = beats.stat().st_mtime - 60
        os.utime(beats, (long_ago_s, long_ago_s))
        assert checked(composed, "worker") == 1
    finally:
        worker.send_signal(signal.SIGCONT)
    wait_until(lambda: checked(composed, "worker") == 0)
    wait_until(lambda: composed.ready(composed.url("gateway-2")))


def test_a_backup_is_made_while_the_system_runs(composed):
    status, output = composed.run("backup")
    assert status == 0, output
    assert (composed.directory / "dump.rdb").read_bytes()[:6] in (b"VALKEY", b"REDIS0")


def test_a_gateway_ends_a_cancelled_job_that_waits(without_worker):
    """Its rights in the store do not include the intent log."""
    job_id = without_worker.submit(to="gateway-1")
    url = f"{without_worker.url('gateway-1')}/api/cto/job/{job_id}/cancel"
    answer = requests.post(url, headers=without_worker.headers(), timeout=30)
    assert answer.status_code == 202, answer.text
    latest = without_worker.get(f"/api/cto/job/{job_id}/latest", to="gateway-1")
    assert (latest["status"], latest["details"]["errorCode"]) == ("failed", "cancelled")
    assert "NOPERM" not in without_worker.output("gateway-1")


def test_a_backup_is_restored_as_the_guide_describes(without_worker):
    section = GUIDE.partition("## Back up and restore")[2]
    restore, park = re.search(r" store (sh .*) < cto.rdb &&\n.* worker (cto park --yes) &&", section).groups()
    assert "docker compose run --rm backup &&" in section
    deployment = without_worker
    with deployment.store("worker") as store:
        store.set(keys.SERIAL, 6)
    deployment.submit(to="gateway-1")
    deployment.stop("gateway-1")
    assert deployment.run("backup")[0] == 0
    backup = (deployment.directory / "dump.rdb").rename(deployment.directory / "cto.rdb")
    with backup.open("rb") as stdin:
        status, output = deployment.run("store", restore, stdin)
    assert (status, "a store runs at" in output) == (1, True), output
    deployment.stop("store")
    shutil.rmtree(deployment.directory / "appendonlydir")
    with backup.open("rb") as stdin:
        assert deployment.run("store", restore, stdin)[0] == 0
    deployment.start_store()
    status, output = deployment.run("worker", park)
    assert (status, output.splitlines()[1]) == (0, "ended: 1"), output
    with deployment.store("worker") as store:
        assert store.get(keys.SERIAL) == b"7"
        counted = {
            dict(labels)["error_code"]: value
            for (name, labels), value in read_system_counts(store).counts.items()
            if name == "cto_jobs_ended_total"
        }
    assert counted == {"needs_review": 1}, "otherwise the dashboard would not show why they failed"


def test_without_a_gateway_the_proxy_returns_503(composed):
    def refused():
        return requests.get(f"{composed.url('proxy')}/api/cto/jobs", timeout=30)

    for name in GATEWAYS:
        composed.stop(name)
    try:
        answer = refused()
    finally:
        for name in GATEWAYS:
            composed.start(name)
        wait_until(lambda: refused().status_code == 401)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_gateway")
    assert answer.headers["Retry-After"] == "1"


def test_clients_of_a_stopped_gateway_continue_on_the_other(composed):
    user = "compose-stop"
    watching = NodeClient(f"{composed.url('proxy')}?token={composed.token()}", "polling", [f"user_{user}"])
    try:
        watching.wait_for(lambda client: client.answers())
        for name in GATEWAYS:  # the client is connected to one of them
            job_id = composed.submit(userId=user, walletCount=20, buyAmount=0.5)
            watching.wait_for(lambda client, job_id=job_id: client.events(job_id))
            process = composed.processes[name]
            process.send_signal(signal.SIGTERM)
            process.wait(15)
            watching.wait_for(lambda client, job_id=job_id: job_id in client.ended())
            composed.start(name)
            wait_until(lambda name=name: composed.ready(composed.url(name)))
    finally:
        watching.close()

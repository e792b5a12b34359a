"""One gateway with as many idle clients as its limit of open files allows, and REST beside them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.http_client import ConnectionRegistry
from benchmarks.relay.crowd import crowd
from benchmarks.relay.jobs import Journaled
from benchmarks.relay.rows import join_each
from benchmarks.relay.servers import gateway
from benchmarks.rest_flood import p50_p99_max
from benchmarks.system import allow_descriptors, client, embedded_store
from cto_worker.config import Settings
from cto_worker.store.redis_journal import RedisJournal

FIRST = 300  # clients that connect before the measurement: the memory of the server itself
ADDRESSES = [f"127.0.0.{number}" for number in range(1, 5)]  # one has too few local ports
SECONDS = 25.0  # of the requests: the gateway pings each client at least twice
PAUSE_S = 0.01  # between two requests


@dataclass(frozen=True, slots=True)
class Idle:
    """Memory of a client, and what a REST request and the gateway need while all are connected."""

    kb: float
    p50_ms: float
    p99_ms: float
    cpu: float  # of the gateway, in cores


def beside_idle_clients(count: int = 18_000) -> Idle:
    """Connect ``count`` clients, each in its own room, and request a job's status repeatedly."""
    allow_descriptors()
    with embedded_store() as environment, client(environment) as store:
        path = f"/api/cto/job/{Journaled(RedisJournal(store, Settings()), 'bench').job_id}/status"
        with gateway(environment | {"CTO_MAX_SOCKETS": str(count)}) as server, crowd(server.port) as clients:
            connection = ConnectionRegistry(server.port, 1)
            join_each(clients, FIRST, addresses=ADDRESSES)
            server.rest()
            before_kb = server.memory_kb
            join_each(clients, count - FIRST, first=FIRST, addresses=ADDRESSES)
            kb = (server.memory_kb - before_kb) / (count - FIRST)
            used_s, start_s, latencies_ms = server.cpu_s, time.monotonic(), []
            while time.monotonic() < start_s + SECONDS:
                latencies_ms.append(connection.ms(path))
                time.sleep(PAUSE_S)
            cpu = (server.cpu_s - used_s) / (time.monotonic() - start_s)
            clients.arrival(0)  # raises if a client was disconnected
            connection.close()
    p50_ms, p99_ms, _ = p50_p99_max(latencies_ms)
    return Idle(kb, p50_ms, p99_ms, cpu)

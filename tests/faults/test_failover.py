"""The store's primary dies, and a replica takes over: three workers and two gateways find it."""

from __future__ import annotations

import os
import threading

import pytest
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from waiting import wait_until

from cto_worker.errors import NotDurableError
from faults.clients import whole
from faults.criteria import check
from faults.sentinel import WatchedSystem

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # `make soak` does ten
GATEWAYS = ("127.0.0.8", "127.0.0.9")


@pytest.fixture
def system():
    system = WatchedSystem()
    yield system
    system.close()


def submit(system, key, **changes):
    """As a client does: with a key of its own, again and again until it is told of the job."""
    told = []

    def accepted():
        try:
            told.append(system.submit_once(key, **changes))
        except (RedisError, OperationalError, NotDurableError):
            return False
        return True

    wait_until(accepted)
    return told[0]


@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_the_primary_dies_under_load(system, swarm_of):
    workers = [system.worker() for _ in range(3)]
    gateways = [system.gateway_at(host) for host in GATEWAYS]
    jobs = [job_id for number in range(ROUNDS) for job_id in lose_the_primary(system, swarm_of, f"r{number}")]
    seen = check(system, jobs)
    assert seen["jobs"] == len(jobs) == 13 * ROUNDS
    assert all(part.alive for part in [*workers, *gateways])


def lose_the_primary(system, swarm_of, name):
    """Return the jobs that ran meanwhile, all of which have ended, and all of whose events were told."""
    running = [
        submit(system, f"{name}-{number}", mode=mode, walletCount=15)
        for number, mode in enumerate(("standard", "prefunded") * 4)
    ]
    watched = running[:4]
    clients = [
        client
        for host in GATEWAYS
        for transport in ("websocket", "polling", "plain")
        for client in swarm_of(system.settings.port, host).add(2, transport, watched)
    ]
    wait_until(lambda: system.told(running[-1])[-1]["phase"] == 4)
    wait_until(lambda: all(client.resumed == set(watched) for client in clients))
    before = system.primary()
    system.servers[before].kill()
    late = []
    sender = threading.Thread(
        target=lambda: late.extend(submit(system, f"{name}-late-{number}") for number in range(5))
    )
    sender.start()
    wait_until(lambda: system.primary() != before)
    wait_until(lambda: all(map(system.ready_at, GATEWAYS)))
    sender.join()
    jobs = running + late
    system.ended(jobs)
    told = {job_id: len(system.told(job_id)) for job_id in watched}
    wait_until(lambda: all(whole(client, told) for client in clients))
    system.servers[before] = system.start_server(before)
    wait_until(system.complete)
    return jobs

"""The store's primary dies or hangs, and a replica takes over: workers and gateways connect to it."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from support.criteria import check, check_all_bought
from support.swarm import has_every_event
from support.waiting import wait_until

from cto_worker.errors import NotDurableError
from cto_worker.store import keys
from faults.sentinel import SentinelSystem

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # `make soak` does ten
GATEWAYS = ("127.0.0.8", "127.0.0.9")


@pytest.fixture
def make():
    return SentinelSystem


def submit(system, key, **changes):
    """Submit like a client: with an idempotency key, and repeated until the job's id is returned."""
    job_ids = []

    def accepted():
        try:
            job_ids.append(system.submit_once(key, **changes))
        except (RedisError, OperationalError, NotDurableError):
            return False
        return True

    wait_until(accepted)
    return job_ids[0]


@pytest.mark.timeout(120 + 60 * ROUNDS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_jobs_continue_after_the_primary_fails(system, swarm_of, number):
    """A primary that hangs continues after the failover, and still considers itself the primary."""
    workers = [system.worker() for _ in range(3)]
    gateways = [system.gateway_at(host) for host in GATEWAYS]
    jobs = [job_id for at in range(ROUNDS) for job_id in lose_the_primary(system, swarm_of, f"r{at}", number)]
    seen = check(system, jobs)
    assert seen["jobs"] == len(jobs) == 13 * ROUNDS
    assert all(part.alive for part in [*workers, *gateways])


def lose_the_primary(system, swarm_of, name, number):
    """Return the jobs that ran during the failover. All have ended, and clients received all their events."""
    running = [
        submit(system, f"{name}-{at}", mode=mode, walletCount=15)
        for at, mode in enumerate(("standard", "prefunded") * 4)
    ]
    watched = running[:4]
    clients = [
        client
        for host in GATEWAYS
        for transport in ("websocket", "polling", "ws")
        for client in swarm_of(system.settings.port, host).add(2, transport, watched)
    ]
    wait_until(lambda: system.events(running[-1])[-1]["phase"] >= 4)
    wait_until(lambda: all(client.resumed == set(watched) for client in clients))
    before = system.primary()
    system.servers[before].signal(number)
    late = []
    sender = threading.Thread(
        target=lambda: late.extend(submit(system, f"{name}-late-{at}") for at in range(5))
    )
    sender.start()
    wait_until(lambda: system.primary() != before)
    wait_until(lambda: all(map(system.ready_at, GATEWAYS)))
    sender.join()
    jobs = running + late
    system.wait_for_end(jobs)
    counts = {job_id: len(system.events(job_id)) for job_id in watched}
    wait_until(lambda: all(has_every_event(client, counts) for client in clients))
    if number == signal.SIGKILL:
        system.servers[before].process.wait()
        system.servers[before] = system.start_server(before)
    else:
        system.servers[before].signal(signal.SIGCONT)
    wait_until(system.complete)
    return jobs


def test_money_moves_only_for_replicated_intents(system):
    """The primary continues without its replicas and then dies, so that its last writes are lost."""
    system.worker(CTO_PAPER_LATENCY_MS="100")
    system.worker(CTO_PAPER_LATENCY_MS="100")
    jobs = [system.submit(mode=mode, walletCount=20) for mode in ("standard", "prefunded") * 3]
    wait_until(lambda: system.market.xlen(keys.PAPER_LEDGER) > 20)
    before = system.primary()
    replicas = [part for host, part in system.servers.items() if host != before]
    for replica in replicas:
        replica.signal(signal.SIGSTOP)
    with system.server(before) as primary:
        primary.config_set(
            "min-replicas-to-write", "0"
        )  # this setting would stop writes, but some seconds later
        primary.client_kill_filter(_type="replica")
        written = primary.info("replication")["master_repl_offset"]
        threading.Event().wait(2)  # shorter than the detection of a failure
        assert primary.info("replication")["master_repl_offset"] > written
    system.servers[before].kill()
    for replica in replicas:
        replica.signal(signal.SIGCONT)
    wait_until(lambda: system.primary() != before)
    system.wait_for_end(jobs)
    assert check(system, jobs)["completed"] == len(jobs)
    check_all_bought(system, jobs)

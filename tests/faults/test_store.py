"""A store that is killed, disconnects its clients, is full, or refuses writes."""

from __future__ import annotations

import os
import threading

import pytest
from support.criteria import check, check_all_bought
from support.system import LEASE_MS
from support.waiting import assert_stays, wait_until

from cto_worker.errors import NotDurableError
from cto_worker.store import keys
from cto_worker.store.journal_queries import JournalQueries

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # `make soak` does ten


@pytest.mark.timeout(120 + 60 * ROUNDS)
@pytest.mark.parametrize("down_s", [0.2, 3, 8])
def test_jobs_continue_after_the_store_is_killed(build, down_s):
    system = build(CTO_PAPER_LATENCY_MS="200")
    workers = [system.worker(), system.worker()]
    gateway = system.gateway()
    jobs = []
    for _ in range(ROUNDS):
        running = [system.submit(mode=mode, walletCount=10) for mode in ("standard", "prefunded") * 3]
        wait_until(lambda job_id=running[-1]: system.events(job_id)[-1]["phase"] >= 4)
        system.restart_store(down_s)
        running.append(system.submit())
        counts = {job_id: len(system.events(job_id)) for job_id in running}
        wait_until(
            lambda counts=counts: all(system.has_continued(*job) for job in counts.items()), timeout_s=10
        )
        wait_until(system.gateway_ready, timeout_s=10)
        jobs += running
        system.wait_for_end(jobs)
    assert check(system, jobs)["completed"] == len(jobs)
    check_all_bought(system, jobs)
    assert all(part.alive for part in [*workers, gateway])


def test_jobs_complete_while_the_store_disconnects_its_clients_every_two_seconds(build):
    system = build(CTO_PAPER_LATENCY_MS="300")
    system.worker()
    system.worker()
    jobs = [system.submit(mode=mode, walletCount=20) for mode in ("standard", "prefunded") * 10]
    ended = threading.Event()

    def cut():
        while not ended.wait(2):
            system.client.client_kill_filter(_type="normal", skipme=True)

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        system.wait_for_end(jobs)
    finally:
        ended.set()
        cutter.join()
    assert check(system, jobs)["completed"] == len(jobs)
    check_all_bought(system, jobs)


@pytest.mark.parametrize(
    ("setting", "parallelism", "wallets"),
    [("maxmemory", 1, 10), ("maxmemory", 10, 50), ("min-replicas-to-write", 10, 50)],
    ids=["full", "full, ten orders in flight", "read-only, ten orders in flight"],
)
def test_a_store_that_refuses_writes_moves_no_money_and_recovers(build, setting, parallelism, wallets):
    system = build(CTO_OPERATION_PARALLELISM=str(parallelism))
    system.worker()
    jobs = [system.submit(mode=mode, walletCount=wallets) for mode in ("standard", "prefunded") * 3]
    wait_until(lambda: system.events(jobs[0])[-1]["phase"] >= 4)
    system.client.config_set(setting, "1")
    moved = system.client.xlen(keys.PAPER_LEDGER)
    wait_until(lambda: "maxmemory" in system.logs() or "NOREPLICAS" in system.logs())
    assert system.client.xlen(keys.PAPER_LEDGER) == moved
    system.client.config_set(setting, "0")
    system.wait_for_end(jobs)
    assert check(system, jobs)["completed"] == len(jobs)
    check_all_bought(system, jobs)


def test_a_job_completes_on_a_slow_store(system):
    with system.proxied() as (proxy, through):
        system.worker(**through)
        job_id = system.submit(walletCount=3)
        system.wait_for_events(job_id, 5)
        proxy.delay_s = 0.2
        system.wait_for_events(job_id, 7)
        proxy.black_hole.set()
        threading.Event().wait(4)  # longer than a lease
        proxy.black_hole.clear()
        proxy.delay_s = 0.0
        proxy.cut()
        system.wait_for_end([job_id])
    assert check(system, [job_id])["completed"]
    check_all_bought(system, [job_id])


def test_a_worker_refuses_a_store_without_persistence(system):
    system.client.config_set("appendonly", "no")
    worker = system.worker()
    assert worker.process.wait(20) == 78
    assert "appendonly yes" in worker.log.read_text()


@pytest.mark.parametrize(("begun", "parallelism"), [(False, 10), (True, 1)])
def test_no_order_is_submitted_while_the_store_has_no_persistence(system, begun, parallelism):
    system.worker(CTO_PAPER_LATENCY_MS="300", CTO_OPERATION_PARALLELISM=str(parallelism))
    job_id = None
    if begun:
        job_id = system.submit()
        system.wait_for_events(job_id, 5)
    system.client.config_set("appendonly", "no")
    if not begun:
        with pytest.raises(NotDurableError):
            system.submit()
        (job_id,) = (job.job_id for job in JournalQueries(system.client).page(None, None, limit=2).jobs)
    wait_until(lambda: "appendonly yes" in system.logs())
    before = system.client.xlen(keys.PAPER_LEDGER)
    # Long enough for a takeover by another run, with the intent of the first run in the log.
    assert_stays(lambda: system.client.xlen(keys.PAPER_LEDGER) == before, for_s=4 * LEASE_MS / 1000)
    system.client.config_set("appendonly", "yes")
    system.wait_for_end([job_id])
    assert check(system, [job_id])["completed"]
    check_all_bought(system, [job_id])

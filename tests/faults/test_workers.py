"""Workers that are killed, stopped, told to stop, or doubt the time."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from waiting import wait_until

from cto_worker.crash import CRASH_POINTS
from faults.criteria import check
from faults.parts import LEASE_MS, random_worker

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # `make soak` does ten
SKEWED = Path(__file__).parent / "skewed"


@pytest.mark.timeout(120 + 90 * ROUNDS)
def test_workers_killed_in_the_middle_of_buying(system):
    """Two workers, one of them killed over and over while jobs run."""
    workers = [system.worker(), system.worker()]
    jobs = []
    for _ in range(5 * ROUNDS):
        jobs += [system.submit(mode=mode, walletCount=6) for mode in ("standard", "prefunded") * 2]
        wait_until(lambda job_id=jobs[-1]: system.told(job_id)[-1]["phase"] == 4)
        random_worker(system).kill()
        workers.append(system.worker())
    system.ended(jobs)
    seen = check(system, jobs)
    assert seen["completed"] == len(jobs)
    assert seen["takeovers"] >= 5, "or nothing was tried"


@pytest.mark.parametrize("point", [point for point in CRASH_POINTS if point != "after_record"])
@pytest.mark.parametrize("mode", ["standard", "prefunded"])
def test_a_worker_that_dies_at_a_crash_point_is_taken_over_there(system, point, mode):
    doomed = system.worker(CTO_CRASH_AT=point)
    job_id = system.submit(mode=mode)
    assert doomed.process.wait(30) == -signal.SIGKILL
    before = system.told(job_id)
    system.worker()
    system.ended([job_id])
    seen = check(system, [job_id])
    assert seen["completed"]
    told = system.told(job_id)
    assert told[: len(before)] == before
    assert {event["attempt"] for event in told[len(before) :]} == (set() if point == "after_end" else {2})
    assert told[-1]["details"]["successfulBuys"] == 3
    if point not in {"after_claim", "before_plan", "after_end"}:
        assert told[len(before)]["phase"] == 4, "what was decided is not decided again"


def test_a_producer_that_dies_before_it_sends_has_its_job_run(system):
    """What it recorded counts; the message that never came is sent by a worker's sweep."""
    system.producer._send = lambda *_: None
    job_id = system.submit()
    system.worker()
    system.ended([job_id], timeout_s=20)
    assert check(system, [job_id])["completed"]


def test_a_job_that_kills_every_worker_is_parked(system):
    job_id = system.submit()
    threads_end = threading.Event()

    def keep_a_worker():
        while not threads_end.is_set():
            worker = system.worker(CTO_CRASH_AT="after_intent:always")
            while worker.alive and not threads_end.wait(0.05):
                pass

    keeper = threading.Thread(target=keep_a_worker)
    keeper.start()
    try:
        system.ended([job_id], timeout_s=120)
    finally:
        threads_end.set()
        keeper.join()
    check(system, [job_id], unknown_allowed=True)
    last = system.told(job_id)[-1]
    assert (last["attempt"], last["details"]["errorCode"]) == (6, "needs_review")
    assert [step["status"] for step in system.history.view(job_id).result["steps"]] == ["unknown"]


def test_a_stopped_worker_sends_and_writes_nothing_more(build):
    system = build(CTO_PAPER_LATENCY_MS="300")
    first = system.worker()
    job_id = system.submit(walletCount=10)
    system.reaches(job_id, 6)
    first.signal(signal.SIGSTOP)
    system.worker()
    wait_until(lambda: system.told(job_id)[-1]["attempt"] == 2)
    first.signal(signal.SIGCONT)
    system.ended([job_id])
    assert check(system, [job_id])["completed"]
    attempts = [event["attempt"] for event in system.told(job_id)]
    assert attempts == sorted(attempts)
    wait_until(lambda: "stopped, to be taken over" in first.log.read_text())


@pytest.mark.timeout(120 + 90 * ROUNDS)
def test_workers_told_to_stop_hand_their_jobs_over(build):
    system = build(CTO_PAPER_LATENCY_MS="200", CTO_LEASE_MS="60000")  # no lease runs out during this test
    worker = system.worker()
    jobs = []
    for _ in range(3 * ROUNDS):
        jobs += [system.submit(walletCount=20) for _ in range(5)]
        wait_until(lambda job_id=jobs[-1]: system.told(job_id)[-1]["phase"] == 4)
        successor = system.worker()
        assert worker.terminate(timeout_s=15) < 15
        worker = successor
    system.ended(jobs)
    seen = check(system, jobs)
    assert seen["completed"] == len(jobs)
    assert seen["takeovers"] >= len(jobs) / 2


@pytest.mark.parametrize("skew_s", [3_600, -3_600])
def test_a_wrong_wall_clock_takes_nothing_over_early(build, skew_s):
    system = build(CTO_PAPER_LATENCY_MS="200")
    system.worker()
    job_id = system.submit(walletCount=15)
    system.reaches(job_id, 5)
    system.worker(PYTHONPATH=str(SKEWED), SKEW_S=str(skew_s))
    system.ended([job_id])
    assert {event["attempt"] for event in system.told(job_id)} == {0, 1}
    other = system.submit(mode="prefunded")
    system.ended([other])
    check(system, [job_id, other])


def test_leases_outlast_slow_steps(build):
    """One step takes three leases; the lease is renewed meanwhile, and nobody takes the job over."""
    system = build(CTO_PAPER_LATENCY_MS=str(3 * LEASE_MS))
    system.worker()
    system.worker()
    job_id = system.submit(mode="prefunded", walletCount=1)
    system.ended([job_id])
    assert system.told(job_id)[-1]["attempt"] == 1
    check(system, [job_id])

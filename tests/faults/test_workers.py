"""Workers that are killed, frozen or stopped, or have a wrong clock."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter

import pytest
from support.criteria import check, check_all_bought, check_resumed
from support.system import LEASE_MS, random_worker
from support.waiting import wait_until

from cto_worker.config import Settings
from cto_worker.crash_points import CRASH_POINTS
from cto_worker.operation.step_schedule import next_steps
from cto_worker.store import keys

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # `make soak` does ten
CHANCE = random.Random(ROUNDS)


@pytest.mark.timeout(120 + 90 * ROUNDS)
def test_jobs_of_killed_workers_are_resumed(build):
    """Two workers with a production lease. One of them is killed repeatedly while jobs run."""
    system = build(CTO_LEASE_MS=str(Settings().lease_ms), CTO_PAPER_LATENCY_MS="150")
    for _ in range(2):
        system.worker()
    jobs, killed_ms = [], []
    for _ in range(5 * ROUNDS):
        jobs += [system.submit(mode=mode, walletCount=6) for mode in ("standard", "prefunded") * 2]
        wait_until(lambda job_id=jobs[-1]: system.events(job_id)[-1]["phase"] >= 4)
        killed_ms.append(time.time_ns() // 10**6)
        random_worker(system, CHANCE).kill()
        system.worker()
    system.wait_for_end(jobs)
    seen = check(system, jobs)
    assert seen["completed"] == len(jobs)
    check_all_bought(system, jobs)
    assert len(check_resumed(system, jobs, killed_ms)) >= 5, "otherwise no kill interrupted a job"


POINTS = [point for point in CRASH_POINTS if point != "after_record"]
AFTER_THE_END = {"after_end", "before_archive", "after_archive"}
# Each point is reached with one order in flight in one mode, and with several in the other.
CRASHES = [
    (point, mode, (1, 10)[(number + offset) % 2])
    for number, point in enumerate(POINTS)
    for offset, mode in enumerate(("standard", "prefunded"))
]


@pytest.mark.parametrize(("point", "mode", "parallelism"), CRASHES)
def test_a_job_is_resumed_at_the_crash_point_of_its_worker(build, point, mode, parallelism):
    system = build(CTO_OPERATION_PARALLELISM=str(parallelism))
    # The market needs longer than POLL_S: only then a submission is recorded.
    doomed = system.worker(CTO_CRASH_AT=point, CTO_PAPER_LATENCY_MS="700")
    job_id = system.submit(mode=mode, walletCount=3 if parallelism == 1 else 15)
    assert doomed.process.wait(30) == -signal.SIGKILL
    before, log = system.events(job_id), system.intent_log(job_id)
    system.worker()
    system.wait_for_end([job_id])
    assert check(system, [job_id])["completed"]
    check_all_bought(system, [job_id])
    events = system.events(job_id)
    assert events[: len(before)] == before
    new = events[len(before) :]
    assert {event["attempt"] for event in new} == (set() if point in AFTER_THE_END else {2})
    if not new:
        return
    if log is None:  # nothing was planned, so the run starts again
        assert new[0]["phase"] == max(2, before[-1]["phase"])
        return
    assert new[0]["phase"] >= 4
    after = system.intent_log(job_id)
    assert after.plan == log.plan, "the plan does not change"
    assert all(after.records[intent_id].order == record.order for intent_id, record in log.records.items())
    text = new[0]["details"]["currentOperation"]
    assert all(part in text for part in _parts_after(log, parallelism)), "the run continues at other steps"


def _parts_after(log, parallelism):
    """Return parts of the next run's first event: the steps in flight, or otherwise the next ones."""
    records = [(step, log.records.get(step.intent.intent_id)) for step in log.plan.steps]
    in_flight = [step for step, record in records if record and record.unsettled]
    steps = in_flight or next_steps([step for step, record in records if record is None], [], parallelism)
    if len(steps) == 1:
        return [steps[0].description]
    if in_flight:
        return [f"Checking the outcome of: {len(steps)} orders"]
    return [f" {count} wallet" for count in Counter(type(step.intent) for step in steps).values()]


def test_a_job_runs_although_its_producer_died_before_sending_the_message(system):
    """The job record is enough: a worker's sweep sends the missing message."""
    job_id = system.submit_and_die()
    assert system.client.llen(keys.QUEUE) == 0
    system.worker()
    system.wait_for_end([job_id], timeout_s=20)
    assert check(system, [job_id])["completed"]


def test_a_job_that_kills_every_worker_is_parked(build):
    system = build(CTO_OPERATION_PARALLELISM="10")
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
        system.wait_for_end([job_id], timeout_s=120)
    finally:
        threads_end.set()
        keeper.join()
    check(system, [job_id], unknown_allowed=True)
    last = system.events(job_id)[-1]
    assert (last["attempt"], last["details"]["errorCode"]) == (6, "needs_review")
    assert [step["status"] for step in system.history.job_details(job_id).result["steps"]] == ["unknown"] * 3


def test_jobs_with_many_messages_run_once(build):
    """Two workers receive ten messages more of each job: one has one order in flight, the other one ten."""
    system = build(CTO_PAPER_LATENCY_MS="200")
    system.worker()
    system.worker()
    jobs = [system.submit(walletCount=10) for _ in range(6)]
    for job_id in jobs * 10:
        system.producer.send(job_id, {})
    system.wait_for_end(jobs)
    ended = {job_id: system.events(job_id) for job_id in jobs}
    later = system.submit()  # sent last, so that the messages before it have been handled
    system.wait_for_end([later])
    assert check(system, [*jobs, later])["takeovers"] == 0
    check_all_bought(system, jobs)
    assert {job_id: system.events(job_id) for job_id in jobs} == ended


@pytest.mark.parametrize(("parallelism", "wallets"), [(1, 10), (10, 50)])
def test_a_frozen_worker_sends_and_writes_nothing_after_a_takeover(build, parallelism, wallets):
    system = build(CTO_PAPER_LATENCY_MS="300", CTO_OPERATION_PARALLELISM=str(parallelism))
    first = system.worker()
    job_id = system.submit(walletCount=wallets)
    system.wait_for_events(job_id, 6)
    first.signal(signal.SIGSTOP)
    system.worker()
    wait_until(lambda: system.events(job_id)[-1]["attempt"] == 2)
    first.signal(signal.SIGCONT)
    system.wait_for_end([job_id])
    assert check(system, [job_id])["completed"]
    attempts = [event["attempt"] for event in system.events(job_id)]
    assert attempts == sorted(attempts)
    wait_until(lambda: "stopped, another run takes over" in first.log.read_text())


def test_a_stalled_worker_keeps_its_jobs(build):
    """A worker is stopped for 0.6 of a lease, three times. Another worker sweeps meanwhile."""
    lease_ms = Settings().lease_ms
    system = build(CTO_PAPER_LATENCY_MS="1000", CTO_LEASE_MS=str(lease_ms), CTO_OPERATION_PARALLELISM="1")
    stalled = system.worker()
    jobs = [system.submit(mode="prefunded", walletCount=12) for _ in range(3)]
    wait_until(lambda: all(system.events(job_id)[-1]["phase"] == 4 for job_id in jobs))
    system.worker()
    for _ in range(3):
        stalled.signal(signal.SIGSTOP)
        threading.Event().wait(0.6 * lease_ms / 1000)
        stalled.signal(signal.SIGCONT)
        # Three steps take about two seconds: without a renewal, the lease would expire in the next stall.
        _wait_for_three_steps(system, jobs)
    system.wait_for_end(jobs)
    assert check(system, jobs)["takeovers"] == 0


def _wait_for_three_steps(system, jobs):
    seqs = {job_id: system.events(job_id)[-1]["seq"] for job_id in jobs}
    wait_until(lambda: all(system.has_continued(job_id, seq + 2) for job_id, seq in seqs.items()))


@pytest.mark.timeout(120 + 90 * ROUNDS)
def test_stopping_workers_hand_their_jobs_over(build):
    system = build(CTO_PAPER_LATENCY_MS="500", CTO_LEASE_MS="60000")  # no lease expires during this test
    worker = system.worker()
    jobs = []
    for _ in range(3 * ROUNDS):
        jobs += [system.submit(walletCount=50) for _ in range(5)]
        wait_until(lambda job_id=jobs[-1]: system.events(job_id)[-1]["phase"] >= 4)
        successor = system.worker()
        assert worker.terminate(timeout_s=15) < 15
        worker = successor
    system.wait_for_end(jobs)
    seen = check(system, jobs)
    assert seen["completed"] == len(jobs)
    assert seen["takeovers"] >= len(jobs) / 2


@pytest.mark.parametrize(("skew_s", "parallelism", "latency_ms"), [(3_600, 1, 200), (-3_600, 10, 2_000)])
def test_a_wrong_wall_clock_causes_no_early_takeover(build, skew_s, parallelism, latency_ms):
    system = build(CTO_PAPER_LATENCY_MS=str(latency_ms), CTO_OPERATION_PARALLELISM=str(parallelism))
    first = system.worker()
    job_id = system.submit(walletCount=15)
    system.wait_for_events(job_id, 5)
    system.skewed_worker(skew_s)
    system.wait_for_end([job_id])
    assert {event["attempt"] for event in system.events(job_id)} == {0, 1}
    first.kill()
    other = system.submit(mode="prefunded")
    system.wait_for_end([other])
    assert check(system, [job_id, other])["completed"] == 2
    recorded, *run = system.events(other)
    assert all(abs(event["timestamp"] - recorded["timestamp"] - skew_s * 1000) < 60_000 for event in run)


def test_a_lease_is_renewed_during_a_slow_step(build):
    """One step takes three leases. The lease is renewed during it, and no worker takes the job over."""
    system = build(CTO_PAPER_LATENCY_MS=str(3 * LEASE_MS))
    system.worker()
    system.worker()
    job_id = system.submit(mode="prefunded", walletCount=1)
    system.wait_for_end([job_id])
    assert system.events(job_id)[-1]["attempt"] == 1
    check(system, [job_id])

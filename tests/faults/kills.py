"""Workers that are killed or stalled repeatedly while they buy.

``python -m faults.kills [COUNT] [kills] [stalls] [plain]`` prints the tables of
docs/explanation/reliability.md:

- kills: workers with lease and intent log are killed at random moments while jobs are in phase 4. A new
  worker is started after each kill.
- stalls: workers are stopped (SIGSTOP) for a part of the lease, and continued. No job may be taken over.
- plain: the same kills, with a Celery task that acknowledges late and keeps no log.

Orders are read from the market's own ledger: how many reached the market for one planned step, a transfer or
buy of one job. Resumption: from a kill to the first event of the next run of a job that the worker had.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

from celery import Celery
from support.criteria import check, check_resumed, orders_per_step
from support.processes import BIN, Process
from support.samples import MINT
from support.system import ENDED, SplitSystem
from support.takeovers import JSON_LOGS, runs_of, takeovers
from support.waiting import wait_until

from cto_worker.config import Settings
from cto_worker.store import keys

TESTS = Path(__file__).parents[1]
WALLETS = 6
AT_ONCE = 8  # running jobs
LEASE_MS = Settings().lease_ms  # as in production
STALLED_WORKERS = 4
STALL = (0.25, 0.75)  # parts of the lease


def kill_workers(kills, chance):
    """Kill this system's workers. Returns its row of the table."""
    system = SplitSystem(CTO_LEASE_MS=str(LEASE_MS), CTO_PAPER_LATENCY_MS="100", **JSON_LOGS)
    try:
        workers, jobs, killed_ms = [system.worker(), system.worker()], [], {}
        for _ in range(kills):
            _keep_running(system, jobs, AT_ONCE)
            wait_until(lambda: any(_buying(system, job_id) for job_id in jobs[-3 * AT_ONCE :]))
            threading.Event().wait(chance.uniform(0, 0.5))
            victim = workers.pop(chance.randrange(2))
            killed_ms[victim] = _now_ms()
            victim.kill()
            workers.append(system.worker())
        system.wait_for_end(jobs, timeout_s=120)
        seen = check(system, jobs)
        check_resumed(system, jobs, killed_ms.values())
        found = takeovers(system, jobs, killed_ms)
        return {
            "kills": kills,
            "jobs": len(jobs),
            "jobs ended": seen["jobs"],
            "takeovers": seen["takeovers"],
            "false takeovers": len(found.false),
            "runs killed before they logged": found.unlogged,
            **_orders(orders_per_step(system)),
            **_waits(found.waits_s),
        }
    finally:
        system.close()


def stall_workers(stalls, chance):
    """Stop and continue this system's workers; one more sweeps all the time. Returns its row of the table."""
    system = SplitSystem(
        CTO_LEASE_MS=str(LEASE_MS), CTO_PAPER_LATENCY_MS="500", CTO_WORKER_CONCURRENCY="4", **JSON_LOGS
    )
    try:
        workers, jobs, spans = [system.worker() for _ in range(STALLED_WORKERS)], [], []
        system.worker()
        while len(spans) < stalls:
            _keep_running(system, jobs, 4 * (STALLED_WORKERS + 1))
            spans += _stall_each(workers, chance)
        system.wait_for_end(jobs, timeout_s=120)
        seen = check(system, jobs)
        return {
            "stalls": len(spans),
            "longest stall, s": max((until_ms - from_ms) / 1000 for _, from_ms, until_ms in spans),
            "jobs": len(jobs),
            "jobs ended": seen["jobs"],
            "leases held in a stalled worker": _held(system, jobs, spans),
            "false takeovers": seen["takeovers"],
        }
    finally:
        system.close()


def _stall_each(workers, chance):
    """Stall each of these workers once. Returns the worker, begin and end (ms) of each stall."""
    spans = []

    def stall(worker, delay_s, stall_s):
        threading.Event().wait(delay_s)
        from_ms = _now_ms()
        worker.signal(signal.SIGSTOP)
        threading.Event().wait(stall_s)
        worker.signal(signal.SIGCONT)
        spans.append((worker, from_ms, _now_ms()))

    threads = [
        threading.Thread(
            target=stall, args=[worker, chance.uniform(0, 1), chance.uniform(*STALL) * LEASE_MS / 1000]
        )
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return spans


def _held(system, jobs, spans):
    """Return the number of leases that were held during the whole of a stall."""
    ended_ms = {job_id: system.events(job_id)[-1]["timestamp"] for job_id in jobs}
    return sum(
        run.worker is worker and run.began_ms < from_ms and ended_ms[job_id] > until_ms
        for (job_id, _), run in runs_of(system).items()
        for worker, from_ms, until_ms in spans
    )


def _keep_running(system, jobs, count):
    """Submit jobs until this number of them runs or waits."""
    ended = sum(system.client.zcard(keys.jobs(keys.ALL_OWNERS, status)) for status in ENDED)
    jobs += [system.submit(walletCount=WALLETS) for _ in range(count - (len(jobs) - ended))]


def kill_plain_workers(kills, chance):
    """Kill workers of a plain Celery task that acknowledges late. Returns its row."""
    system = SplitSystem(CTO_PAPER_LATENCY_MS="100")
    try:
        env = system.env | {"PYTHONPATH": str(TESTS)}
        started = 0

        def worker():
            nonlocal started
            started += 1
            log = system.directory / f"plain{started}.log"
            command = [BIN / "celery", "--app", "faults.plain_app", "worker", "--queues", "plain"]
            worker = Process([*command, "--hostname", f"p{started}@test", "--loglevel", "info"], env, log)
            system.workers.append(worker)
            wait_until(lambda: "ready." in log.read_text())
            return worker

        sender = Celery("sender", broker=system.settings.celery_url, set_as_current=False)
        workers, jobs, kill_times = [worker(), worker()], 0, []
        for _ in range(kills):
            while jobs - system.client.scard("plain:ended") < AT_ONCE:
                jobs += 1
                sender.send_task(
                    "plain.buy", args=["7", MINT, 2 * WALLETS, 10**6], queue="plain", task_id=f"job-{jobs}"
                )
            threading.Event().wait(chance.uniform(0, 0.5))
            victim = workers.pop(chance.randrange(2))
            kill_times.append(time.time())
            victim.kill()
            workers.append(worker())
        try:
            wait_until(lambda: system.client.scard("plain:ended") == jobs, 120)
        except AssertionError:
            pass  # the table shows the number
        # Each order has its own intent, so that the market executes it: <job>:<number>:<random>.
        orders = orders_per_step(system, step_of=lambda intent_id: intent_id.rpartition(":")[0])
        waits = _gaps(system, kill_times)
        return {
            "kills": kills,
            "jobs": jobs,
            "jobs ended": system.client.scard("plain:ended"),
            **_orders(orders),
            **_waits(waits),
        }
    finally:
        system.close()


def _buying(system, job_id):
    last = system.events(job_id)[-1]
    return last["phase"] == 4 and last["attempt"] > 0


def _orders(per_step):
    return {
        "planned steps": len(per_step),
        "planned steps ordered twice or more": sum(orders > 1 for orders in per_step.values()),
        "orders for one planned step, at most": max(per_step.values()),
    }


def _waits(waits_s):
    if len(waits_s) < 2:
        return {"resumed after, s": waits_s}
    return {
        "resumed after, median s": round(median(waits_s), 2),
        "resumed after, p99 s": round(quantiles(waits_s, n=100, method="inclusive")[-1], 2),
        "resumed after, worst s": round(max(waits_s), 2),
    }


def _now_ms():
    return time.time_ns() // 10**6


def _gaps(system, kill_times):
    """Return the seconds without a step, for each job that ran at the time of a kill."""
    steps = {}
    for line in system.client.lrange("plain:steps", 0, -1):
        job_id, at = line.decode().split()
        steps.setdefault(job_id, []).append(float(at))
    waits = []
    for times in steps.values():
        for before, after in pairwise(times):
            kills = [at for at in kill_times if before - 0.2 <= at <= after]
            if kills and after - before > 1:
                waits.append(after - min(kills))
    return waits


PARTS = {
    "kills": ("lease and intent log, workers are killed", kill_workers),
    "stalls": ("lease and intent log, workers are stalled", stall_workers),
    "plain": ("acks_late, no log, workers are killed", kill_plain_workers),
}


def main():
    count, *parts = sys.argv[1:] or ["200"]
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(10**6))
    print(f"SOAK_SEED={seed}")
    for part in parts or PARTS:
        title, run = PARTS[part]
        print(f"{title}:")
        for label, figure in run(int(count), random.Random(seed)).items():
            print(f"  {label:<48} {figure}", flush=True)


if __name__ == "__main__":
    main()

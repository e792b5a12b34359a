"""Workers that are killed repeatedly while they buy: with the intent log, and without.

``make soak`` prints the table that docs/reliability.md shows. Kills come at random moments while jobs are
in phase 4; a new worker is started after each. Both rows are read from the market's own ledger: how many
orders reached the market for one planned step, a transfer or buy of one job. Resumption: from a kill to the
first event of the next run of each job that the killed worker had.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

from celery import Celery
from support.criteria import check, check_resumed, orders_per_step
from support.processes import BIN, Process
from support.samples import MINT
from support.system import SplitSystem
from support.waiting import wait_until

TESTS = Path(__file__).parents[1]
WALLETS = 6
AT_ONCE = 8  # running jobs


def with_log(kills, chance):
    """Kill this system's workers. Returns its row of the table."""
    system = SplitSystem(CTO_LEASE_MS="6000", CTO_PAPER_LATENCY_MS="100")
    try:
        workers, jobs, killed_ms = [system.worker(), system.worker()], [], []
        for _ in range(kills):
            while sum(not _ended(system, job_id) for job_id in jobs[-3 * AT_ONCE :]) < AT_ONCE:
                jobs.append(system.submit(walletCount=WALLETS))
            wait_until(lambda: any(_buying(system, job_id) for job_id in jobs[-3 * AT_ONCE :]))
            threading.Event().wait(chance.uniform(0, 0.5))
            victim = workers.pop(chance.randrange(2))
            killed_ms.append(time.time_ns() // 10**6)
            victim.kill()
            workers.append(system.worker())
        system.wait_for_end(jobs, timeout_s=120)
        seen = check(system, jobs)
        waits = check_resumed(system, jobs, killed_ms)
        return {
            "kills": kills,
            "jobs": len(jobs),
            "jobs ended": seen["jobs"],
            "takeovers": seen["takeovers"],
            **_orders(orders_per_step(system)),
            "resumed after, median s": round(median(waits), 1),
            "resumed after, worst s": round(max(waits), 1),
        }
    finally:
        system.close()


def without(kills, chance):
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
            "resumed after, median s": round(median(waits), 1) if waits else "-",
            "resumed after, worst s": round(max(waits), 1) if waits else "-",
        }
    finally:
        system.close()


def _ended(system, job_id):
    return system.events(job_id)[-1]["status"] in {"completed", "failed"}


def _buying(system, job_id):
    last = system.events(job_id)[-1]
    return last["phase"] == 4 and last["attempt"] > 0


def _orders(per_step):
    return {
        "planned steps": len(per_step),
        "planned steps ordered twice or more": sum(orders > 1 for orders in per_step.values()),
        "orders for one planned step, at most": max(per_step.values()),
    }


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


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(10**6))
    print(f"SOAK_SEED={seed}")
    for name, run in (("lease and intent log", with_log), ("acks_late, no log", without)):
        print(f"{name}:")
        for label, figure in run(kills, random.Random(seed)).items():
            print(f"  {label:<40} {figure}")


if __name__ == "__main__":
    main()

"""The throughput of more worker processes on one machine."""

from __future__ import annotations

import time
from contextlib import ExitStack

from benchmarks.scale.curves import IDEAL, Panel, Study
from benchmarks.system import BODY, embedded_store, process, wait_until
from benchmarks.worker import Worker
from cto_worker.store import keys

PROCESSES = [1, 2, 4, 8]
OPERATIONS = 2_000  # without latency
SLOW_S, SLOTS, WAVES = 2.5, 50, 4  # with latency: duration, concurrency of a process, repetitions


def study() -> Study:
    """Measure operations/s of 1 to 8 processes, with a market without latency and with a slow one."""
    busy = [_per_s(number, OPERATIONS, 100, 0) for number in PROCESSES]
    slow = [_per_s(number, number * SLOTS * WAVES, SLOTS, SLOW_S) for number in PROCESSES]
    ideal = [number * SLOTS / SLOW_S for number in PROCESSES]
    return Study(
        "Worker processes",
        "worker processes",
        PROCESSES,
        [
            Panel("operations/s, market without latency", {"measured": busy}),
            Panel(
                f"operations/s, {SLOTS} at once in each, {SLOW_S:g} s long",
                {"measured": slow, IDEAL: ideal},
            ),
        ],
    )


def _per_s(processes: int, count: int, slots: int, latency_s: float) -> float:
    settings = {"CTO_PAPER_LATENCY_MS": f"{latency_s * 1000:.0f}", "CTO_WORKER_CONCURRENCY": str(slots)}
    with embedded_store() as store, ExitStack() as stack:
        environment = store | settings
        pids = [stack.enter_context(process(_command(n), environment)).pid for n in range(processes)]
        workers = Worker(environment, pids[0])
        wait_until(lambda: len(workers.app.control.ping(timeout=1)) == processes)
        workers.pause()
        jobs = [workers.producer.submit(BODY | {"userId": f"user-{n % 50}"}).job_id for n in range(count)]
        completed = keys.jobs(keys.ALL_OWNERS, "completed")
        start_s = time.perf_counter()
        workers.resume()
        wait_until(lambda: workers.store.zcard(completed) == len(jobs))
        return count / (time.perf_counter() - start_s)


def _command(number: int) -> list[str]:
    command = ["-m", "celery", "--app", "benchmarks.worker_app", "worker", "--loglevel", "warning"]
    return [*command, "--queues", f"{keys.QUEUE},{keys.RESUMED_QUEUE}", "--hostname", f"w{number}@bench"]

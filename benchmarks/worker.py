"""The worker: operations against no-op tasks, and 750 operations at once."""

from __future__ import annotations

import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from benchmarks.noop import NOOP
from benchmarks.system import BODY, client, embedded_store, process, resident_mb, wait_until
from cto_worker.config import Settings
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import make_producer
from cto_worker.store import keys
from cto_worker.store.journal_queries import JournalQueries

if TYPE_CHECKING:
    from collections.abc import Iterator


class Worker:
    """One worker process, whose consumption of the queue can be paused."""

    def __init__(self, environment: dict[str, str], pid: int) -> None:
        settings = Settings.from_env(environment)
        self.pid = pid
        self.store = client(environment)
        self.app = celery_app(settings)
        self.producer = make_producer(settings, self.store, self.app)
        self.history = JournalQueries(self.store)

    def pause(self) -> None:
        """Stop consuming the queue."""
        self.app.control.cancel_consumer(keys.QUEUE, reply=True, timeout=5)

    def resume(self) -> None:
        """Start consuming the queue."""
        self.app.control.add_consumer(keys.QUEUE)

    def drained(self) -> bool:
        """Return whether the queue is empty and all its messages are acknowledged."""
        return not self.store.llen(keys.QUEUE) and not self.store.hlen("unacked")


@contextmanager
def running_worker(**settings: str) -> Iterator[Worker]:
    """Run a store and a worker with these settings while the block runs."""
    with embedded_store() as environment, worker_on(environment | settings) as worker:
        yield worker


@contextmanager
def worker_on(environment: dict[str, str]) -> Iterator[Worker]:
    """Run a worker on a running store while the block runs."""
    arguments = ["-m", "celery", "--app", "benchmarks.worker_app", "worker"]
    arguments += ["--queues", f"{keys.QUEUE},{keys.RESUMED_QUEUE}", "--loglevel", "warning"]
    with process(arguments, environment) as child:
        worker = Worker(environment, child.pid)
        wait_until(lambda: worker.app.control.ping(timeout=0.5))
        yield worker


def operations_against_noops(count: int = 1_000, rounds: int = 5) -> tuple[float, float]:
    """Return operations/s and no-op tasks/s of one worker: zero latency, one wallet, prefunded."""
    operations, noops = [], []
    with running_worker() as worker:
        for _ in range(rounds):
            noops.append(_noops_per_s(worker, count))
            operations.append(operations_per_s(worker, count))
    return median(operations), median(noops)


def _noops_per_s(worker: Worker, count: int) -> float:
    worker.pause()
    for _ in range(count):
        worker.app.send_task(NOOP, args=[BODY], queue=keys.QUEUE, task_id=str(uuid4()))
    start_s = time.perf_counter()
    worker.resume()
    wait_until(worker.drained)
    return count / (time.perf_counter() - start_s)


def operations_per_s(worker: Worker, count: int, body: dict[str, Any] = BODY) -> float:
    """Return operations/s of a worker that finds these operations in its queue."""
    worker.pause()
    jobs = [worker.producer.submit(body).job_id for _ in range(count)]
    start_s = time.perf_counter()
    worker.resume()
    wait_until(worker.drained)
    wait_until(lambda: worker.history.stats(jobs[-500:]).completed == len(jobs[-500:]))
    elapsed_s = time.perf_counter() - start_s
    if (
        sum(worker.history.stats(jobs[start : start + 500]).completed for start in range(0, count, 500))
        < count
    ):
        raise RuntimeError("not every operation completed")
    return count / elapsed_s


def operations_at_once(
    at_once: int = 750, waves: int = 5, latency_s: float = 2.5, body: dict[str, Any] = BODY
) -> tuple[float, float, float]:
    """Return operations/s of one process with many at once, the same while full, and its MB.

    The process is full from the end of the first wave until only one wave is left.
    """
    latency_ms = str(round(latency_s * 1000))
    with running_worker(CTO_PAPER_LATENCY_MS=latency_ms, CTO_WORKER_CONCURRENCY=str(at_once)) as worker:
        worker.pause()
        jobs = [
            worker.producer.submit(body | {"userId": f"user-{n % 50}"}).job_id for n in range(at_once * waves)
        ]
        start_s = time.perf_counter()
        worker.resume()
        ended_s = {}
        completed = keys.jobs(keys.ALL_OWNERS, "completed")

        def all_done() -> bool:
            done = worker.store.zcard(completed)
            ended_s.setdefault(done, time.perf_counter())
            return done == len(jobs)

        wait_until(all_done, interval_s=0.02)
        memory_mb = resident_mb(worker.pid)
    first = min(done for done in ended_s if done >= at_once)
    last = max(done for done in ended_s if done <= len(jobs) - at_once)
    full = (last - first) / (ended_s[last] - ended_s[first])
    return len(jobs) / (ended_s[len(jobs)] - start_s), full, memory_mb

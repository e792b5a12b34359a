"""Faults of every kind, at random, for a given time."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import Counter

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from support.system import random_worker

from cto_worker.crash_points import CRASH_POINTS
from cto_worker.errors import JobEndedError

WORKERS = 2
IN_WORKERS = [point for point in CRASH_POINTS if point != "after_record"]
# The market also fails, all the time: failed orders, lost replies, no outcome in time, late execution, orders
# that do not arrive.
MARKET = {
    "CTO_PAPER_FAILURE_RATE": "0.05",
    "CTO_PAPER_LOST_RATE": "0.05",
    "CTO_PAPER_SILENT_RATE": "0.03",
    "CTO_PAPER_LATE_RATE": "0.03",
    "CTO_PAPER_DROPPED_RATE": "0.05",
    "CTO_PAPER_EXPIRY_MS": "1500",
    "CTO_PAPER_TIMEOUT_MS": "2000",
}


class Chaos:
    """Submits jobs and injects faults until the time is over. ``done`` counts each kind of fault.

    Workers reach the store through ``proxy``, with the settings ``through``. The same seed makes the same
    choices.
    """

    def __init__(self, system, proxied, seconds, seed):
        self.system = system
        self.proxy, self.through = proxied
        self.ends_s = time.monotonic() + seconds
        self.random = random.Random(seed)
        self.done = Counter()
        self.jobs = []
        self.faults_left = []
        self.faults = [
            self.kill_worker,
            self.stop_worker,
            self.freeze_worker,
            self.crash_worker,
            self.skew_worker,
            self.kill_store,
            self.cut_clients,
            self.cut_links,
            self.swallow_bytes,
            self.delay_bytes,
            self.fill_store,
            self.make_store_read_only,
            self.double_messages,
            self.cancel_a_job,
            self.kill_producer,
        ]

    def run(self):
        """Return the jobs that were accepted."""
        for _ in range(WORKERS):
            self.system.worker(**self.through)
        while time.monotonic() < self.ends_s:
            self.submit(self.random.randint(1, 4))
            fault = self.next_fault()
            with contextlib.suppress(RedisError, OperationalError):
                fault()
                self.done[fault.__name__] += 1
            self.replace_dead_workers()
            self.wait(0.2, 2)
        self.system.worker(**self.through)  # the other workers may have a crash point ahead
        return self.jobs

    def next_fault(self):
        """Return each fault once, in random order; then again."""
        if not self.faults_left:
            self.faults_left = self.random.sample(self.faults, len(self.faults))
        return self.faults_left.pop()

    def wait(self, least_s, most_s):
        threading.Event().wait(self.random.uniform(least_s, most_s))

    def submit(self, count):
        """Submit like a client: with an idempotency key, and repeated until the job's id is returned."""
        for _ in range(count):
            key = f"chaos-{len(self.jobs)}"
            mode = self.random.choice(["standard", "prefunded"])
            body = {
                "mode": mode,
                "walletCount": self.random.randint(1, 6),
                "userId": f"u{len(self.jobs) % 5}",
            }
            for _ in range(100):
                try:
                    self.jobs.append(self.system.submit_once(key, **body))
                    break
                except (RedisError, OperationalError):
                    threading.Event().wait(0.1)

    def kill_producer(self):
        self.jobs.append(self.system.submit_and_die())

    def any_worker(self):
        self.replace_dead_workers()
        return random_worker(self.system, self.random)

    def kill_worker(self):
        self.any_worker().kill()

    def stop_worker(self):
        """Stop a worker with SIGTERM. It must end within 15 s. A frozen worker is resumed first."""
        worker = self.any_worker()
        worker.signal(signal.SIGCONT)
        worker.terminate()

    def freeze_worker(self):
        worker = self.any_worker()
        worker.signal(signal.SIGSTOP)
        threading.Timer(self.random.uniform(0.5, 5), self.thaw, [worker]).start()

    def thaw(self, worker):
        if worker.alive:
            worker.signal(signal.SIGCONT)

    def crash_worker(self):
        """Replace a worker by one that kills itself at a crash point."""
        self.kill_worker()
        self.system.worker(CTO_CRASH_AT=self.random.choice(IN_WORKERS), **self.through)

    def skew_worker(self):
        """Replace a worker by one whose wall clock is wrong by an hour."""
        self.kill_worker()
        self.system.skewed_worker(self.random.choice([3_600, -3_600]), **self.through)

    def kill_store(self):
        self.system.restart_store(self.random.choice([0.2, 1, 3]))

    def cut_clients(self):
        self.system.client.client_kill_filter(_type="normal", skipme=True)

    def cut_links(self):
        self.proxy.cut()

    def swallow_bytes(self):
        """Forward no byte for some seconds. The bytes are lost, so the links are cut afterwards."""
        self.proxy.black_hole.set()
        self.wait(0.5, 5)
        self.proxy.black_hole.clear()
        self.proxy.cut()

    def delay_bytes(self):
        self.proxy.delay_s = self.random.uniform(0.01, 0.2)
        self.wait(0.5, 5)
        self.proxy.delay_s = 0.0

    def fill_store(self):
        self.refuse_writes("maxmemory")

    def make_store_read_only(self):
        self.refuse_writes("min-replicas-to-write")

    def refuse_writes(self, setting):
        self.system.client.config_set(setting, "1")
        self.wait(0.1, 2)
        self.system.client.config_set(setting, "0")

    def double_messages(self):
        for job_id in self.random.sample(self.jobs, min(5, len(self.jobs))):
            for _ in range(3):
                self.system.producer.send(job_id, {})

    def cancel_a_job(self):
        with contextlib.suppress(JobEndedError):
            self.system.cancel(self.random.choice(self.jobs))

    def replace_dead_workers(self):
        alive = sum(worker.alive for worker in self.system.workers)
        for _ in range(WORKERS - alive):
            self.system.worker(wait=False, **self.through)

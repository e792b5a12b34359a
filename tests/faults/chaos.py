"""Everything that can go wrong, at random, for as long as it is told to."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import Counter
from subprocess import TimeoutExpired

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from cto_worker.errors import JobEndedError
from faults.parts import random_worker

WORKERS = 2


class Chaos:
    """Submits jobs and breaks things until the time is over; ``done`` counts what it did."""

    def __init__(self, system, seconds, seed):
        self.system = system
        self.ends_s = time.monotonic() + seconds
        self.random = random.Random(seed)
        self.done = Counter()
        self.jobs = []

    def run(self):
        """Return the jobs that were accepted."""
        for _ in range(WORKERS):
            self.system.worker()
        faults = [
            self.kill_worker,
            self.stop_worker,
            self.freeze_worker,
            self.kill_store,
            self.cut_clients,
            self.fill_store,
            self.double_messages,
            self.cancel_a_job,
        ]
        while time.monotonic() < self.ends_s:
            self.submit(self.random.randint(1, 4))
            fault = self.random.choice(faults)
            with contextlib.suppress(RedisError, OperationalError):
                fault()
                self.done[fault.__name__] += 1
            self.replace_dead_workers()
            threading.Event().wait(self.random.uniform(0.2, 2))
        self.system.client.config_set("maxmemory", "0")
        return self.jobs

    def submit(self, count):
        """As a client does: with a key of its own, again and again until it is told of the job."""
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

    def kill_worker(self):
        random_worker(self.system).kill()

    def stop_worker(self):
        with contextlib.suppress(TimeoutExpired):
            random_worker(self.system).terminate()

    def freeze_worker(self):
        worker = random_worker(self.system)
        worker.signal(signal.SIGSTOP)
        threading.Timer(self.random.uniform(0.5, 5), self.thaw, [worker]).start()

    def thaw(self, worker):
        if worker.alive:
            worker.signal(signal.SIGCONT)

    def kill_store(self):
        self.system.restart_store(self.random.choice([0.2, 1, 3]))

    def cut_clients(self):
        self.system.client.client_kill_filter(_type="normal", skipme=True)

    def fill_store(self):
        self.system.client.config_set("maxmemory", "1")
        threading.Event().wait(self.random.uniform(0.1, 2))
        self.system.client.config_set("maxmemory", "0")

    def double_messages(self):
        for job_id in self.random.sample(self.jobs, min(5, len(self.jobs))):
            for _ in range(3):
                self.system.producer._send(job_id, {})

    def cancel_a_job(self):
        with contextlib.suppress(JobEndedError):
            self.system.cancel(self.random.choice(self.jobs))

    def replace_dead_workers(self):
        alive = sum(worker.alive for worker in self.system.workers)
        for _ in range(WORKERS - alive):
            self.system.worker(wait=False)

"""The parts of a system under attack, each a process of its own, ended only by the id it was started with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import requests
from redis.exceptions import RedisError
from support.waiting import wait_until

from cto_worker.config import Settings
from cto_worker.domain.events import decode
from cto_worker.domain.intent_log import decode_log
from cto_worker.jobs.celery_app import celery_app, make_producer
from cto_worker.operation.cancellation import cancel
from cto_worker.store import keys
from cto_worker.store.connection import connect
from cto_worker.store.embedded import answers
from cto_worker.store.history import History
from cto_worker.store.journal import RedisJournal
from faults.proxy import Proxy

BIN = Path(sys.executable).parent
WORKER = [BIN / "celery", "--app", "cto_worker.app", "worker", "--queues", "cto,cto.resumed"]
MINT = "So11111111111111111111111111111111111111112"
BODY = {
    "tokenAddress": MINT,
    "userId": "7",
    "userChatId": 1,
    "mode": "standard",
    "buyAmount": 0.05,
    "walletCount": 3,
    "slippageBps": 10_000,
}
ENQUEUE = "import cto_worker, json, sys; cto_worker.enqueue(json.loads(sys.argv[1]))"
LEASE_MS = 2_000
ENDED = 5  # the phase
SKEWED = Path(__file__).parent / "skewed"


def serves(url):
    """Whether what is asked for is there."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


class Part:
    """A process and everything it has started, in a process group of their own."""

    def __init__(self, command, env, log):
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def kill(self):
        if self.alive:
            self.signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, timeout_s=15):
        """Ask it to end; return the seconds that took."""
        begun_s = time.monotonic()
        self.signal(signal.SIGTERM)
        self.process.wait(timeout_s)
        return time.monotonic() - begun_s


class System:
    """A store, and as many workers as the test starts."""

    def __init__(self, **settings):
        self.directory = Path(tempfile.mkdtemp(prefix="cto-f-"))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CTO_")}
        self.env = {
            **clean,
            "CTO_DATA_DIR": str(self.directory),
            "CTO_AUTH": "off",
            "CTO_PORT": str(free_port()),
            "CTO_LEASE_MS": str(LEASE_MS),
            "CTO_PAPER_LATENCY_MS": "50",
            "CTO_WORKER_CONCURRENCY": "20",
            **settings,
        }
        self.settings = Settings.from_env(self.env)
        self.workers = []
        self.parts = []  # any others
        self.started = 0
        self.store = self.start_store()
        self.client = connect(self.settings)
        self.market = connect(self.settings.of_paper_market)  # where it keeps its books
        self.history = History(self.client)
        self.celery = celery_app(self.settings)
        self.producer = make_producer(self.settings, self.client, self.celery)

    def start_store(self):
        store = Part(
            [sys.executable, "-m", "cto_worker.store.embedded"], self.env, self.directory / "store.log"
        )
        wait_until(lambda: answers(self.settings))
        return store

    def restart_store(self, down_s):
        """Kill the store's process and start it again after a while.

        A power cut would also lose what the kernel has not written yet. That nothing of it counts is what
        ``WAITAOF`` is for; this does not try it.
        """
        self.store.kill()
        threading.Event().wait(down_s)
        self.store = self.start_store()

    def worker(self, *, wait=True, **settings):
        """Start a worker; with settings of its own if given."""
        self.started += 1
        name = f"w{self.started}"
        log = self.directory / f"{name}.log"
        command = [*WORKER, "--hostname", f"{name}@test", "--loglevel", "info"]
        worker = Part(command, self.env | settings, log)
        self.workers.append(worker)
        if wait:
            wait_until(lambda: f"{name}@test ready" in log.read_text() or not worker.alive)
        return worker

    def skewed_worker(self, skew_s, **options):
        """Start a worker whose wall clock is wrong."""
        path = os.pathsep.join(filter(None, [str(SKEWED), self.env.get("PYTHONPATH")]))
        return self.worker(PYTHONPATH=path, SKEW_S=str(skew_s), **options)

    def gateway(self, number=None, **settings):
        """Start a gateway; one of several behind a front if it has a number."""
        command = [sys.executable, "-m", "api.wsgi", *([] if number is None else ["--number", str(number)])]
        log = self.directory / f"gateway{number or ''}.log"
        gateway = Part(command, self.env | settings, log)
        self.parts.append(gateway)
        wait_until(lambda: "serving on" in log.read_text() and self.gateway_ready())
        return gateway

    def front(self):
        front = Part([sys.executable, "-m", "api.server.dispatcher"], self.env, self.directory / "front.log")
        self.parts.append(front)
        return front

    def gateway_ready(self):
        """Whether the gateway can serve."""
        return serves(f"{self.settings.base_url}/readyz")

    @contextmanager
    def proxied(self):
        """A proxy before the store, and the settings with which a worker goes through it."""
        near = self.directory / "near"
        near.mkdir()
        proxy = Proxy(near / self.settings.socket_path.name, self.settings.socket_path)
        try:
            yield proxy, {"CTO_DATA_DIR": str(near)}
        finally:
            proxy.close()

    def submit(self, **changes):
        return self.producer.submit(BODY | changes).job_id

    def submit_and_die(self, **changes):
        """Have a process of its own record a job and die before it sends the message. Return the job's id."""
        known = {job.job_id for job in self.history.page(None, None, 100).jobs}
        command = [sys.executable, "-c", ENQUEUE, json.dumps(BODY | changes)]
        log = self.directory / "producer.log"
        producer = Part(command, self.env | {"CTO_CRASH_AT": "after_record"}, log)
        assert producer.process.wait(30) == -signal.SIGKILL, log.read_text()
        (job_id,) = {job.job_id for job in self.history.page(None, None, 100).jobs} - known
        return job_id

    def submit_once(self, key, **changes):
        """The same key gives the same job, however often it is tried."""
        return self.producer.submit(BODY | changes, idempotency_key=key).job_id

    def cancel(self, job_id):
        """As the REST call does. Raises JobEndedError."""
        latest = decode(self.history.latest(job_id).event)
        return cancel(RedisJournal(self.client, self.settings), job_id, latest)

    def told(self, job_id):
        """A job's events so far."""
        stored = self.history.events(job_id)
        return [json.loads(event) for event in stored.events] if stored else []

    def intent_log(self, job_id):
        """What is recorded of a job's steps; ``None`` when nothing was planned yet."""
        fields = self.client.hgetall(keys.intents(job_id))
        return decode_log({name.decode(): text for name, text in fields.items()})

    def reaches(self, job_id, seq, timeout_s=60):
        """Wait until a job has so many events."""
        wait_until(lambda: len(self.told(job_id)) >= seq, timeout_s)

    def goes_on(self, job_id, seq):
        """Whether a job has told more than so many events, or has ended."""
        last = self.told(job_id)[-1]
        return last["seq"] > seq or last["phase"] == ENDED

    def ended(self, job_ids, timeout_s=60):
        """Wait until all of these jobs have ended, through any trouble with the store."""

        def all_ended():
            try:
                stats = [self.history.stats(job_ids[at : at + 500]) for at in range(0, len(job_ids), 500)]
            except RedisError:
                return False
            return sum(part.completed + part.failed for part in stats) == len(job_ids)

        wait_until(all_ended, timeout_s)

    def logs(self):
        return "\n".join(log.read_text() for log in sorted(self.directory.glob("*.log")))

    def close(self):
        for part in [*self.workers, *self.parts, self.store]:
            if part.alive:
                part.signal(signal.SIGCONT)
            part.kill()
        self.celery.close()
        self.client.close()
        self.market.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def random_worker(system, chance):
    return chance.choice([worker for worker in system.workers if worker.alive])

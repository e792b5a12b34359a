"""The system under test: run by ``cto up``, or process by process.

Both kinds have the same access: settings, REST, command line and store.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import requests
from redis.exceptions import RedisError

from cto_worker.config import Settings
from cto_worker.domain.intent_codec import decode_log
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.progress_event import decode
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import make_producer
from cto_worker.operation.cancel_job import cancel
from cto_worker.store import keys
from cto_worker.store.embedded import answers
from cto_worker.store.job_review import with_resolutions
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.store.redis_journal import RedisJournal
from cto_worker.store.store_connection import connect
from support.processes import BIN, Process, environment, is_ready, run
from support.proxy import Proxy
from support.samples import operation
from support.waiting import wait_until

WORKER = [BIN / "celery", "--app", "cto_worker.app", "worker", "--queues", "cto,cto.resumed"]
ENQUEUE = "import cto_worker, json, sys; cto_worker.enqueue(json.loads(sys.argv[1]))"
LEASE_MS = 2_000
PARALLELISM = ("1", "10")  # of the first worker, of the second, and so on in turn
SKEWED = Path(__file__).parent / "skewed"
ENDED = {"completed", "failed"}


class Access:
    """Access to a system with these settings, whether or not a process of it runs."""

    def __init__(self, env):
        self.env = env
        self.settings = Settings.from_env(env)
        self.url = self.settings.base_url
        self.directory = Path(env["CTO_DATA_DIR"])

    def get(self, path, **query):
        return requests.get(self.url + path, params=query, timeout=10).json()["data"]

    def submit(self, **changes):
        """Submit an operation over REST. Return the job's id."""
        response = requests.post(f"{self.url}/api/cto/jobs", json=operation(**changes), timeout=10)
        assert response.status_code == 202, response.text
        return response.json()["data"]["jobId"]

    def events(self, job_id):
        return self.get(f"/api/cto/job/{job_id}/events")["events"]

    def ended(self, job_id):
        """Wait for the end of a job. Return its status page."""
        path = f"/api/cto/job/{job_id}/status"
        return wait_until(lambda: (page := self.get(path))["status"] in ENDED and page)

    def cto(self, *arguments, timeout_s=60):
        """Run the command line to its end."""
        return run([BIN / "cto", *arguments], self.env, timeout_s)

    def store(self):
        return connect(self.settings)

    def is_followed(self, room):
        """Return whether a gateway is subscribed to a room's channel."""
        with self.store() as store:
            return f"cto:room:{room}".encode() in store.pubsub_channels("cto:room:*")


class System(Access):
    """A system that ``cto up`` runs."""

    def __init__(self, env, *arguments):
        super().__init__(env)
        self.log = self.directory / "up.log"
        self.process = Process([BIN / "cto", "up", *arguments], env, self.log).process

    def ready(self):
        """Wait until the gateway serves and a worker runs."""
        wait_until(lambda: is_ready(self.output()) or self.process.poll() is not None, timeout_s=150)
        assert self.process.poll() is None, self.output()
        return self

    def output(self):
        """Return the output of all processes so far."""
        return self.log.read_text()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)

    def close(self):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class SplitSystem(Access):
    """A store, and the workers and gateways that a test starts, each a process that it may stop or kill.

    Jobs are submitted with the producer, and read from the store: no gateway is needed for either.
    """

    def __init__(self, **settings):
        defaults = {
            "CTO_LEASE_MS": str(LEASE_MS),
            "CTO_PAPER_LATENCY_MS": "50",
            "CTO_WORKER_CONCURRENCY": "20",
        }
        super().__init__(environment(**(defaults | settings)))
        self.given = settings
        self.workers = []
        self.others = []  # gateways, and whatever else runs
        self.started = 0
        self.store_process = self.start_store()
        self.client = connect(self.settings)
        self.market = connect(self.settings, url=self.settings.paper_url)  # the store of its ledger
        self.history = JournalQueries(self.client)
        self.celery = celery_app(self.settings)
        self.producer = make_producer(self.settings, self.client, self.celery)

    # --- processes -----------------------------------------------------------------------------------------

    def start_store(self):
        command = [sys.executable, "-m", "cto_worker.store.embedded"]
        store = Process(command, self.env, self.directory / "store.log")
        wait_until(lambda: answers(self.settings))
        return store

    def restart_store(self, down_s):
        """Kill the store's process, and start it again after ``down_s`` seconds.

        A power cut would also lose writes that the kernel holds. ``WAITAOF`` is there so that no such write
        counts; this does not test it.
        """
        self.store_process.kill()
        threading.Event().wait(down_s)
        self.store_process = self.start_store()

    def worker(self, *, wait=True, **settings):
        """Start a worker, with further settings if given.

        Workers take turns: one order at a time, or ten in flight. So most takeovers change this number.
        """
        settings = {"CTO_OPERATION_PARALLELISM": PARALLELISM[self.started % 2]} | self.given | settings
        self.started += 1
        name = f"w{self.started}"
        log = self.directory / f"{name}.log"
        command = [*WORKER, "--hostname", f"{name}@test", "--loglevel", "info"]
        worker = Process(command, self.env | settings, log)
        self.workers.append(worker)
        if wait:
            wait_until(lambda: f"{name}@test ready" in log.read_text() or not worker.alive)
        return worker

    def skewed_worker(self, skew_s, **options):
        """Start a worker whose wall clock is wrong by ``skew_s`` seconds."""
        path = os.pathsep.join(filter(None, [str(SKEWED), self.env.get("PYTHONPATH")]))
        return self.worker(PYTHONPATH=path, SKEW_S=str(skew_s), **options)

    def gateway(self, number=None, **settings):
        """Start a gateway; with a number, one of several behind a dispatcher."""
        command = [sys.executable, "-m", "api.wsgi", *([] if number is None else ["--number", str(number)])]
        gateway = self.start(command, f"gateway{number or ''}.log", **settings)
        wait_until(lambda: "serving on" in gateway.log.read_text() and self.gateway_ready())
        return gateway

    def dispatcher(self):
        return self.start([sys.executable, "-m", "api.server.dispatcher"], "dispatcher.log")

    def start(self, command, log, **settings):
        """Start any other process of the system."""
        process = Process(command, self.env | settings, self.directory / log)
        self.others.append(process)
        return process

    def gateway_ready(self):
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    @contextmanager
    def proxied(self):
        """Yield a proxy of the store, and the settings with which a process connects through it."""
        near = self.directory / "near"
        near.mkdir()
        proxy = Proxy(near / self.settings.socket_path.name, self.settings.socket_path)
        try:
            yield proxy, {"CTO_DATA_DIR": str(near)}
        finally:
            proxy.close()

    def logs(self):
        return "\n".join(log.read_text() for log in sorted(self.directory.glob("*.log")))

    def close(self):
        for process in [*self.workers, *self.others, self.store_process]:
            if process.alive:
                process.signal(signal.SIGCONT)
            process.kill()
        self.celery.close()
        self.client.close()
        self.market.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- jobs ----------------------------------------------------------------------------------------------

    def submit(self, **changes):
        return self.producer.submit(request(**changes)).job_id

    def submit_once(self, key, **changes):
        """Submit with an idempotency key: the same key gives the same job."""
        return self.producer.submit(request(**changes), idempotency_key=key).job_id

    def submit_and_die(self, **changes):
        """Let another process record a job and die before it sends the message. Return the job's id."""
        known = self.known_jobs()
        command = [sys.executable, "-c", ENQUEUE, json.dumps(request(**changes))]
        log = self.directory / "producer.log"
        producer = Process(command, self.env | {"CTO_CRASH_AT": "after_record"}, log)
        assert producer.process.wait(30) == -signal.SIGKILL, log.read_text()
        (job_id,) = self.known_jobs() - known
        return job_id

    def known_jobs(self):
        return {job.job_id for job in self.history.page(None, None, 100).jobs}

    def cancel(self, job_id):
        """Cancel a job as the REST endpoint does. Raises JobEndedError."""
        latest = decode(self.history.latest(job_id).event)
        journal = Journal.of(RedisJournal(self.client, self.settings))
        return cancel(journal, job_id, latest)

    def events(self, job_id):
        stored = self.history.events(job_id)
        return [json.loads(event) for event in stored.events] if stored else []

    def intent_log(self, job_id):
        """Return the job's intent log, with resolutions; ``None`` if it has no plan yet."""
        job = self.client.hgetall(keys.job(job_id))
        return decode_log(with_resolutions(job, self.client.hgetall(keys.intents(job_id))))

    def wait_for_events(self, job_id, count, timeout_s=60):
        wait_until(lambda: len(self.events(job_id)) >= count, timeout_s)

    def has_continued(self, job_id, seq):
        """Return whether a job has an event after this one, or has ended."""
        last = self.events(job_id)[-1]
        return last["seq"] > seq or last["status"] in ENDED

    def wait_for_end(self, job_ids, timeout_s=60):
        """Wait until all of these jobs have ended, also while the store fails."""

        def all_ended():
            try:
                stats = [self.history.stats(job_ids[at : at + 500]) for at in range(0, len(job_ids), 500)]
            except RedisError:
                return False
            return sum(part.completed + part.failed for part in stats) == len(job_ids)

        wait_until(all_ended, timeout_s)


def request(**changes):
    """Return a request whose orders do not fail by slippage, and which moves money in several steps."""
    return operation(**({"mode": "standard", "walletCount": 3, "slippageBps": 10_000} | changes))


def random_worker(system, chance):
    return chance.choice([worker for worker in system.workers if worker.alive])

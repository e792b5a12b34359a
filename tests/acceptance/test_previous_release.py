"""This release and the previous one replace each other while jobs run: workers, gateways and clients.

An upgrade follows docs/how-to/deploying.md: workers first, with one order in flight, then the gateway. A
rollback is the same in the other direction.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests
from cto_client import Client
from support.clients import EventStream
from support.criteria import check, check_all_bought, check_balance, orders_per_step
from support.javascript import NODE_PROGRAMS, NodeProgram
from support.previous_release import CURRENT, extract
from support.samples import new_user
from support.system import Access, SplitSystem, request
from support.waiting import wait_until
from support.watchers import NodeWatcher, PythonWatcher, collect_sockets, leaves_sockets_behind

WALLETS = 20  # so that an operation takes at least two seconds
ENQUEUE = "import cto_worker, json, sys; print(cto_worker.enqueue(json.loads(sys.argv[1])))"
TRANSPORTS = {"socket.io", "websocket", "sse", "polling"}  # of follow.mjs
NOT_REPEATED = {"sse", "polling"}  # 0.2.0 does not repeat a request for missed events that failed
STOCK = [(NodeWatcher, "polling"), (PythonWatcher, "websocket")]


@pytest.fixture(scope="session")
def previous(tmp_path_factory):
    return extract(tmp_path_factory.mktemp("previous"))


@pytest.fixture
def system(opened):
    yield opened(SplitSystem(CTO_OPERATION_PARALLELISM="1", CTO_PAPER_LATENCY_MS="100"))
    collect_sockets()


def run(system, release, *arguments):
    """Run a Python program of a release to its end. Return its output."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=system.env | release.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def enqueue(system, release, user):
    """Start an operation without a gateway, with the producer of a release. Return the job's id."""
    return run(system, release, "-c", ENQUEUE, json.dumps(request(userId=user, walletCount=WALLETS))).strip()


def is_current(rest):
    """Return whether the gateway is of this release: the previous one has no totals."""
    return "/api/cto/jobs/summary" in requests.get(f"{rest.url}/openapi.json", timeout=10).json()["paths"]


def workers_of(rest, job_id):
    """Return by attempt whether a worker of this release ran it: the previous one reports no next wallets."""
    runs = {}
    for event in rest.events(job_id)[1:]:
        runs[event["attempt"]] = runs.get(event["attempt"], False) or "startingWallets" in event["details"]
    return list(runs.values())


def orders_in_flight(system, job_id):
    log = system.intent_log(job_id)
    return sum(record.unsettled for record in log.records.values()) if log else 0


class BrowserClient:
    """A release's cto-progress, once on each of its transports. It follows all jobs of a user."""

    def __init__(self, release, url, user):
        self.seqs = defaultdict(list)  # by transport and job
        program = NODE_PROGRAMS / "follow.mjs"
        self.program = NodeProgram(self.receive, program, release.browser_client.as_uri(), url, user)
        self.close = self.program.close

    def receive(self, line):
        self.seqs[line["transport"], line["jobId"]].append(line["seq"])

    def received(self, transports):
        return {key: list(seqs) for key, seqs in self.seqs.copy().items() if key[0] in transports}


def submit(rest, user):
    """Start operations of both modes over REST. Return their jobs."""
    modes = ("standard", "prefunded") * 2
    return [rest.submit(**request(userId=user, mode=mode, walletCount=WALLETS)) for mode in modes]


def wait_for_orders(rest, jobs):
    """Wait until each job sends orders to the market."""
    wait_until(lambda: all(rest.events(job_id)[-1]["phase"] >= 4 for job_id in jobs))


def pages(rest, user, jobs):
    """Return what a gateway answers about ended jobs."""
    paths = [f"/api/cto/job/{job_id}/{page}" for job_id in jobs for page in ("status", "latest", "events")]
    answers = {path: rest.get(path) for path in paths}
    listed = {job["jobId"]: job for job in rest.get("/api/cto/jobs", userId=user)["jobs"]}
    counts = rest.get("/api/cto/jobs/stats", jobIds=",".join(jobs))
    return answers | {"list": [listed[job_id] for job_id in jobs], "stats": counts}


def contains(document, part):
    """Return whether a document has every field of another one, with the same value."""
    if isinstance(part, dict):
        return isinstance(document, dict) and all(
            name in document and contains(document[name], value) for name, value in part.items()
        )
    if isinstance(part, list):
        return len(document) == len(part) and all(map(contains, document, part))
    return document == part


@leaves_sockets_behind
@pytest.mark.parametrize("direction", ["upgrade", "rollback"])
def test_a_release_replaces_the_other_one_while_jobs_run(system, previous, opened, direction):
    before, after = (previous, CURRENT) if direction == "upgrade" else (CURRENT, previous)
    user, rest = new_user(), Access(system.env)
    slowly = {"CTO_PAPER_LATENCY_MS": "1500"}  # so that no job ends before its worker is stopped
    workers = [system.worker(**before.environment, **slowly, wait=False) for _ in range(2)]
    gateway = system.gateway(**before.environment)
    browser = opened(BrowserClient(before, system.url, user))

    jobs = [enqueue(system, after, user), *submit(rest, user)]
    wait_for_orders(rest, jobs)
    workers[0].kill()
    workers[1].terminate()
    system.worker(**after.environment)
    system.wait_for_end(jobs)
    check(system, jobs)
    for job_id in jobs:
        runs = workers_of(rest, job_id)
        assert (runs[0], runs[-1]) == (before is CURRENT, after is CURRENT)
    answers = {is_current(rest): pages(rest, user, jobs)}

    stream = opened(EventStream(system, f"/api/cto/stream?userId={user}").reading())
    wait_until(lambda: stream.last_event_id)
    later = submit(rest, user)
    wait_for_orders(rest, later)
    stock = [opened(kind(system.url, transport, later)) for kind, transport in STOCK]
    wait_until(lambda: all(client.resumed == set(later) for client in stock))
    with Client(system.url) as client, ThreadPoolExecutor() as pool:
        followed = [pool.submit(list, client.follow(job_id)) for job_id in later]
        gateway.terminate()
        system.gateway(**after.environment)
        path = f"/api/cto/stream?userId={user}"
        resumed = opened(EventStream(system, path, stream.last_event_id).reading())
        system.wait_for_end(later)
    check(system, later)
    check_all_bought(system, jobs + later)
    answers[is_current(rest)] = pages(rest, user, jobs)
    assert {path for path, page in answers[False].items() if not contains(answers[True][path], page)} == set()

    history = {job_id: list(range(1, len(system.events(job_id)) + 1)) for job_id in jobs + later}
    wait_until(lambda: stream.ended() | resumed.ended() >= set(later))
    streamed = stream.progress() + resumed.progress()
    for job_id, by_client in zip(later, followed, strict=True):
        assert [seq for job, seq in streamed if job == job_id] == history[job_id]
        assert [event.seq for event in by_client.result()] == history[job_id]
        for watcher in stock:
            wait_until(lambda watcher=watcher, job_id=job_id: sorted(watcher.seqs[job_id]) == history[job_id])
    transports = TRANSPORTS if before is CURRENT else TRANSPORTS - NOT_REPEATED
    followed_by = {(name, job_id): history[job_id] for name in transports for job_id in history}
    with suppress(AssertionError):  # the last assertion shows what is missing
        wait_until(lambda: browser.received(transports) == followed_by)
    assert browser.received(transports) == followed_by
    watched = run(system, before, "-m", "api.cli.main", "watch", "--json", later[0])
    assert [json.loads(line)["seq"] for line in watched.splitlines()] == history[later[0]]


def test_the_previous_release_ends_operations_with_many_orders_in_flight(system, previous):
    """An upgrade avoids this, because counts in events can fall. Each step is executed and counted once."""
    worker = system.worker(CTO_OPERATION_PARALLELISM="10", CTO_PAPER_LATENCY_MS="500")
    jobs = [system.submit(mode=mode, walletCount=10) for mode in ("standard", "prefunded") * 2]
    wait_until(lambda: all(orders_in_flight(system, job_id) > 1 for job_id in jobs))
    worker.kill()
    system.worker(**previous.environment)
    system.wait_for_end(jobs)
    check_balance(system)
    assert set(orders_per_step(system).values()) == {1}
    check_all_bought(system, jobs)
    for job_id in jobs:
        events = system.events(job_id)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert [event["phase"] == 5 for event in events] == [False] * (len(events) - 1) + [True]

"""One of two gateways behind the proxy is stopped or killed: its clients reconnect once, to the other."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
import uuid
from contextlib import contextmanager

import pytest
import requests
from support.deployment import GATEWAYS
from support.javascript import NODE_PROGRAMS, NodeProgram
from support.samples import operation
from support.tokens import bearer
from support.waiting import wait_until

# Kind of client → how many, and how each of them is connected.
KINDS = {
    "stock websocket": (20, "websocket"),
    "stock polling": (10, "polling"),
    "progress": (10, "socket.io websocket"),
    "progress plain": (10, "websocket"),
}
CROWD = sum(count for count, _ in KINDS.values())
PROXY_NOTICES_S = 10  # above the Caddyfile's fail_duration and health_interval together
BRIEF_S = 3.5  # above BRIEF_MS of connection-manager.js: a shorter connection counts as failed


@pytest.fixture
def composed(composed):
    """The deployment. A gateway that the test ends is started again."""
    yield composed
    for name in GATEWAYS:
        if composed.processes[name].poll() is not None:
            composed.start(name)
            wait_until(lambda name=name: composed.ready(composed.url(name)))
            # Else the proxy may begin to use it while the next crowd connects, which is then on two gateways.
            time.sleep(PROXY_NOTICES_S)


class Crowd:
    """All clients, in one process. By client: its transports, its failed connections, and its events."""

    def __init__(self, url, token, job_id):
        self.via, self.failed, self.seqs = {}, {}, {}
        kinds = json.dumps({kind: count for kind, (count, _) in KINDS.items()})
        self.program = NodeProgram(self.record, NODE_PROGRAMS / "crowd.mjs", url, token, job_id, kinds)
        self.close = self.program.close

    def record(self, line):
        for name in ("via", "failed", "seqs"):
            value = line.get(name.removesuffix("s") if name == "seqs" else name)
            if value is not None:
                getattr(self, name).setdefault(line["client"], []).append(value)

    def connections(self):
        """Return the number of connections that each client has had."""
        return [len(self.via.get(client, ())) for client in self.expected(1)]

    def expected(self, connections):
        """Return ``via`` after this number of connections of each client, each over its own transport."""
        return {
            f"{kind} {number}": [via] * connections
            for kind, (count, via) in KINDS.items()
            for number in range(1, count + 1)
        }


@pytest.fixture
def crowd(composed):
    """Clients whose connections no longer count as brief, and a job that runs for some seconds."""
    job_id = composed.submit(walletCount=50, buyAmount=0.5)
    crowd = Crowd(composed.url("proxy"), composed.token(), job_id)
    crowd.job_id = job_id
    try:
        wait_until(lambda: all(crowd.connections()))
        time.sleep(BRIEF_S)
        yield crowd
    finally:
        crowd.close()


def gateway_of(composed):
    """Return the gateway of the whole crowd: the proxy chooses by the address, which is the same for all."""
    headers = bearer((composed.secrets / "prometheus-token").read_text())

    def busy():
        numbers = requests.get(f"{composed.url(GATEWAYS[0])}/metrics", headers=headers, timeout=10).text
        found = re.findall(r"^cto_gateway_sockets\{(.*)\} (\d+)\.0$", numbers, re.MULTILINE)
        for name in GATEWAYS:
            process = f':{composed.processes[name].pid}"'
            if sum(int(count) for labels, count in found if process in labels) == CROWD:
                return name
        return None

    return wait_until(busy)


@contextmanager
def submitting(composed):
    """Submit jobs one after another during the block. Yields the list of the final status of each.

    Like a bot, it repeats a request after a 503: the gateway may close a connection on which the proxy sends
    a request. The same idempotency key starts one job.
    """
    answers, ends = [], threading.Event()
    body = operation(userId="8", buyAmount=0.01, walletCount=None)

    def submit():
        with requests.Session() as session:
            session.headers.update(composed.headers())
            while not ends.wait(0.02):
                session.headers["Idempotency-Key"] = uuid.uuid4().hex
                for _ in range(5):
                    answer = session.post(f"{composed.url('proxy')}/api/cto/jobs", json=body, timeout=30)
                    if answer.status_code != 503:
                        break
                answers.append(answer.status_code)

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield answers
    finally:
        ends.set()
        thread.join()


def test_clients_of_a_gateway_that_is_stopped_reconnect_once(composed, crowd):
    name = gateway_of(composed)
    with submitting(composed) as answers:
        begun_s = time.monotonic()
        composed.processes[name].send_signal(signal.SIGTERM)
        assert composed.processes[name].wait(15) == 0
        print(f"stopped within {time.monotonic() - begun_s:.2f} s")  # noqa: T201
        assert_reconnected(composed, crowd)
    assert set(answers) <= {200, 202}, "REST continues"


def test_clients_of_a_gateway_that_is_killed_reconnect_once(composed, crowd):
    composed.processes[gateway_of(composed)].kill()
    assert_reconnected(composed, crowd)


def assert_reconnected(composed, crowd):
    """Wait until every client is connected again, and has every event, once and in order."""
    wait_until(lambda: all(count >= 2 for count in crowd.connections()))
    status = composed.get(f"/api/cto/job/{crowd.job_id}/status")
    assert status["status"] == "active", "the job must still run, so that events can be lost"
    composed.ended(crowd.job_id)
    events = composed.get(f"/api/cto/job/{crowd.job_id}/events")["events"]
    seqs = [event["seq"] for event in events]
    wait_until(lambda: all(crowd.seqs[client][-1] == seqs[-1] for client in crowd.expected(1)))
    assert crowd.via == crowd.expected(2)
    assert crowd.failed == {}
    assert crowd.seqs == dict.fromkeys(crowd.expected(1), seqs)

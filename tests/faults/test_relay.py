"""Clients of a gateway while its link to the store fails, and while one of them does not read."""

from __future__ import annotations

import itertools
import json
import re
import selectors
import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from statistics import quantiles

import pytest
import requests
import socketio
import websocket
from msgspec.structs import replace
from support.clients import clients_of_every_transport
from support.samples import FIRST_EVENT
from support.swarm import has_every_event, masked
from support.waiting import wait_until
from support.watchers import collect_sockets, leaves_sockets_behind

from cto_worker.domain.journal_ports import Entry
from cto_worker.domain.progress_event import Details, Status
from cto_worker.store import keys
from cto_worker.store.redis_journal import RedisJournal

EVENTS = 5_000
JOBS = 50
TRANSPORTS = ("websocket", "polling")
HEALTHY = 50  # clients that read
MARKER = b'"workerType":"cto_operation"'  # once in every event
MADE_AT = re.compile(rb'"timestamp":(\d{13})')  # ms


class Follower:
    """A stock client in the room of a user. ``seqs``: the events of each job that it has received.

    Their order is unknown: python-engineio's client handles each message in its own thread.
    """

    def __init__(self, url, user_id, transport):
        self.seqs = {}
        self.client = socketio.Client(reconnection_delay=0.2, reconnection_delay_max=1)
        self.client.on("worker_progress", self.receive)
        self.client.on("connect", self.reconnect)
        self.room = f"user_{user_id}"
        self.joined = threading.Event()
        self.client.connect(url, transports=[transport])
        assert self.joined.wait(20)

    def reconnect(self):
        """Resume all known jobs, then join the room, as the documentation requires."""
        for job_id, seqs in list(self.seqs.items()):
            after = next(seq for seq in itertools.count() if seq + 1 not in seqs)
            self.client.emit("resume", {"jobId": job_id, "after": after}, callback=self.resumed)
        self.client.emit(
            "join_room", self.room, callback=lambda answer: answer["success"] and self.joined.set()
        )

    def resumed(self, answer):
        assert answer["success"], answer
        for event in answer["events"]:
            self.receive(event)

    def receive(self, event):
        self.seqs.setdefault(event["jobId"], set()).add(event["seq"])


class ReportedJob:
    """A job whose events the test writes to the journal, as a worker does."""

    def __init__(self, system, job_id, user_id="7"):
        self.journal = RedisJournal(system.client, system.settings)
        self.event = replace(FIRST_EVENT, job_id=job_id, user_id=user_id, timestamp=now_ms())
        self.journal.create(self.event, {})
        self.journal.claim(job_id, "me")

    def report(self, bulk=0, *, last=False):
        more = (
            {"status": Status.COMPLETED, "progress": 100, "phase": 5}
            if last
            else {"phase": 4, "progress": 70}
        )
        self.event = replace(
            self.event,
            seq=self.event.seq + 1,
            attempt=1,
            timestamp=now_ms(),
            details=Details(current_operation="x" * bulk),
            **({"status": Status.IN_PROGRESS} | more),
        )
        self.journal.append(Entry(self.event))


def now_ms():
    return time.time_ns() // 1_000_000


def report_all(jobs, events, actions):
    """Report events of all jobs in turn, then their ends. ``actions``: calls by number of events."""
    for number in range(events):
        jobs[number % len(jobs)].report()
        actions.pop(number, lambda: None)()
    for job in jobs:
        job.report(last=True)


@pytest.fixture
def followers(system):
    """Make stock clients that follow user 7."""
    made = []

    def make(transport):
        made.append(Follower(system.url, "7", transport))
        return made[-1]

    yield make
    for follower in made:
        follower.client.shutdown()
    collect_sockets()


@leaves_sockets_behind
@pytest.mark.timeout(240)
def test_every_client_receives_every_event_through_any_failure_of_the_link(system, followers, swarm_of):
    with system.proxied() as (proxy, near):
        gateway = system.gateway(**near)
        counts = {f"j{number}": EVENTS // JOBS + 2 for number in range(JOBS)}
        jobs = [ReportedJob(system, job_id) for job_id in counts]
        swarm = swarm_of(system.settings.port)
        resuming = [client for transport in TRANSPORTS for client in swarm.add(3, transport, list(counts))]
        joined = [followers(transport) for transport in TRANSPORTS]
        wait_until(lambda: all(len(client.resumed) == JOBS for client in resuming))

        def black_hole():
            proxy.black_hole.set()
            threading.Timer(5, lambda: (proxy.black_hole.clear(), proxy.cut())).start()

        def restart():
            proxy.cut()
            system.restart_store(0.2)

        report_all(
            jobs,
            EVENTS,
            {
                1_000: lambda: system.client.client_kill_filter(_type="pubsub"),
                2_000: black_hole,
                4_000: restart,
                4_500: lambda: system.client.client_kill_filter(_type="pubsub"),
            },
        )
        ended_s = time.monotonic()
        wait_until(lambda: all(has_every_event(client, counts) for client in resuming))
        sets = {job_id: set(range(1, last + 1)) for job_id, last in counts.items()}
        wait_until(lambda: all(follower.seqs == sets for follower in joined))
        assert time.monotonic() - ended_s <= 15
        assert gateway.alive


@leaves_sockets_behind
@pytest.mark.timeout(120)
def test_a_job_that_runs_while_the_link_is_lost_is_reported_on_every_transport(system):
    with followed_through_a_proxy(system) as (proxy, clients):
        report_whole_job(system, "before")
        all_received(clients, [("before", seq) for seq in (1, 2, 3)])
        with proxy.broken():
            report_whole_job(system, "during")
        report_whole_job(system, "last")
        all_received(clients, [(job_id, seq) for job_id in ("before", "during", "last") for seq in (1, 2, 3)])


@leaves_sockets_behind
@pytest.mark.timeout(120)
def test_events_that_expire_while_the_link_is_lost_are_reported_as_a_gap_on_every_transport(system):
    with followed_through_a_proxy(system) as (proxy, clients):
        job = ReportedJob(system, "j1")
        all_received(clients, [("j1", 1)])
        with proxy.broken():
            for _ in range(3):
                job.report()
            system.client.xtrim(keys.events("j1"), minid="3-0", approximate=False)
        job.report(last=True)
        all_received(clients, [("j1", 1), ("gap", "j1", 3), ("j1", 3), ("j1", 4), ("j1", 5)])


@contextmanager
def followed_through_a_proxy(system):
    """Yield a proxy between gateway and store, and a client of each transport in the room of user 7."""
    with system.proxied() as (proxy, near):
        system.gateway(**near)
        with clients_of_every_transport(system, "7") as clients:
            yield proxy, clients
    collect_sockets()


def all_received(clients, progress):
    for client in clients:
        client.wait_for(lambda client: progress[-1] in client.progress())
        assert client.progress() == progress


def report_whole_job(system, job_id):
    """Report a job from its first event to its last."""
    job = ReportedJob(system, job_id)
    job.report()
    job.report(last=True)


def resident_mb(part):
    with open(f"/proc/{part.process.pid}/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


HELLO = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)
PING, PONG = b"\x81\x012", "3"


class RawClient:
    """A client that only counts events, without decoding them, so that fifty of them use little time."""

    def __init__(self, port, room):
        self.events = 0
        self.late_ms = []  # of events; some that arrive in two parts are missing
        self.joined = False
        self.rest = b""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(HELLO % port)
        assert b"101 Switching" in self.socket.recv(1024)
        self.send("40")
        self.send("420" + json.dumps(["join_room", room]))

    def send(self, text):
        self.socket.sendall(masked(text))

    def read(self, *_):
        """Count the received events, and answer pings."""
        received = self.socket.recv(1 << 18)
        self.late_ms += [time.time() * 1_000 - int(made_at) for made_at in MADE_AT.findall(received)]
        seen = self.rest + received
        self.events += seen.count(MARKER)
        self.joined = self.joined or b'"success":true' in seen
        if PING in seen:
            self.send(PONG)
            seen = seen.replace(PING, b"")
        self.rest = seen[-len(MARKER) + 1 :]


@pytest.fixture
def crowd(system):
    """Make raw clients that one thread reads until the end of the test: ``crowd(count, room)``."""
    made, over, selector = [], threading.Event(), selectors.DefaultSelector()

    def make(count, room):
        for _ in range(count):
            client = RawClient(system.settings.port, room)
            made.append(client)
            selector.register(client.socket, selectors.EVENT_READ, client.read)
        return made[-count:]

    def read():
        while not over.is_set():
            for key, _ in selector.select(0.1):
                key.data()

    subscriber = threading.Thread(target=read)
    subscriber.start()
    yield make
    over.set()
    subscriber.join()
    selector.close()
    for client in made:
        client.socket.close()


class UnreadClient:
    """A WebSocket client that joins, and does not read."""

    def __init__(self, system):
        self.server_port = system.settings.port
        self.socket = RawClient(self.server_port, "user_7").socket

    def gone(self):
        """Return whether the server has closed the connection, read from the kernel's table (Linux)."""
        ends = f":{self.server_port:04X} 0100007F:{self.socket.getsockname()[1]:04X} "
        with open("/proc/net/tcp") as table:  # noqa: PTH123
            return not any(ends in line and line.split()[3] == "01" for line in table)

    def close(self):
        self.socket.close()


def test_an_idle_websocket_client_needs_no_green_thread(system):
    """Two green threads needed 48 kB. An idle client needs 6 kB."""
    gateway = system.gateway()
    with ExitStack() as opened:

        def add(count):
            for _ in range(count):
                client = websocket.create_connection(f"{system.url.replace('http', 'ws', 1)}/ws", timeout=30)
                opened.callback(client.shutdown)
                client.send('{"type":"join","room":"user_7"}')
                assert '"joined"' in client.recv()

        add(100)
        before_mb = resident_mb(gateway)
        add(400)
        assert (resident_mb(gateway) - before_mb) * 1024 / 400 < 20


class UnpolledClient:
    """A polling client that joins, and does not poll again."""

    def __init__(self, system):
        self.system = system
        url = f"{system.url}/socket.io/?EIO=4&transport=polling"
        url += f"&sid={json.loads(requests.get(url, timeout=10).text[1:])['sid']}"
        for packet, answer in (("40", "40{"), ('420["join_room","user_7"]', '430[{"success":true')):
            assert requests.post(url, data=packet, timeout=10).ok
            assert requests.get(url, timeout=10).text.startswith(answer)
        wait_until(lambda: sessions(system) == HEALTHY + 1)

    def gone(self):
        """Return whether its session has ended. A request for the session would be a poll."""
        return sessions(self.system) == HEALTHY

    def close(self):
        """Do nothing: no connection is open."""


def sessions(system):
    """Return the number of Socket.IO clients of the gateway, with a short delay."""
    metrics = requests.get(f"{system.url}/metrics", timeout=10).text
    return float(re.search(r'^cto_gateway_sockets\{.*"socketio".*\} (.*)$', metrics, re.MULTILINE)[1])


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", [UnreadClient, UnpolledClient])
def test_a_client_that_does_not_read_is_disconnected_and_delays_no_other(system, crowd, kind):
    gateway = system.gateway()
    healthy = crowd(HEALTHY, "user_7")
    wait_until(lambda: all(client.joined for client in healthy))
    before_mb = resident_mb(gateway)
    with closing(kind(system)) as silent:
        begun_s, dropped_s, most_mb = time.monotonic(), None, before_mb
        job, count = ReportedJob(system, "j1"), 1
        while time.monotonic() - begun_s < 22:
            job.report(bulk=1_500)
            count += 1
            if count % 20 == 0:
                most_mb = max(most_mb, resident_mb(gateway))
                if dropped_s is None and silent.gone():
                    dropped_s = time.monotonic() - begun_s
            threading.Event().wait(max(0, begun_s + count / 200 - time.monotonic()))
        job.report(last=True)
    print(f"{kind.__name__}: gone after {dropped_s} s, {most_mb - before_mb:.1f} MB more")  # noqa: T201
    assert dropped_s is not None, "its connection is still open"
    assert dropped_s <= 20
    assert most_mb - before_mb <= 20
    wait_until(lambda: all(client.events == count + 1 for client in healthy))
    p99_ms = quantiles((late_ms for client in healthy for late_ms in client.late_ms), n=100)[-1]
    assert p99_ms <= 250

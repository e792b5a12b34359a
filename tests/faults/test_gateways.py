"""Gateways that are killed, told to stop, and kept busy by more clients than anybody invited."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from statistics import quantiles

import pytest
import requests
import websocket
from support.clients import EventStream, WebSocketClient
from support.processes import environment
from support.samples import FIRST_EVENT
from support.swarm import has_every_event
from support.system import System
from support.tokens import GUARDED, bearer, token
from support.waiting import wait_until
from support.watchers import NodeFollower, NodeWatcher, PythonWatcher, collect_sockets, leaves_sockets_behind

from cto_worker.domain.events import Details, encode

STOCK = [(kind, transport) for kind in (NodeWatcher, PythonWatcher) for transport in ("websocket", "polling")]
MARGIN_S = 2.0  # what a busy machine may add to a time that is promised


@pytest.fixture
def watch():
    """Connect stock clients: ``watch(NodeWatcher or PythonWatcher, url, transport, jobs)``."""
    watchers = []

    def watch(kind, *arguments):
        watchers.append(kind(*arguments))
        return watchers[-1]

    yield watch
    for watcher in watchers:
        watcher.close()
    collect_sockets()


@pytest.fixture
def doors():
    """Keep clients that are to be closed after the test: ``doors(client)`` returns it."""
    clients = []

    def keep(client):
        clients.append(client)
        return client

    yield keep
    for client in clients:
        client.close()


@pytest.fixture
def up():
    """Run ``cto up`` with two gateways, until both serve: ``up(**settings)``."""
    systems = []

    def up(**settings):
        system = System(environment(**settings), "--no-flower", "--gateways", "2")
        systems.append(system)
        system.ready()
        wait_until(lambda: all(f"gateway {number} is connected" in system.said() for number in (1, 2)))
        return system

    yield up
    for system in systems:
        system.close()


def gateway_processes(system, number):
    """Return the process ids that a gateway of ``cto up`` has had, the latest last."""
    return [
        int(pid) for pid in re.findall(rf"gateway.{number} +\| .*serving on .*process (\d+)", system.said())
    ]


def has_ended(system, job_id):
    return system.events(job_id)[-1]["phase"] == 5


@contextmanager
def asking(url, **headers):
    """Ask REST again and again for the length of the block; the list of seconds that answers took."""
    took_s, ends = [], threading.Event()

    def ask():
        with requests.Session() as session:
            session.headers.update(headers)
            while not ends.wait(0.01):
                begun_s = time.monotonic()
                assert session.get(url, timeout=30).ok
                took_s.append(time.monotonic() - begun_s)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took_s
    finally:
        ends.set()
        thread.join()


@pytest.mark.alone
def test_strangers_are_sent_away_and_harm_nobody(system, swarm_of):
    """1,100 sockets: 600 of one user, which is as many as it may have, and 500 that never show a token."""
    system.worker(CTO_PAPER_LATENCY_MS="300")
    system.gateway(**GUARDED, CTO_MAX_USER_SOCKETS="600")
    jobs = [system.submit(mode="prefunded", walletCount=50, buyAmount=0.5) for _ in range(3)]
    owner, service = token("7"), token("bot", role="service")
    swarm = swarm_of(system.settings.port)
    healthy = swarm.add(500, "websocket", jobs[:1], token=owner)
    healthy += swarm.add(100, "polling", jobs[1:2], token=owner)
    status = f"{system.url}/api/cto/job/{jobs[2]}/status"
    with asking(status, **bearer(service)) as took_s:
        wait_until(lambda: all(client.resumed for client in healthy))
        took_s.clear()
        silent = swarm.add(400, "websocket", silent=True) + swarm.add(100, "polling", silent=True)
        too_many = swarm.add(10, "websocket", token=owner) + swarm.add(10, "polling", token=owner)
        strangers = swarm.add(10, "websocket", token="garbage") + swarm.add(10, "polling", token="garbage")
        wait_until(lambda: all(client.closed_s for client in silent), 30)
        assert len(took_s) > 100
        p99_s = quantiles(took_s, n=100, method="inclusive")[-1]
    for client in silent:
        assert 3 < client.closed_s - client.opened_s < 5 + MARGIN_S
    assert p99_s <= 0.5
    assert {tuple(client.refusals) for client in too_many} == {("too_many_connections",)}
    assert {tuple(client.refusals) for client in strangers} == {("invalid_token",)}
    (other,) = swarm.add(1, "websocket", token=token("another"))
    wait_until(lambda: other.connections)
    system.wait_for_end(jobs)
    told = {job_id: len(system.events(job_id)) for job_id in jobs}
    wait_until(lambda: all(has_every_event(client, told) for client in healthy))
    assert {client.connections for client in healthy} == {1}, "nobody was dropped"


@pytest.mark.parametrize("behind_dispatcher", [False, True])
def test_connections_without_a_request_are_closed(system, behind_dispatcher):
    if behind_dispatcher:
        system.dispatcher()
    system.gateway(1 if behind_dispatcher else None)
    begun_s = time.monotonic()
    silent = [socket.create_connection(("127.0.0.1", system.settings.port)) for _ in range(50)]
    silent[0].sendall(b"GET /healthz")  # and no end of the line
    for connection in silent:
        connection.settimeout(15)
        with suppress(ConnectionResetError):  # how a part of a line is answered that nobody has read
            assert connection.recv(100) == b""
        connection.close()
    assert 4 < time.monotonic() - begun_s < 5 + MARGIN_S


def test_above_the_limit_rest_still_answers(system, swarm_of):
    system.gateway(CTO_MAX_SOCKETS="10")
    swarm = swarm_of(system.settings.port)
    clients = swarm.add(30, "websocket")
    wait_until(lambda: sum(bool(client.connections) for client in clients) >= 10)
    url = f"{system.url}/socket.io/?EIO=4&transport=polling"
    refused = requests.get(url, timeout=10)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert refused.json()["error"]["code"] == "too_many_connections"
    assert sum(bool(client.connections) for client in clients) == 10
    assert system.gateway_ready()


@pytest.mark.timeout(240)
def test_thousands_come_back_at_once(system, swarm_of):
    """2,000 clients lose their gateway, and each resumes its job on the next: nothing times out."""
    system.worker(CTO_PAPER_LATENCY_MS="0")
    gateway = system.gateway()
    jobs = [system.submit(mode="prefunded", walletCount=15, buyAmount=0.15) for _ in range(20)]
    system.wait_for_end(jobs)
    swarm = swarm_of(system.settings.port)
    clients = [client for job_id in jobs for client in swarm.add(100, "websocket", [job_id])]
    wait_until(lambda: all(client.resumed for client in clients), 60)
    gateway.kill()
    wait_until(lambda: not any(client.resumed for client in clients))
    system.gateway()
    begun_s = time.monotonic()
    with asking(f"{system.url}/api/cto/job/{jobs[0]}/status") as took_s:
        wait_until(lambda: all(client.resumed for client in clients), 60)
    print(f"2,000 were back within {time.monotonic() - begun_s:.1f} s, REST {max(took_s):.2f} s at most")  # noqa: T201
    told = {job_id: len(system.events(job_id)) for job_id in jobs}
    assert all(has_every_event(client, told) for client in clients)
    assert not [client.wrong for client in clients if client.wrong]
    assert max(client.connections for client in clients) == 2, "nobody was dropped and came again"


@leaves_sockets_behind
@pytest.mark.timeout(240)
@pytest.mark.parametrize("door", ["plain", "stream"])
def test_hundreds_come_back_at_once_by_the_other_doors(system, swarm_of, door):
    """600 clients that ask for all their events do not keep REST waiting until the last of them has them."""
    system.worker(CTO_PAPER_LATENCY_MS="0")
    first = system.gateway()
    jobs = [system.submit(mode="prefunded", walletCount=10, buyAmount=0.5) for _ in range(10)]
    system.wait_for_end(jobs)
    running = system.submit(mode="prefunded", walletCount=1, buyAmount=0.5)
    system.wait_for_end([running])
    told = {job_id: len(system.events(job_id)) for job_id in jobs}
    swarm = swarm_of(system.settings.port)
    clients = [client for job_id in jobs for client in swarm.add(60, door, [job_id])]
    wait_until(lambda: all(has_every_event(client, told) for client in clients))
    for client in clients:
        client.seqs = {job_id: [] for job_id in client.seqs}
    first.kill()
    system.gateway()
    with asking(f"{system.url}/api/cto/job/{running}/status") as took_s:
        wait_until(lambda: all(has_every_event(client, told) for client in clients))
        assert len(took_s) >= 5
    assert all(client.connections >= 2 for client in clients)


@pytest.mark.timeout(240)
def test_a_gateway_is_killed_with_its_clients(up, swarm_of, watch):
    """200 clients and four stock ones on two gateways: each ends with every event, once and in order."""
    system = up(CTO_PAPER_LATENCY_MS="400")
    jobs = [system.submit(walletCount=50, buyAmount=0.5, slippageBps=10_000) for _ in range(10)]
    swarm = swarm_of(system.settings.port)
    clients = [
        client
        for at in range(10)
        for transport in ("websocket", "polling")
        for client in swarm.add(10, transport, [jobs[at], jobs[at - 1]])
    ]
    stock = [watch(kind, system.url, transport, jobs[:2]) for kind, transport in STOCK]
    everybody = clients + stock
    wait_until(lambda: all(len(client.resumed) == 2 for client in everybody))
    (killed,) = gateway_processes(system, 1)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: all(len(client.resumed) == 2 for client in everybody) and moved(clients))
    assert not any(has_ended(system, job_id) for job_id in jobs), "too late to lose anything"
    wait_until(lambda: all(has_ended(system, job_id) for job_id in jobs))
    told = {job_id: len(system.events(job_id)) for job_id in jobs}
    wait_until(lambda: all(has_every_event(client, told) for client in everybody))
    again = sum(client.connections == 2 for client in clients)
    assert 50 <= again <= 150, "each gateway had its part of them"
    assert {client.connections for client in clients} == {1, 2}
    wait_until(lambda: len(gateway_processes(system, 1)) == 2)


def moved(clients):
    return sum(client.connections == 2 for client in clients) >= 50


def test_a_dispatcher_is_killed(up, swarm_of):
    """Connected clients are not affected. New clients reach the next dispatcher, which knows the sessions."""
    system = up(CTO_PAPER_LATENCY_MS="150")
    job_id = system.submit(walletCount=40, buyAmount=0.4, slippageBps=10_000)
    swarm = swarm_of(system.settings.port)
    clients = swarm.add(20, "websocket", [job_id])
    wait_until(lambda: all(client.resumed for client in clients))
    dispatchers = dispatcher_processes(system)
    assert len(dispatchers) == 1
    os.kill(dispatchers[0], signal.SIGKILL)
    wait_until(lambda: all(system.said().count(f"gateway {number} is connected") == 2 for number in (1, 2)))
    late = swarm.add(20, "polling", [job_id])
    system.ended(job_id)
    told = {job_id: len(system.events(job_id))}
    wait_until(lambda: all(has_every_event(client, told) for client in clients + late))
    assert {client.connections for client in clients + late} == {1}
    assert {client.sid[0] for client in late} == {"1", "2"}


def dispatcher_processes(system):
    return [int(pid) for pid in re.findall(r"dispatcher +\| .*handing over .*process (\d+)", system.said())]


@leaves_sockets_behind
def test_a_gateway_that_is_told_to_stop_drains(system, swarm_of, watch):
    """Its clients come back by themselves, on the other; what was asked of it is answered."""
    system.worker(CTO_PAPER_LATENCY_MS="300")
    system.dispatcher()
    first = system.gateway(1)
    job_id = system.submit(mode="prefunded", walletCount=50, buyAmount=0.5)
    swarm = swarm_of(system.settings.port)
    clients = swarm.add(20, "websocket", [job_id]) + swarm.add(20, "polling", [job_id])
    stock = [watch(kind, system.url, transport, [job_id]) for kind, transport in STOCK]
    everybody = clients + stock
    wait_until(lambda: all(client.resumed for client in everybody))
    under_way, answered = slow_request(system.settings.port), []
    system.gateway(2)
    wait_until(lambda: "gateway 2 is connected" in (system.directory / "dispatcher.log").read_text())
    subscriber = threading.Thread(target=lambda: answered.append(under_way.recv(1_000)))
    subscriber.start()
    ends = threading.Thread(target=lambda: answered.append(first.terminate()))
    ends.start()
    wait_until(lambda: "waiting for" in first.log.read_text())
    wait_until(lambda: sum(client.connections == 2 for client in everybody) >= 40)
    under_way.sendall(b"{}")
    ends.join()
    subscriber.join()
    under_way.close()
    assert answered[0].startswith(b"HTTP/1.1 400 "), "the request under way"
    assert answered[1] <= 10
    system.wait_for_end([job_id])
    told = {job_id: len(system.events(job_id))}
    wait_until(lambda: all(has_every_event(client, told) for client in everybody))
    assert {client.connections for client in everybody} == {2}


def test_what_a_stopping_gateway_was_handed_is_answered(system):
    """Two gateways hold still while many ask; then one is told to stop, and finds what waits for it."""
    dispatcher = system.dispatcher()
    gateways = [system.gateway(number) for number in (1, 2)]
    wait_until(
        lambda: all(f"gateway {number} is connected" in dispatcher.log.read_text() for number in (1, 2))
    )
    for gateway in gateways:
        gateway.signal(signal.SIGSTOP)
    asking = [ask_for_health(system.settings.port) for _ in range(200)]
    gateways[0].signal(signal.SIGTERM)
    for gateway in gateways:
        gateway.signal(signal.SIGCONT)
    asking += [ask_for_health(system.settings.port) for _ in range(200)]
    answers = [answer_to(connection) for connection in asking]
    assert set(answers) == {b"HTTP/1.1 200 OK"}
    gateways[0].process.wait(10)


def test_a_gateway_that_is_stopped_answers_what_has_come_and_refuses_what_comes(system):
    """Nobody's connection is accepted and then left unanswered, and the proxy finds another at once."""
    gateway = system.gateway()
    under_way = slow_request(system.settings.port)
    gateway.signal(signal.SIGSTOP)
    asking = [ask_for_health(system.settings.port) for _ in range(200)]
    gateway.signal(signal.SIGTERM)
    gateway.signal(signal.SIGCONT)
    assert {answer_to(connection) for connection in asking} == {b"HTTP/1.1 200 OK"}
    wait_until(lambda: "waiting for" in gateway.log.read_text())
    with pytest.raises(ConnectionRefusedError):
        ask_for_health(system.settings.port)
    under_way.sendall(b"{}")
    answered = under_way.recv(1_000)
    under_way.close()
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert gateway.process.wait(10) == 0


def ask_for_health(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return connection


def answer_to(connection):
    """The first line; nothing when the connection was closed unanswered."""
    with connection, suppress(ConnectionResetError):
        return connection.recv(1_000).partition(b"\r\n")[0]


@pytest.mark.parametrize("behind_dispatcher", [False, True])
def test_streams_and_plain_sockets_come_back_too(system, doors, behind_dispatcher):
    system.worker(CTO_PAPER_LATENCY_MS="300")
    if behind_dispatcher:
        system.dispatcher()
    first = system.gateway(1 if behind_dispatcher else None)
    job_id = system.submit(mode="prefunded", walletCount=50, buyAmount=0.5)
    client = doors(NodeFollower(system.url, job_id))
    wait_until(lambda: all(client.seqs.values()))
    if behind_dispatcher:
        system.gateway(2)
        wait_until(lambda: "gateway 2 is connected" in (system.directory / "dispatcher.log").read_text())
    assert first.terminate() < 1 + MARGIN_S
    system.gateway(2 if behind_dispatcher else None)
    assert system.events(job_id)[-1]["phase"] < 5, "or it was too late to lose anything"
    system.wait_for_end([job_id])
    seqs = list(range(1, len(system.events(job_id)) + 1))
    wait_until(lambda: client.seqs == {"source": seqs, "socket": seqs})
    assert {"transport": "socket", "status": 1001, "reason": "going_away"} in client.endings
    assert {"transport": "source", "again": True} in client.endings
    assert "Traceback" not in first.log.read_text()


@pytest.mark.parametrize("reads", [True, False])
def test_what_waits_for_a_client_is_sent_first(system, doors, reads):
    """Of 3 MB, which no connection holds. One that reads nothing does not delay the end."""
    gateway = system.gateway()
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)]
    stream = open_stream(system.settings.port, "/api/cto/stream?userId=7", *small[0])
    plain = websocket.create_connection(system.url.replace("http", "ws") + "/ws", timeout=20, sockopt=small)
    plain.send('{"type":"join","room":"user_7"}')
    assert '"joined"' in plain.recv()
    for number in range(100):
        told = replace(FIRST_EVENT, job_id=f"j{number}", details=Details(current_operation="x" * 30_000))
        system.client.publish("cto:room:user_7", encode(told))
    ends = threading.Thread(target=gateway.terminate)
    ends.start()
    wait_until(lambda: "draining" in gateway.log.read_text())
    if reads:
        body = []
        other = threading.Thread(target=lambda: body.append(read_all(stream)))
        other.start()
        events = 0
        while (frame := plain.recv_frame()).opcode == websocket.ABNF.OPCODE_TEXT:
            events += b'"worker_progress"' in frame.data
        other.join()
        assert (events, frame.data) == (100, b"\x03\xe9going_away")
        assert body[0].count(b"event: worker_progress") == 100
        assert body[0].endswith(b"\r\n0\r\n\r\n"), "by which an EventSource knows that it has all"
    begun_s = time.monotonic()
    ends.join()
    assert time.monotonic() - begun_s < 1 + MARGIN_S
    plain.shutdown()
    stream.close()


def open_stream(port, path, *option):
    connection = socket.socket()
    connection.setsockopt(*option)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert b"id: -" in connection.recv(4_096)
    return connection


def read_all(connection):
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def slow_request(port):
    """A request whose body is waited for."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(
        b"POST /api/cto/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    assert b"100 Continue" in connection.recv(1_000)
    return connection


def test_a_connection_that_is_used_again_finds_each_session(system):
    """Browsers send requests of all their pages on the connections they have."""
    system.dispatcher()
    for number in (1, 2):
        system.gateway(number)
    url = f"{system.url}/socket.io/?EIO=4&transport=polling"
    sids = {}
    while len(sids) < 2:
        sid = open_session(url)
        sids.setdefault(sid[0], sid)
    with requests.Session() as browser:
        for _ in range(3):
            assert browser.get(f"{system.url}/healthz", timeout=10).ok
            for sid in sids.values():
                assert browser.post(f"{url}&sid={sid}", data="3", timeout=10).ok


def open_session(url):
    return json.loads(requests.get(url, timeout=10).text[1:])["sid"]


@pytest.mark.parametrize("door", [WebSocketClient, EventStream])
def test_who_is_connected_when_a_gateway_stops_is_told_to_come_again(system, door):
    system.worker(CTO_PAPER_LATENCY_MS="300")
    gateway = system.gateway()
    job_id = system.submit(mode="prefunded", walletCount=50, buyAmount=0.5)
    clients = [
        WebSocketClient(system, "user_7")
        if door is WebSocketClient
        else EventStream(system, f"/api/cto/job/{job_id}/stream").reading()
        for _ in range(20)
    ]
    wait_until(lambda: all(client.events() for client in clients))
    assert gateway.terminate() < 5
    wait_until(lambda: all(client.has_ended() for client in clients))
    for client in clients:
        if door is WebSocketClient:
            assert client.status == 1001
            assert client.received("error")[-1]["code"] == "going_away"
        else:
            assert client.complete
        client.close()


def test_a_draining_gateway_does_not_wait_for_ever(system):
    gateway = system.gateway()
    stuck = slow_request(system.settings.port)
    assert 5 < gateway.terminate() <= 10
    stuck.close()

"""Gateways that are killed, stopped, or overloaded by clients."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress
from statistics import quantiles

import pytest
import requests
import websocket
from msgspec.structs import replace
from support.clients import EventStream, WebSocketClient
from support.processes import environment, free_port
from support.samples import FIRST_EVENT
from support.swarm import has_every_event
from support.system import System
from support.tokens import GUARDED, bearer, token
from support.waiting import wait_until
from support.watchers import NodeFollower, NodeWatcher, PythonWatcher, collect_sockets, leaves_sockets_behind

from cto_worker.domain.progress_event import Details, encode

STOCK = [(kind, transport) for kind in (NodeWatcher, PythonWatcher) for transport in ("websocket", "polling")]
MARGIN_S = 2.0  # added to promised times on a busy machine


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
def up(opened):
    """Run ``cto up`` with two gateways, until both serve: ``up(**settings)``."""

    def up(**settings):
        system = opened(System(environment(**settings), "--no-flower", "--gateways", "2")).ready()
        wait_until(lambda: all(f"gateway {number} is connected" in system.output() for number in (1, 2)))
        return system

    return up


def gateway_processes(system, number):
    """Return the process ids that a gateway of ``cto up`` has had, the latest last."""
    return [
        int(pid) for pid in re.findall(rf"gateway.{number} +\| .*serving on .*process (\d+)", system.output())
    ]


def has_ended(system, job_id):
    return system.events(job_id)[-1]["phase"] == 5


@contextmanager
def requesting(url, **headers):
    """Send REST requests one after another during the block. Yields the list of response times in seconds."""
    took_s, ends = [], threading.Event()

    def send():
        with requests.Session() as session:
            session.headers.update(headers)
            while not ends.wait(0.01):
                begun_s = time.monotonic()
                assert session.get(url, timeout=30).ok
                took_s.append(time.monotonic() - begun_s)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield took_s
    finally:
        ends.set()
        thread.join()


@pytest.mark.alone
def test_unauthenticated_clients_are_disconnected_and_delay_no_request(system, swarm_of):
    """1,100 sockets: 600 of one user, which is its limit, and 500 that never send a token."""
    system.worker(CTO_PAPER_LATENCY_MS="300")
    system.gateway(**GUARDED, CTO_MAX_USER_SOCKETS="600")
    jobs = [system.submit(mode="prefunded", walletCount=50, buyAmount=0.5) for _ in range(3)]
    owner, service = token("7"), token("bot", role="service")
    swarm = swarm_of(system.settings.port)
    healthy = swarm.add(500, "websocket", jobs[:1], token=owner)
    healthy += swarm.add(100, "polling", jobs[1:2], token=owner)
    status = f"{system.url}/api/cto/job/{jobs[2]}/status"
    with requesting(status, **bearer(service)) as took_s:
        wait_until(lambda: all(client.resumed for client in healthy))
        took_s.clear()
        silent = swarm.add(400, "websocket", silent=True) + swarm.add(100, "polling", silent=True)
        too_many = swarm.add(10, "websocket", token=owner) + swarm.add(10, "polling", token=owner)
        invalid = swarm.add(10, "websocket", token="garbage") + swarm.add(10, "polling", token="garbage")
        wait_until(lambda: all(client.closed_s for client in silent), 30)
        assert len(took_s) > 100
        p99_s = quantiles(took_s, n=100, method="inclusive")[-1]
    for client in silent:
        assert 3 < client.closed_s - client.opened_s < 5 + MARGIN_S
    assert p99_s <= 0.5
    assert {tuple(client.refusals) for client in too_many} == {("too_many_connections",)}
    assert {tuple(client.refusals) for client in invalid} == {("invalid_token",)}
    (other,) = swarm.add(1, "websocket", token=token("another"))
    wait_until(lambda: other.connections)
    system.wait_for_end(jobs)
    counts = {job_id: len(system.events(job_id)) for job_id in jobs}
    wait_until(lambda: all(has_every_event(client, counts) for client in healthy))
    assert {client.connections for client in healthy} == {1}, "no client was disconnected"


def test_a_connection_that_sends_no_request_is_closed(system):
    """By a gateway behind a dispatcher, and by one with its own port."""
    own_port = free_port()
    system.dispatcher()
    system.gateway(1)
    system.gateway(CTO_PORT=str(own_port))
    begun_s = time.monotonic()
    ports = [system.settings.port] * 50 + [own_port] * 50
    silent = [socket.create_connection(("127.0.0.1", port)) for port in ports]
    for connection in (silent[0], silent[-1]):
        connection.sendall(b"GET /healthz")  # without the end of the line
    for connection in silent:
        connection.settimeout(15)
        with suppress(ConnectionResetError):  # the unread part of a line causes a reset
            assert connection.recv(100) == b""
        connection.close()
    assert 4 < time.monotonic() - begun_s < 5 + MARGIN_S


def test_rest_answers_above_the_connection_limit(system, swarm_of):
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
def test_2000_clients_reconnect_and_resume_at_once(system, swarm_of):
    """2,000 clients lose their gateway, and each resumes its job on the next, without a time-out."""
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
    with requesting(f"{system.url}/api/cto/job/{jobs[0]}/status") as took_s:
        wait_until(lambda: all(client.resumed for client in clients), 60)
    print(f"2,000 reconnected within {time.monotonic() - begun_s:.1f} s, REST {max(took_s):.2f} s at most")  # noqa: T201
    counts = {job_id: len(system.events(job_id)) for job_id in jobs}
    assert all(has_every_event(client, counts) for client in clients)
    assert not [client.wrong for client in clients if client.wrong]
    assert max(client.connections for client in clients) == 2, "no client was disconnected again"


@leaves_sockets_behind
@pytest.mark.timeout(240)
@pytest.mark.parametrize("transport", ["ws", "sse"])
def test_600_clients_reconnect_at_once_over_websocket_and_sse(system, swarm_of, transport):
    """REST requests are answered while 600 clients receive all their events."""
    system.worker(CTO_PAPER_LATENCY_MS="0")
    first = system.gateway()
    jobs = [system.submit(mode="prefunded", walletCount=10, buyAmount=0.5) for _ in range(10)]
    system.wait_for_end(jobs)
    running = system.submit(mode="prefunded", walletCount=1, buyAmount=0.5)
    system.wait_for_end([running])
    counts = {job_id: len(system.events(job_id)) for job_id in jobs}
    swarm = swarm_of(system.settings.port)
    clients = [client for job_id in jobs for client in swarm.add(60, transport, [job_id])]
    wait_until(lambda: all(has_every_event(client, counts) for client in clients))
    for client in clients:
        client.seqs = {job_id: [] for job_id in client.seqs}
    first.kill()
    system.gateway()
    with requesting(f"{system.url}/api/cto/job/{running}/status") as took_s:
        wait_until(lambda: all(has_every_event(client, counts) for client in clients))
        assert len(took_s) >= 5
    assert all(client.connections >= 2 for client in clients)


@pytest.mark.timeout(240)
def test_clients_of_a_killed_gateway_receive_every_event_once(up, swarm_of, watch):
    """200 clients and four stock clients on two gateways: each receives every event, once and in order."""
    system = up(CTO_PAPER_LATENCY_MS="400", CTO_OPERATION_PARALLELISM="1")  # for long operations
    jobs = [system.submit(walletCount=50, buyAmount=0.5, slippageBps=10_000) for _ in range(10)]
    swarm = swarm_of(system.settings.port)
    clients = [
        client
        for at in range(10)
        for transport in ("websocket", "polling")
        for client in swarm.add(10, transport, [jobs[at], jobs[at - 1]])
    ]
    stock = [watch(kind, system.url, transport, jobs[:2]) for kind, transport in STOCK]
    every_client = clients + stock
    wait_until(lambda: all(len(client.resumed) == 2 for client in every_client))
    (killed,) = gateway_processes(system, 1)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: all(len(client.resumed) == 2 for client in every_client) and moved(clients))
    assert not any(has_ended(system, job_id) for job_id in jobs), (
        "the jobs must still run, so that events can be lost"
    )
    wait_until(lambda: all(has_ended(system, job_id) for job_id in jobs))
    counts = {job_id: len(system.events(job_id)) for job_id in jobs}
    wait_until(lambda: all(has_every_event(client, counts) for client in every_client))
    moved_count = sum(client.connections == 2 for client in clients)
    assert 50 <= moved_count <= 150, "each gateway had a part of the clients"
    assert {client.connections for client in clients} == {1, 2}
    wait_until(lambda: len(gateway_processes(system, 1)) == 2)


def moved(clients):
    return sum(client.connections == 2 for client in clients) >= 50


def test_clients_stay_connected_when_the_dispatcher_is_killed(up, swarm_of):
    """Connected clients are not affected. New clients reach the next dispatcher, which knows the sessions."""
    system = up(CTO_PAPER_LATENCY_MS="150", CTO_OPERATION_PARALLELISM="1")
    job_id = system.submit(walletCount=40, buyAmount=0.4, slippageBps=10_000)
    swarm = swarm_of(system.settings.port)
    clients = swarm.add(20, "websocket", [job_id])
    wait_until(lambda: all(client.resumed for client in clients))
    dispatchers = dispatcher_processes(system)
    assert len(dispatchers) == 1
    os.kill(dispatchers[0], signal.SIGKILL)
    wait_until(lambda: all(system.output().count(f"gateway {number} is connected") == 2 for number in (1, 2)))
    late = swarm.add(20, "polling", [job_id])
    system.ended(job_id)
    counts = {job_id: len(system.events(job_id))}
    wait_until(lambda: all(has_every_event(client, counts) for client in clients + late))
    assert {client.connections for client in clients + late} == {1}
    assert {client.sid[0] for client in late} == {"1", "2"}


def dispatcher_processes(system):
    return [int(pid) for pid in re.findall(r"dispatcher +\| .*handing over .*process (\d+)", system.output())]


@leaves_sockets_behind
def test_a_stopping_gateway_drains(system, swarm_of, watch):
    """Its clients reconnect to the other gateway, and it completes its requests."""
    system.worker(CTO_PAPER_LATENCY_MS="300")
    system.dispatcher()
    first = system.gateway(1)
    job_id = system.submit(mode="prefunded", walletCount=50, buyAmount=0.5)
    swarm = swarm_of(system.settings.port)
    clients = swarm.add(20, "websocket", [job_id]) + swarm.add(20, "polling", [job_id])
    stock = [watch(kind, system.url, transport, [job_id]) for kind, transport in STOCK]
    every_client = clients + stock
    wait_until(lambda: all(client.resumed for client in every_client))
    in_flight, answered = slow_request(system.settings.port), []
    system.gateway(2)
    wait_until(lambda: "gateway 2 is connected" in (system.directory / "dispatcher.log").read_text())
    subscriber = threading.Thread(target=lambda: answered.append(in_flight.recv(1_000)))
    subscriber.start()
    ends = threading.Thread(target=lambda: answered.append(first.terminate()))
    ends.start()
    wait_until(lambda: "waiting for" in first.log.read_text())
    wait_until(lambda: sum(client.connections == 2 for client in every_client) >= 40)
    in_flight.sendall(b"{}")
    ends.join()
    subscriber.join()
    in_flight.close()
    assert answered[0].startswith(b"HTTP/1.1 400 "), "the request in flight"
    assert answered[1] <= 10
    system.wait_for_end([job_id])
    counts = {job_id: len(system.events(job_id))}
    wait_until(lambda: all(has_every_event(client, counts) for client in every_client))
    assert {client.connections for client in every_client} == {2}


def test_a_stopping_gateway_answers_the_connections_from_the_dispatcher(system):
    """Two gateways are frozen during many requests. One gets SIGTERM, and answers its requests first."""
    dispatcher = system.dispatcher()
    gateways = [system.gateway(number) for number in (1, 2)]
    wait_until(
        lambda: all(f"gateway {number} is connected" in dispatcher.log.read_text() for number in (1, 2))
    )
    for gateway in gateways:
        gateway.signal(signal.SIGSTOP)
    connections = [ask_for_health(system.settings.port) for _ in range(200)]
    gateways[0].signal(signal.SIGTERM)
    for gateway in gateways:
        gateway.signal(signal.SIGCONT)
    connections += [ask_for_health(system.settings.port) for _ in range(200)]
    answers = [answer_to(connection) for connection in connections]
    assert set(answers) == {b"HTTP/1.1 200 OK"}
    gateways[0].process.wait(10)


def test_a_stopping_gateway_answers_accepted_requests_and_refuses_new_connections(system):
    """No accepted connection stays unanswered, and the proxy finds another gateway at once."""
    gateway = system.gateway()
    in_flight = slow_request(system.settings.port)
    gateway.signal(signal.SIGSTOP)
    connections = [ask_for_health(system.settings.port) for _ in range(200)]
    gateway.signal(signal.SIGTERM)
    gateway.signal(signal.SIGCONT)
    assert {answer_to(connection) for connection in connections} == {b"HTTP/1.1 200 OK"}
    wait_until(lambda: "waiting for" in gateway.log.read_text())
    with pytest.raises(ConnectionRefusedError):
        ask_for_health(system.settings.port)
    in_flight.sendall(b"{}")
    answered = in_flight.recv(1_000)
    in_flight.close()
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert gateway.process.wait(10) == 0


def ask_for_health(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return connection


def answer_to(connection):
    """Return the first line of the response; ``None`` or nothing if the connection was closed."""
    with connection, suppress(ConnectionResetError):
        return connection.recv(1_000).partition(b"\r\n")[0]


@pytest.mark.parametrize("behind_dispatcher", [False, True], ids=["own port", "behind a dispatcher"])
def test_native_sse_and_websocket_clients_reconnect(system, opened, behind_dispatcher):
    system.worker(CTO_PAPER_LATENCY_MS="300")
    if behind_dispatcher:
        system.dispatcher()
    first = system.gateway(1 if behind_dispatcher else None)
    job_id = system.submit(mode="prefunded", walletCount=50, buyAmount=0.5)
    client = opened(NodeFollower(system.url, job_id))
    wait_until(lambda: all(client.seqs.values()))
    if behind_dispatcher:
        system.gateway(2)
        wait_until(lambda: "gateway 2 is connected" in (system.directory / "dispatcher.log").read_text())
    assert first.terminate() < 1 + MARGIN_S
    system.gateway(2 if behind_dispatcher else None)
    assert system.events(job_id)[-1]["phase"] < 5, "the job must still run, so that events can be lost"
    system.wait_for_end([job_id])
    seqs = list(range(1, len(system.events(job_id)) + 1))
    wait_until(lambda: client.seqs == {"source": seqs, "socket": seqs})
    assert {"transport": "socket", "status": 1001, "reason": "going_away"} in client.endings
    assert {"transport": "source", "again": True} in client.endings
    assert "Traceback" not in first.log.read_text()


@pytest.mark.parametrize("reads", [True, False])
def test_a_stopping_gateway_sends_the_send_queues_first(system, opened, reads):
    """The queues contain 3 MB, more than socket buffers. A client that does not read is not waited for."""
    gateway = system.gateway()
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)]
    stream = open_stream(system.settings.port, "/api/cto/stream?userId=7", *small[0])
    ws = websocket.create_connection(system.url.replace("http", "ws") + "/ws", timeout=20, sockopt=small)
    ws.send('{"type":"join","room":"user_7"}')
    assert '"joined"' in ws.recv()
    for number in range(100):
        event = replace(FIRST_EVENT, job_id=f"j{number}", details=Details(current_operation="x" * 30_000))
        system.client.publish("cto:room:user_7", encode(event))
    ends = threading.Thread(target=gateway.terminate)
    ends.start()
    wait_until(lambda: "draining" in gateway.log.read_text())
    if reads:
        body = []
        other = threading.Thread(target=lambda: body.append(read_all(stream)))
        other.start()
        events = 0
        while (frame := ws.recv_frame()).opcode == websocket.ABNF.OPCODE_TEXT:
            events += b'"worker_progress"' in frame.data
        other.join()
        assert (events, frame.data) == (100, b"\x03\xe9going_away")
        assert body[0].count(b"event: worker_progress") == 100
        assert body[0].endswith(b"\r\n0\r\n\r\n"), "the last chunk shows that the response is complete"
    begun_s = time.monotonic()
    ends.join()
    assert time.monotonic() - begun_s < 1 + MARGIN_S
    ws.shutdown()
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
    """Return the connection of a request whose body is missing."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(
        b"POST /api/cto/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    assert b"100 Continue" in connection.recv(1_000)
    return connection


def test_requests_on_one_connection_reach_the_sessions_of_both_gateways(system):
    """Browsers share their connections between all pages."""
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


@pytest.mark.parametrize("client_type", [WebSocketClient, EventStream])
def test_a_stopping_gateway_asks_its_clients_to_reconnect(system, client_type):
    system.worker(CTO_PAPER_LATENCY_MS="300")
    gateway = system.gateway()
    job_id = system.submit(mode="prefunded", walletCount=50, buyAmount=0.5)
    clients = [
        WebSocketClient(system, "user_7")
        if client_type is WebSocketClient
        else EventStream(system, f"/api/cto/job/{job_id}/stream").reading()
        for _ in range(20)
    ]
    wait_until(lambda: all(client.events() for client in clients))
    assert gateway.terminate() < 5
    wait_until(lambda: all(client.has_ended() for client in clients))
    for client in clients:
        if client_type is WebSocketClient:
            assert client.status == 1001
            assert client.received("error")[-1]["code"] == "going_away"
        else:
            assert client.complete
        client.close()


def test_draining_has_a_time_limit(system):
    gateway = system.gateway()
    stuck = slow_request(system.settings.port)
    assert 5 < gateway.terminate() <= 10
    stuck.close()

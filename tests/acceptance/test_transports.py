"""Every transport delivers the same events: Socket.IO, Server-Sent Events, ``/ws`` and REST."""

from __future__ import annotations

import os
import signal
import socket
import time
from dataclasses import replace

import pytest
import requests
import socketio
import websocket
from support.clients import WebSocketClient, wait_until_left
from support.samples import FIRST_EVENT
from support.waiting import wait_until

from cto_worker.domain.events import Details, encode

CLIENTS = [(kind, transport) for kind in ("node", "python") for transport in ("websocket", "polling")]


def test_every_transport_delivers_the_events_of_the_journal(
    system, connect_client, stream, open_websocket, user
):
    users = [f"{user}-{number}" for number in range(3)]
    rooms = [f"user_{name}" for name in users]
    clients = [
        connect_client("node", "websocket", *rooms),
        connect_client("python", "websocket", "admin_launches"),
        connect_client("node", "polling", *rooms),
        connect_client("python", "polling", *rooms),
        open_websocket(*rooms),
        open_websocket("admin_launches", rooms[0]),
    ]
    streams = {name: stream(f"/api/cto/stream?userId={name}") for name in users}
    jobs = {
        system.submit(userId=users[number % 3], mode=mode, walletCount=wallets, buyAmount=amount): users[
            number % 3
        ]
        for number, (mode, wallets, amount) in enumerate(
            [("standard", 3, 0.05), ("prefunded", 40, 0.4), ("prefunded", 2, 5_000), ("standard", 1, 0.01)]
            * 3
        )
    }
    of_jobs = {job_id: stream(f"/api/cto/job/{job_id}/stream?after=0") for job_id in jobs}
    for client in clients:
        client.wait_for(lambda client: client.ended() >= set(jobs), timeout_s=90)
    statuses = set()
    for job_id, name in jobs.items():
        events = system.events(job_id)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert [client.events(job_id) for client in clients] == [events] * len(clients)
        stream_of_user = streams[name].wait_for(lambda client, job_id=job_id: job_id in client.ended())
        assert stream_of_user.events(job_id) == events
        assert of_jobs[job_id].wait_for(lambda client: client.has_ended()).events() == events
        statuses.add(events[-1]["status"])
    assert statuses == {"completed", "failed"}
    for name, client in streams.items():
        assert {event["userId"] for event in client.events()} == {name}


@pytest.mark.parametrize(("kind", "transport"), CLIENTS)
def test_a_client_receives_every_event_of_its_room(system, connect_client, user, kind, transport):
    client = connect_client(kind, transport, f"user_{user}")
    assert client.answers() == {f"user_{user}": {"success": True, "room": f"user_{user}"}}
    job_id = system.submit(userId=user, mode="standard")
    client.wait_for(lambda client: job_id in client.ended())
    assert client.events(job_id) == system.events(job_id)
    assert [event["seq"] for event in client.events()] == list(range(1, len(client.events()) + 1))


def test_every_client_receives_the_events_of_fifty_jobs(system, connect_client, user):
    everything = [connect_client(kind, transport, f"user_{user}") for kind, transport in CLIENTS]
    admin = connect_client("node", "websocket", "admin_launches", f"user_{user}")
    jobs = [system.submit(userId=user, walletCount=40, buyAmount=0.4)]
    of_job = connect_client("python", "websocket", f"job_{jobs[0]}")
    modes = ["standard", "prefunded"]
    jobs += [system.submit(userId=user, mode=modes[n % 2], buyAmount=0.01) for n in range(48)]
    jobs.append(system.submit(userId=user, buyAmount=5_000))
    for client in [*everything, admin]:
        client.wait_for(lambda client: client.ended() >= set(jobs), timeout_s=120)
    of_job.wait_for(lambda client: jobs[0] in client.ended())
    for job_id in jobs:
        events = system.events(job_id)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        for client in [*everything, admin]:
            assert client.events(job_id) == events
    assert {event["jobId"] for event in of_job.events()} == {jobs[0]}
    assert of_job.events() == system.events(jobs[0])[-len(of_job.events()) :], (
        "from its snapshot on, without a gap"
    )
    stats = system.get("/api/cto/jobs/stats", jobIds=",".join(jobs))
    assert (stats["completed"], stats["failed"], stats["notFound"]) == (49, 1, 0)


def test_rest_returns_the_same_events(system, connect_client, user):
    client = connect_client("node", "websocket", f"user_{user}")
    job_id = system.submit(userId=user)
    page = system.ended(job_id)
    client.wait_for(lambda client: job_id in client.ended())
    assert page["progressEvents"] == client.events(job_id)
    assert page["latestProgress"] == client.events(job_id)[-1]
    assert page["operationResult"]["successfulBuys"] == 2
    assert page["operationResult"]["totalSpent"] == page["latestProgress"]["details"]["totalSpent"]


@pytest.mark.parametrize("kind", ["node", "python"])
def test_a_late_client_starts_with_the_latest_event(system, connect_client, user, kind):
    early = connect_client("python", "websocket", f"user_{user}")
    late = connect_client(
        kind, "websocket", f"user_{user}-other"
    )  # connected before the job, so that only the join is late
    job_id = system.submit(userId=user, walletCount=30, buyAmount=0.3)
    early.wait_for(lambda client: len(client.events(job_id)) >= 5)
    for room in (f"user_{user}", "admin_launches"):
        late.send("join_room", room)
    late.wait_for(lambda client: job_id in client.ended())
    seqs = [event["seq"] for event in late.events(job_id)]
    assert seqs[0] > 1
    assert seqs == list(range(seqs[0], system.events(job_id)[-1]["seq"] + 1))


def test_the_room_of_the_socket_user_id_receives_the_job(system, connect_client, user):
    client = connect_client("python", "websocket", f"user_{user}-web")
    job_id = system.submit(userId=user, socketUserId=f"{user}-web")
    client.wait_for(lambda client: job_id in client.ended())
    assert client.events(job_id) == system.events(job_id)


def test_another_user_receives_no_event(system, connect_client, user):
    other = connect_client("python", "websocket", f"user_{user}-other")
    owner = connect_client("python", "websocket", f"user_{user}")
    job_id = system.submit(userId=user)
    owner.wait_for(lambda client: job_id in client.ended())
    assert other.events() == []


def flood(system, user):
    """Publish more than socket buffers and a send queue hold, of jobs whose events cannot be merged."""
    bulk = Details(current_operation="x" * 60_000)
    with system.store() as store:
        for number in range(300):
            event = replace(FIRST_EVENT, job_id=f"{user}-{number}", user_id=user, details=bulk)
            store.publish(f"cto:room:user_{user}", encode(event))
            time.sleep(0.002)


def test_a_stream_client_that_does_not_read_is_disconnected(system, stream, slow_stream, user):
    reader = stream(f"/api/cto/stream?userId={user}")
    slow_stream(f"/api/cto/stream?userId={user}-slow")
    wait_until(lambda: system.is_followed(f"user_{user}-slow"))
    drops = system.output().count("dropped a client")
    flood(system, user)
    flood(system, f"{user}-slow")
    wait_until_left(system, f"user_{user}-slow", timeout_s=8)
    assert system.output().count("dropped a client") == drops + 1
    reader.wait_for(lambda client: len(client.events()) == 300)


def test_a_websocket_client_that_does_not_read_is_disconnected(system, user):
    address = system.url.replace("http", "ws", 1) + "/ws"
    slow = websocket.create_connection(
        address, timeout=30, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)]
    )
    slow.send(f'{{"type":"join","room":"user_{user}"}}')
    wait_until(lambda: system.is_followed(f"user_{user}"))
    drops = system.output().count("dropped a client")
    flood(system, user)
    wait_until_left(system, f"user_{user}", timeout_s=8)
    assert system.output().count("dropped a client") == drops + 1
    slow.shutdown()


def test_a_head_request_leaves_no_subscriber(system, user):
    assert requests.head(f"{system.url}/api/cto/stream?userId={user}", timeout=10).status_code == 200
    wait_until_left(system, f"user_{user}", timeout_s=5)


def test_a_closed_stream_leaves_no_subscriber(system, stream, user):
    client = stream(f"/api/cto/stream?userId={user}")
    wait_until(lambda: system.is_followed(f"user_{user}"))
    client.close()
    wait_until_left(system, f"user_{user}")


def test_a_closed_websocket_leaves_no_subscriber(system, open_websocket, user):
    polite, rude = open_websocket(f"user_{user}-polite"), open_websocket(f"user_{user}-rude")
    polite.socket.send_close(1000)
    polite.wait_for(lambda client: client.received("end"))
    assert polite.status == 1000
    rude.socket.sock.shutdown(socket.SHUT_RDWR)
    wait_until_left(system, f"user_{user}-polite", timeout_s=5)
    wait_until_left(system, f"user_{user}-rude", timeout_s=5)


def test_every_transport_reports_an_unavailable_store(launch, opened):
    system = launch("--no-flower").ready()
    job_id = system.submit()
    client = opened(websocket.create_connection(system.url.replace("http", "ws", 1) + "/ws", timeout=30))
    with system.store() as store:
        pid = store.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for path in (f"/api/cto/job/{job_id}/stream", "/api/cto/stream?userId=7"):
            answer = requests.get(system.url + path, timeout=30)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
            assert answer.headers["Retry-After"]
        client.send('{"type":"join","room":"user_7"}')
        assert "store_unavailable" in client.recv()
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_connection_joins_a_limited_number_of_rooms(launch):
    system = launch("--no-flower", CTO_MAX_ROOMS="2", CTO_PAPER_LATENCY_MS="0").ready()
    ended = system.submit()
    system.ended(ended)
    client = socketio.Client()
    client.connect(system.url, transports=["websocket"])
    by_ws = WebSocketClient(system)
    for number in range(10):  # the room of an ended job does not count
        assert client.call("join_room", f"job_{ended}", timeout=30)["success"]
        by_ws.send(type="join", room=f"job_{ended}", id=number)
        by_ws.send(type="resume", jobId=ended, after=0)
    for room in ("user_1", "user_2"):
        assert client.call("join_room", room, timeout=30) == {"success": True, "room": room}
        by_ws.send(type="join", room=room)
    by_ws.wait_for(lambda by_ws: len(by_ws.received("joined")) == 12 and len(by_ws.received("resumed")) == 10)
    assert all(answer["events"][-1]["phase"] == 5 for answer in by_ws.received("resumed"))

    refusal = client.call("join_room", "user_3", timeout=30)
    by_ws.send(type="join", room="user_3")
    by_ws.wait_for(lambda by_ws: by_ws.received("error"))
    assert (refusal["success"], refusal["error"]["code"]) == (False, "too_many_rooms")
    assert by_ws.received("error")[0]["code"] == "too_many_rooms"
    assert "CTO_MAX_ROOMS" in by_ws.received("error")[0]["message"]
    assert client.call("leave_room", "user_1", timeout=30)["success"]
    assert client.call("join_room", "user_3", timeout=30)["success"]
    assert client.call("resume", {"jobId": ended, "after": 0}, timeout=30)["success"]
    client.disconnect()
    client.wait()
    by_ws.close()

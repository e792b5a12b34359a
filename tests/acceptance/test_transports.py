"""Every transport delivers the same events: Socket.IO, Server-Sent Events, ``/ws`` and REST."""

from __future__ import annotations

import socket
import time

import pytest
import requests
import socketio
import websocket
from msgspec.structs import replace
from support.cases import check_all
from support.clients import EventStream, PythonClient, WebSocketClient, wait_until_left
from support.samples import FIRST_EVENT
from support.waiting import wait_until

from cto_worker.domain.progress_event import Details, encode

# Mode, wallets and amount of each job. The third fails: its user does not have 5,000 SOL.
LONG = ("prefunded", 40, 0.4)
JOBS = [("standard", 3, 0.05), LONG, ("prefunded", 2, 5_000), ("standard", 1, 0.01)] * 3
JOBS += [("standard", 2, 0.01), ("prefunded", 2, 0.01)] * 19


@pytest.mark.timeout(300)
def test_every_transport_delivers_the_events_of_fifty_jobs(
    system, connect_client, stream, open_websocket, user
):
    """Each client receives every event of the journal, once and in order."""
    users = [f"{user}-{number}" for number in range(3)]
    rooms = [f"user_{name}" for name in users]
    clients = [
        connect_client("node", "websocket", *rooms),
        connect_client("python", "websocket", "admin_launches"),
        connect_client("node", "polling", *rooms),
        connect_client("python", "polling", *rooms),
        connect_client("node", "websocket", "admin_launches", *rooms),  # each event once, from two rooms
        open_websocket(*rooms),
        open_websocket("admin_launches", rooms[0]),
    ]
    assert clients[0].answers() == {room: {"success": True, "room": room} for room in rooms}
    streams = {name: stream(f"/api/cto/stream?userId={name}") for name in users}

    def submit(number, mode, wallets, amount):
        return system.submit(userId=users[number % 3], mode=mode, walletCount=wallets, buyAmount=amount)

    first = submit(0, *LONG)
    in_job_room = connect_client("python", "websocket", f"job_{first}")
    job_ids = [first, *(submit(number, *job) for number, job in enumerate(JOBS[1:], 1))]
    of_jobs = {job_id: stream(f"/api/cto/job/{job_id}/stream?after=0") for job_id in job_ids[:12]}
    for client in clients:
        client.wait_for(lambda client: client.ended() >= set(job_ids), timeout_s=120)
    journal = {job_id: system.events(job_id) for job_id in job_ids}
    for number, (job_id, events) in enumerate(journal.items()):
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert [client.events(job_id) for client in clients] == [events] * len(clients)
        of_user = streams[users[number % 3]].wait_for(lambda client, job_id=job_id: job_id in client.ended())
        assert of_user.events(job_id) == events
        assert_page_shows(system.get(f"/api/cto/job/{job_id}/status"), events)
    for job_id, client in of_jobs.items():
        assert client.wait_for(lambda client: client.has_ended()).events() == journal[job_id]
    for name, client in streams.items():
        assert {event["userId"] for event in client.events()} == {name}
    in_job_room.wait_for(lambda client: first in client.ended())
    assert in_job_room.events() == journal[first][-len(in_job_room.events()) :], "from its snapshot on"
    stats = system.get("/api/cto/jobs/stats", jobIds=",".join(job_ids))
    assert (stats["completed"], stats["failed"], stats["notFound"]) == (47, 3, 0)


def assert_page_shows(page, events):
    """Check that a status page has these events and their totals."""
    details, result = events[-1]["details"], page["operationResult"]
    assert page["progressEvents"] == events
    assert page["latestProgress"] == events[-1]
    assert (result["successfulBuys"], result["totalSpent"]) == (
        details["successfulBuys"],
        details["totalSpent"],
    )


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
    wait_until_left(system, f"user_{user}-slow")
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
    wait_until_left(system, f"user_{user}")
    assert system.output().count("dropped a client") == drops + 1
    slow.shutdown()


def closed_stream(system, room):
    return EventStream(system, f"/api/cto/stream?userId={room.removeprefix('user_')}").close


def closed_websocket(system, room):
    client = WebSocketClient(system, room)

    def close():
        client.socket.send_close(1000)
        client.wait_for(lambda client: client.has_ended())
        assert client.status == 1000
        client.close()

    return close


def reset_websocket(system, room):
    return WebSocketClient(system, room).close


def reset_socketio(system, room):
    """A Socket.IO client over WebSocket. Its close status is tested in test_engineio.py."""
    address = f"{system.url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"
    client = websocket.create_connection(address, timeout=30)
    client.send("40")
    client.send(f'420["join_room","{room}"]')
    return lambda: (client.sock.shutdown(socket.SHUT_RDWR), client.shutdown())


def ended_polling(system, room):
    client = PythonClient(system.url, "polling", [room], reconnection=False)
    return client.close


def test_an_ended_connection_leaves_no_subscriber(system, user):
    """A HEAD request of a stream, which has no body, must not leave a subscriber either."""

    def check(connect):
        room = f"user_{user}-{connect.__name__}"
        end = connect(system, room)
        wait_until(lambda: system.is_followed(room))
        end()
        wait_until_left(system, room)

    ways = [closed_stream, closed_websocket, reset_websocket, reset_socketio, ended_polling]
    check_all([(connect.__name__, (connect,)) for connect in ways], check)
    assert requests.head(f"{system.url}/api/cto/stream?userId={user}", timeout=10).status_code == 200
    wait_until_left(system, f"user_{user}")


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

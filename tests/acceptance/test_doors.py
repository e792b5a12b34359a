"""Every door tells the same: Socket.IO, Server-Sent Events, the plain WebSocket, REST."""

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
from support.clients import WebSocketClient
from support.samples import FIRST_EVENT
from support.waiting import assert_stays, wait_until

from cto_worker.domain.events import Details, encode
from cto_worker.store import keys


def running(system, user, **changes):
    """A job that takes about two seconds."""
    return system.submit(userId=user, walletCount=40, buyAmount=0.4, **changes)


def is_left(system, room, timeout_s=25):
    wait_until(lambda: not system.is_followed(room), timeout_s=timeout_s)


def error(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def test_every_door_tells_the_same_sequences(system, connect_client, stream, plain_socket, user):
    users = [f"{user}-{number}" for number in range(3)]
    rooms = [f"user_{name}" for name in users]
    doors = [
        connect_client("node", "websocket", *rooms),
        connect_client("python", "websocket", "admin_launches"),
        connect_client("node", "polling", *rooms),
        connect_client("python", "polling", *rooms),
        plain_socket(*rooms),
        plain_socket("admin_launches", rooms[0]),
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
    for door in doors:
        door.wait_for(lambda client: client.ended() >= set(jobs), timeout_s=90)
    statuses = set()
    for job_id, name in jobs.items():
        told = system.events(job_id)
        assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
        assert [door.events(job_id) for door in doors] == [told] * len(doors)
        assert (
            streams[name].wait_for(lambda client, job_id=job_id: job_id in client.ended()).events(job_id)
            == told
        )
        assert of_jobs[job_id].wait_for(lambda client: client.has_ended()).events() == told
        statuses.add(told[-1]["status"])
    assert statuses == {"completed", "failed"}
    for name, client in streams.items():
        assert {event["userId"] for event in client.events()} == {name}


def test_the_stream_of_a_job_begins_where_things_stand_and_ends_with_the_job(system, stream, user):
    job_id = running(system, user)
    wait_until(lambda: len(system.events(job_id)) > 5)
    client = stream(f"/api/cto/job/{job_id}/stream").wait_for(lambda client: client.has_ended())
    seqs = [event["seq"] for event in client.events()]
    assert seqs[0] > 1
    assert client.events() == system.events(job_id)[-len(seqs) :]
    assert [line["id"] for line in client.lines[:-1]] == [str(seq) for seq in seqs]
    is_left(system, f"job_{job_id}")
    late = stream(f"/api/cto/job/{job_id}/stream").wait_for(lambda client: client.has_ended())
    assert late.events() == system.events(job_id)[-1:]


def ended(events):
    return bool(events) and events[-1]["status"] in {"completed", "failed"}


def test_a_stream_resumed_in_the_middle_has_no_hole_and_no_repeat(system, stream, user):
    job_id = running(system, user)
    path, events, last_event_id = f"/api/cto/job/{job_id}/stream", [], "0"
    while not ended(events):
        client = stream(path, last_event_id).wait_for(
            lambda client: len(client.events()) >= 5 or client.has_ended()
        )
        client.close()
        events += client.events()
        last_event_id = client.last_event_id
        assert last_event_id == str(events[-1]["seq"])
        if not ended(events):  # and events happen meanwhile
            told = len(events)
            wait_until(lambda told=told: len(system.events(job_id)) > told)
    assert events == system.events(job_id)
    for last in (len(events), len(events) + 5):
        answer = requests.get(system.url + path, headers={"Last-Event-ID": str(last)}, timeout=10)
        assert (answer.status_code, answer.content) == (204, b""), "an EventSource comes again after all else"


def test_a_users_stream_is_resumed_over_all_its_jobs(system, stream, user):
    path = f"/api/cto/stream?userId={user}"
    before = system.submit(userId=user)
    system.ended(before)
    first = stream(path)
    wait_until(lambda: first.last_event_id)
    jobs = [running(system, user) for _ in range(3)]
    first.wait_for(lambda client: all(len(client.events(job_id)) >= 5 for job_id in jobs)).close()
    assert {part.partition(":")[0] for part in first.last_event_id.split(",")} == set(jobs)
    jobs += [system.submit(userId=user), system.submit(userId=user, buyAmount=5_000)]
    for job_id in jobs:
        system.ended(job_id)  # all while nobody looks, two of them from the first event to the last
    second = stream(path, first.last_event_id).wait_for(lambda client: client.ended() >= set(jobs))
    jobs.append(system.submit(userId=user))
    second.wait_for(lambda client: jobs[-1] in client.ended()).close()
    for job_id in jobs:
        assert first.events(job_id) + second.events(job_id) == system.events(job_id)
    assert first.events(before) + second.events(before) == []
    third = stream(path, second.last_event_id)
    jobs.append(system.submit(userId=user))
    third.wait_for(lambda client: jobs[-1] in client.ended())
    assert third.events() == system.events(jobs[-1])


def test_the_first_job_of_a_user_is_not_missed_either(system, stream, user):
    first = stream(f"/api/cto/stream?userId={user}")
    wait_until(lambda: first.last_event_id == "-")
    first.close()
    job_id = system.submit(userId=user)
    system.ended(job_id)
    second = stream(f"/api/cto/stream?userId={user}", "-")
    assert second.wait_for(lambda client: job_id in client.ended()).events() == system.events(job_id)


def test_a_position_shows_nobody_elses_job(system, stream, user):
    foreign = system.submit(userId=f"{user}-other")
    system.ended(foreign)
    client = stream(f"/api/cto/stream?userId={user}", f"{foreign}:1")
    job_id = system.submit(userId=user)
    client.wait_for(lambda client: job_id in client.ended())
    assert {event["jobId"] for event in client.events()} == {job_id}


def test_a_gap_is_told_and_the_stream_goes_on_from_there(system, stream, plain_socket, user):
    job_id = system.submit(userId=user)
    system.ended(job_id)
    told = system.events(job_id)
    with system.store() as store:
        store.xtrim(keys.events(job_id), minid="4-0", approximate=False)
    client = stream(f"/api/cto/job/{job_id}/stream", "1").wait_for(lambda client: client.has_ended())
    assert client.lines[0] == {"gap": {"jobId": job_id, "oldestSeq": 4}, "id": "1"}
    assert client.events() == told[3:]
    client = stream(f"/api/cto/stream?userId={user}", f"{job_id}:2")
    client.wait_for(lambda client: job_id in client.ended())
    assert client.lines[0]["gap"] == {"jobId": job_id, "oldestSeq": 4}
    assert client.events() == told[3:]
    assert (
        "gap"
        not in stream(f"/api/cto/job/{job_id}/stream", "3").wait_for(lambda client: client.lines).lines[0]
    )
    asker = plain_socket()
    asker.send(type="resume", jobId=job_id, after=2, id=9)
    refused = asker.wait_for(lambda client: client.received("error")).received("error")[0]
    assert (refused["code"], refused["oldestSeq"], refused["id"]) == ("gap", 4, 9)


def test_an_empty_last_event_id_counts_as_none(system, stream, user):
    job_id = system.submit(userId=user)
    system.ended(job_id)
    client = stream(f"/api/cto/job/{job_id}/stream?after=0", "")
    client.wait_for(lambda client: client.ended())
    assert client.events()[0]["seq"] == 1, "the query is what counts"
    stream(f"/api/cto/stream?userId={user}", "")  # is opened


def test_refusals_of_streams_are_json(system, user):
    def ask(path, **headers):
        return requests.get(f"{system.url}/api/cto/{path}", headers=headers, timeout=10)

    job_id = system.submit(userId=user)
    assert error(ask("job/unknown/stream"), 404)["code"] == "job_not_found"
    assert error(ask("job/no%20id/stream"), 400)["code"] == "invalid_job_id"
    assert error(ask(f"job/{job_id}/stream?after=x"), 400)["code"] == "invalid_query"
    assert error(ask(f"job/{job_id}/stream", **{"Last-Event-ID": "-1"}), 400)["code"] == "invalid_query"
    assert "userId" in error(ask("stream"), 400)["details"]["fields"]
    assert "userId" in error(ask("stream?userId=a%20b"), 400)["details"]["fields"]
    refused = error(ask(f"stream?userId={user}", **{"Last-Event-ID": "7"}), 400)
    assert "Last-Event-ID" in refused["details"]["fields"]
    both = ask(f"job/{job_id}/stream?after={10**15}", **{"Last-Event-ID": "1"})
    assert "after" in error(both, 400)["details"]["fields"], "also beside the header, which counts more"
    assert error(ask(f"stream?userId={user}", Host="evil.example"), 403)["code"] == "host_not_allowed"
    for path in (f"stream?userId={user}", f"job/{job_id}/stream"):
        refused = ask(path, Origin="http://evil.example")
        assert error(refused, 403)["code"] == "origin_not_allowed"
    assert not system.is_followed(f"user_{user}")


def test_a_request_for_the_head_leaves_no_reader_behind(system, user):
    assert requests.head(f"{system.url}/api/cto/stream?userId={user}", timeout=10).status_code == 200
    is_left(system, f"user_{user}", timeout_s=5)


def test_a_reader_of_a_stream_that_vanishes_is_noticed(system, stream, user):
    client = stream(f"/api/cto/stream?userId={user}")
    wait_until(lambda: system.is_followed(f"user_{user}"))
    client.close()
    is_left(system, f"user_{user}")


def flood(system, user):
    """Publish more than the sockets' buffers and an outbox hold, of jobs that cannot be merged."""
    bulk = Details(current_operation="x" * 60_000)
    with system.store() as store:
        for number in range(300):
            event = replace(FIRST_EVENT, job_id=f"{user}-{number}", user_id=user, details=bulk)
            store.publish(f"cto:room:user_{user}", encode(event))
            time.sleep(0.002)


def test_a_stream_that_nobody_reads_is_dropped_and_the_others_are_not(system, stream, slow_stream, user):
    reader = stream(f"/api/cto/stream?userId={user}")
    slow_stream(f"/api/cto/stream?userId={user}-slow")
    wait_until(lambda: system.is_followed(f"user_{user}-slow"))
    drops = system.said().count("dropped a client")
    flood(system, user)
    flood(system, f"{user}-slow")
    is_left(system, f"user_{user}-slow", timeout_s=8)
    assert system.said().count("dropped a client") == drops + 1
    reader.wait_for(lambda client: len(client.events()) == 300)


def test_a_websocket_that_nobody_reads_is_dropped(system, user):
    address = system.url.replace("http", "ws", 1) + "/ws"
    slow = websocket.create_connection(
        address, timeout=30, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)]
    )
    slow.send(f'{{"type":"join","room":"user_{user}"}}')
    wait_until(lambda: system.is_followed(f"user_{user}"))
    drops = system.said().count("dropped a client")
    flood(system, user)
    is_left(system, f"user_{user}", timeout_s=8)
    assert system.said().count("dropped a client") == drops + 1
    slow.shutdown()


def test_the_plain_websocket_joins_leaves_and_resumes(system, plain_socket, user):
    client = plain_socket()
    client.send(type="join", room=f"user_{user}", id="one")
    client.wait_for(lambda client: client.received("joined"))
    assert client.received("joined") == [{"type": "joined", "room": f"user_{user}", "id": "one"}]
    job_id = running(system, user)
    client.wait_for(lambda client: len(client.events(job_id)) >= 5)
    late = plain_socket()
    late.send(type="resume", jobId=job_id, after=2, id={"any": "JSON"})
    late.wait_for(lambda client: job_id in client.ended())
    resumed = late.received("resumed")[0]
    assert resumed["events"][-1]["seq"] == resumed["latestSeq"]
    assert (resumed["jobId"], resumed["id"]) == (job_id, {"any": "JSON"})
    assert resumed["events"] + late.events() == system.events(job_id)[2:]
    client.wait_for(lambda client: job_id in client.ended())
    assert client.events() == system.events(job_id)
    client.send(type="leave", room=f"user_{user}")
    client.wait_for(lambda client: client.received("left"))
    is_left(system, f"user_{user}", timeout_s=5)
    assert "s3cret" not in system.said()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "join", "room": "nonsense"}, "invalid_room"),
        ({"type": "join", "room": "job_unknown"}, "job_not_found"),
        ({"type": "leave"}, "invalid_room"),
        ({"type": "resume", "jobId": "unknown", "after": 0}, "job_not_found"),
        ({"type": "resume", "jobId": "unknown", "after": -1}, "invalid_resume"),
        ({"type": ["join"]}, "invalid_message"),
        ({}, "invalid_message"),
    ],
)
def test_a_refusal_is_an_error_with_the_id_and_the_socket_lives_on(plain_socket, message, code):
    client = plain_socket()
    client.send(**message, id=1)
    client.send(type="leave", room="user_7")
    client.wait_for(lambda client: client.received("left"))
    [refused] = client.received("error")
    assert (refused["code"], refused["id"]) == (code, 1)
    assert refused["message"]


def fragments(client, count):
    """One message of many frames."""
    for number in range(count):
        frame = websocket.ABNF.create_frame("x" * 30_000, int(number == 0), fin=int(number == count - 1))
        client.send_frame(frame)


@pytest.mark.parametrize(
    ("send", "status", "code"),
    [
        (lambda client: client.send("x" * 32_769), 1009, "message_too_large"),
        (lambda client: client.send("x" * 10_000_000), 1009, "message_too_large"),
        (lambda client: fragments(client, 3), 1009, "message_too_large"),
        (lambda client: client.send_binary(b"{}"), 1003, "unsupported_data"),
        (lambda client: client.send("{"), 1007, "invalid_json"),
        (lambda client: client.send('{"a":NaN}'), 1007, "invalid_json"),
        (lambda client: client.send("[" * 30_000), 1007, "invalid_json"),
        (lambda client: client.send(b"\xff", opcode=1), 1007, "invalid_text"),
    ],
    ids=["large", "huge", "fragments", "binary", "cut off", "NaN", "deep", "no text"],
)
def test_what_is_no_message_is_told_and_ends_the_socket(system, plain_socket, user, send, status, code):
    client = plain_socket(f"user_{user}")
    send(client.socket)
    client.wait_for(lambda client: client.received("end"))
    assert [line["code"] for line in client.received("error")] == [code]
    assert client.status == status
    is_left(system, f"user_{user}", timeout_s=5)


def test_a_message_may_be_as_large_as_allowed(plain_socket):
    client = plain_socket()
    client.socket.send('{"type":"leave","room":"user_7"}'.ljust(32_768))
    client.wait_for(lambda client: client.received("left"))


def test_a_websocket_that_is_closed_or_vanishes_leaves_no_reader_behind(system, plain_socket, user):
    polite, rude = plain_socket(f"user_{user}-polite"), plain_socket(f"user_{user}-rude")
    polite.socket.send_close(1000)
    polite.wait_for(lambda client: client.received("end"))
    assert polite.status == 1000
    rude.socket.sock.shutdown(socket.SHUT_RDWR)
    is_left(system, f"user_{user}-polite", timeout_s=5)
    is_left(system, f"user_{user}-rude", timeout_s=5)


def test_a_peer_that_answers_no_ping_is_gone_and_one_that_does_is_not(system, plain_socket, user):
    alive = plain_socket(f"user_{user}-alive")
    dead = websocket.create_connection(system.url.replace("http", "ws", 1) + "/ws", timeout=30)
    dead.send(f'{{"type":"join","room":"user_{user}-dead"}}')
    begun_s = time.monotonic()
    wait_until(lambda: system.is_followed(f"user_{user}-dead"))
    is_left(system, f"user_{user}-dead", timeout_s=20)
    assert time.monotonic() - begun_s > 10
    assert_stays(lambda: system.is_followed(f"user_{user}-alive"), for_s=2)
    alive.send(type="leave", room=f"user_{user}-alive")
    alive.wait_for(lambda client: client.received("left"))
    dead.shutdown()


@pytest.mark.parametrize(
    ("pose", "code"),
    [
        ({"host": "evil.example", "origin": "http://evil.example"}, "host_not_allowed"),
        ({"origin": "http://evil.example"}, "origin_not_allowed"),
    ],
)
def test_a_foreign_page_opens_no_websocket(plain_socket, pose, code):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        plain_socket(**pose)
    assert refused.value.status_code == 403
    assert code in refused.value.resp_body.decode()


def test_what_is_no_handshake_is_refused(system):
    answer = requests.get(f"{system.url}/ws", timeout=10)
    assert error(answer, 426)["code"] == "upgrade_required"
    assert answer.headers["Upgrade"] == "websocket"


def test_without_the_store_the_doors_say_so(launch, opened):
    system = launch("--no-flower").ready()
    job_id = system.submit()
    client = opened(websocket.create_connection(system.url.replace("http", "ws", 1) + "/ws", timeout=30))
    with system.store() as store:
        pid = store.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for path in (f"/api/cto/job/{job_id}/stream", "/api/cto/stream?userId=7"):
            answer = requests.get(system.url + path, timeout=30)
            assert error(answer, 503)["code"] == "store_unavailable"
            assert answer.headers["Retry-After"]
        client.send('{"type":"join","room":"user_7"}')
        assert "store_unavailable" in client.recv()
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_page_can_find_out_whether_its_plain_websocket_lives(plain_socket):
    client = plain_socket()
    client.send(type="ping", id=7)
    client.wait_for(lambda client: client.received("pong"))
    assert client.received("pong") == [{"type": "pong", "id": 7}]


def test_a_connection_is_in_so_many_rooms_by_whichever_door(launch):
    system = launch("--no-flower", CTO_MAX_ROOMS="2", CTO_PAPER_LATENCY_MS="0").ready()
    ended = system.submit()
    system.ended(ended)
    client = socketio.Client()
    client.connect(system.url, transports=["websocket"])
    plain = WebSocketClient(system)
    for number in range(10):  # an ended job's room is not entered, and takes no place
        assert client.call("join_room", f"job_{ended}", timeout=30)["success"]
        plain.send(type="join", room=f"job_{ended}", id=number)
        plain.send(type="resume", jobId=ended, after=0)
    for room in ("user_1", "user_2"):
        assert client.call("join_room", room, timeout=30) == {"success": True, "room": room}
        plain.send(type="join", room=room)
    plain.wait_for(lambda plain: len(plain.received("joined")) == 12 and len(plain.received("resumed")) == 10)
    assert all(told["events"][-1]["phase"] == 5 for told in plain.received("resumed"))

    refusal = client.call("join_room", "user_3", timeout=30)
    plain.send(type="join", room="user_3")
    plain.wait_for(lambda plain: plain.received("error"))
    assert (refusal["success"], refusal["error"]["code"]) == (False, "too_many_rooms")
    assert plain.received("error")[0]["code"] == "too_many_rooms"
    assert "CTO_MAX_ROOMS" in plain.received("error")[0]["message"]
    assert client.call("leave_room", "user_1", timeout=30)["success"]
    assert client.call("join_room", "user_3", timeout=30)["success"]
    assert client.call("resume", {"jobId": ended, "after": 0}, timeout=30)["success"]
    client.disconnect()
    client.wait()
    plain.close()

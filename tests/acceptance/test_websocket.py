"""Messages and errors of ``/ws``."""

from __future__ import annotations

import time

import pytest
import requests
import websocket
from support.clients import wait_until_left
from support.waiting import assert_stays, wait_until


def test_a_websocket_client_joins_resumes_and_leaves(system, open_websocket, user):
    client = open_websocket()
    client.send(type="join", room=f"user_{user}", id="one")
    client.wait_for(lambda client: client.received("joined"))
    assert client.received("joined") == [{"type": "joined", "room": f"user_{user}", "id": "one"}]
    job_id = system.submit(userId=user, walletCount=40, buyAmount=0.4)
    client.wait_for(lambda client: len(client.events(job_id)) >= 5)
    late = open_websocket()
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
    wait_until_left(system, f"user_{user}")
    assert "s3cret" not in system.output()


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
def test_a_refused_message_is_answered_with_its_id_and_the_connection_stays_open(
    open_websocket, message, code
):
    client = open_websocket()
    client.send(**message, id=1)
    client.send(type="leave", room="user_7")
    client.wait_for(lambda client: client.received("left"))
    [refused] = client.received("error")
    assert (refused["code"], refused["id"]) == (code, 1)
    assert refused["message"]


def fragments(client, count):
    """Send one message of many frames."""
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
    ids=["large", "huge", "fragments", "binary", "incomplete", "NaN", "deep", "not UTF-8"],
)
def test_an_invalid_message_is_answered_with_an_error_and_closes_the_connection(
    system, open_websocket, user, send, status, code
):
    client = open_websocket(f"user_{user}")
    send(client.socket)
    client.wait_for(lambda client: client.received("end"))
    assert [line["code"] for line in client.received("error")] == [code]
    assert client.status == status
    wait_until_left(system, f"user_{user}")


def test_a_client_that_answers_no_ping_is_disconnected(system, open_websocket, user):
    alive = open_websocket(f"user_{user}-alive")
    dead = websocket.create_connection(system.url.replace("http", "ws", 1) + "/ws", timeout=30)
    dead.send(f'{{"type":"join","room":"user_{user}-dead"}}')
    begun_s = time.monotonic()
    wait_until(lambda: system.is_followed(f"user_{user}-dead"))
    wait_until_left(system, f"user_{user}-dead")
    assert time.monotonic() - begun_s > 10
    assert_stays(lambda: system.is_followed(f"user_{user}-alive"), for_s=2)
    alive.send(type="leave", room=f"user_{user}-alive")
    alive.wait_for(lambda client: client.received("left"))
    dead.shutdown()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "evil.example", "origin": "http://evil.example"}, "host_not_allowed"),
        ({"origin": "http://evil.example"}, "origin_not_allowed"),
    ],
)
def test_a_page_of_another_origin_cannot_open_a_websocket(open_websocket, headers, code):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        open_websocket(**headers)
    assert refused.value.status_code == 403
    assert code in refused.value.resp_body.decode()


def test_a_request_without_a_handshake_is_refused(system):
    answer = requests.get(f"{system.url}/ws", timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (426, "upgrade_required")
    assert answer.headers["Upgrade"] == "websocket"


def test_a_ping_message_is_answered(open_websocket):
    client = open_websocket()
    client.send(type="ping", id=7)
    client.wait_for(lambda client: client.received("pong"))
    assert client.received("pong") == [{"type": "pong", "id": 7}]

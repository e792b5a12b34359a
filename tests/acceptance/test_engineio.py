"""Engine.IO sessions, with packets and frames that stock clients do not send or do not show."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress

import pytest
import requests
import websocket
from support.waiting import wait_until

LIMIT = 32_768
PONG = websocket.ABNF.OPCODE_PONG


@pytest.fixture
def connect(system):
    """Open Engine.IO WebSockets, or upgrade a polling session to one: ``connect(sid)``."""
    opened = []

    def connect(sid=None):
        url = f"{system.url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"
        client = websocket.create_connection(url + (f"&sid={sid}" if sid else ""), timeout=10)
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.shutdown()


@pytest.fixture
def joined(connect, user):
    """Return a WebSocket client that has joined the room of ``user``."""
    client = connect()
    assert client.recv().startswith("0{")
    client.send("40")
    assert client.recv().startswith("40{")
    join(client, user)
    return client


def join(client, user):
    client.send(f'421["join_room","user_{user}"]')
    assert client.recv() == f'431[{{"success":true,"room":"user_{user}"}}]'


def closed_with(client):
    """Return the status of the close frame. No byte follows it."""
    client.settimeout(10)
    while (frame := client.recv_frame()).opcode != websocket.ABNF.OPCODE_CLOSE:
        pass
    assert client.sock.recv(1) == b""
    return struct.unpack("!H", frame.data[:2])[0] if frame.data else None


def poll(system, sid=None, body=None):
    query = {"EIO": "4", "transport": "polling"} | ({"sid": sid} if sid else {})
    return requests.request(
        "POST" if body else "GET", f"{system.url}/socket.io/", params=query, data=body, timeout=30
    )


def polled(system, sid=None, body=None):
    answer = poll(system, sid, body)
    assert answer.status_code == 200, answer.text
    return answer.text


def session(system):
    """Return the id of a polling session that has joined the namespace."""
    sid = json.loads(polled(system)[1:])["sid"]
    polled(system, sid, "40")
    wait_until(lambda: "40{" in polled(system, sid))
    return sid


def test_a_session_upgrades_to_one_websocket_only(system, connect):
    sid = session(system)
    first = connect(sid)
    with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
        connect(sid)
    first.send("2probe")
    assert first.recv() == "3probe"
    first.send("5")
    assert first.recv() == "6"  # answers a poll that was not waiting
    first.send('421["leave_room","user_x"]')
    assert first.recv().startswith('431[{"success":true')


def test_a_session_that_ends_during_its_upgrade_is_closed(system, connect):
    sid = session(system)
    with socket.create_connection(("127.0.0.1", system.settings.port), timeout=10) as waiting:
        waiting.sendall(
            f"GET /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        client = connect(sid)
        polled(system, sid, "1")
        assert waiting.recv(1)  # the poll has received the end of the session
    client.send("2probe")
    client.send("5")
    with suppress(ConnectionError):
        while client.sock.recv(100):
            pass


def test_a_reconnected_client_joins_500_rooms_in_one_post(system):
    sid = session(system)
    polled(system, sid, "\x1e".join(f'42{n}["join_room","user_{n}"]' for n in range(500)))
    answers = []
    while len(answers) < 500:
        answers += [packet for packet in polled(system, sid).split("\x1e") if packet.startswith("43")]
    assert all('"success":true' in answer for answer in answers)


@pytest.mark.parametrize("body", ["x", "d=", b"\xff", "4" + "[" * 20_000])
def test_a_session_that_posts_invalid_packets_is_closed(system, body):
    sid = session(system)
    assert poll(system, sid, body).status_code == 400
    assert poll(system, sid).status_code == 400


def test_a_polling_session_that_left_the_namespace_is_closed(system):
    sid = session(system)
    assert polled(system, sid) == "2", "the first ping follows the check of new sessions"
    polled(system, sid, "3")
    polled(system, sid, "41")
    pings = 0
    while (answer := poll(system, sid)).status_code == 200:
        if answer.text == "2":
            polled(system, sid, "3")
            pings += 1
        assert pings < 5, "a session that answers its pings is not closed for its silence"


def test_polling_responses_are_not_compressed(system):
    """Compression would cost the gateway more time than anything else."""
    job_id = system.submit(walletCount=20, buyAmount=0.5)
    system.ended(job_id)
    sid = session(system)
    polled(system, sid, f'421["resume",{{"jobId":"{job_id}","after":0}}]')
    answer = poll(system, sid)
    assert "gzip" in answer.request.headers["Accept-Encoding"]
    assert len(answer.text) > 10_000
    assert "Content-Encoding" not in answer.headers


def test_messages_may_arrive_byte_by_byte_and_many_at_once(joined, user):
    frames = b"".join(
        websocket.ABNF.create_frame(f'42{number}["leave_room","user_{user}"]', 1).format()
        for number in range(50)
    )
    for at in range(200):
        joined.sock.send(frames[at : at + 1])
    joined.sock.send(frames[200:])
    assert [joined.recv().partition("[")[0] for _ in range(50)] == [f"43{number}" for number in range(50)]


@pytest.mark.parametrize(
    ("send", "status"),
    [
        (lambda client: client.send("4" * (LIMIT + 1)), 1009),
        (lambda client: client.send(b"4\xff", opcode=1), 1007),
        (lambda client: client.send("nonsense"), 1002),
        (lambda client: client.sock.send(b"\x81\x013"), 1002),
        (lambda client: client.send_close(4000), 4000),
        (lambda client: client.send("1"), None),
    ],
    ids=["large", "not UTF-8", "not a packet", "not masked", "close frame", "close packet"],
)
def test_a_websocket_is_closed_with_the_status_of_the_reason(system, joined, user, send, status):
    assert system.is_followed(f"user_{user}")
    send(joined)
    assert closed_with(joined) == status
    wait_until(lambda: not system.is_followed(f"user_{user}"))


def test_messages_sent_directly_after_an_upgrade_are_read(system, connect, user):
    sid = json.loads(polled(system)[1:])["sid"]
    polled(system, sid, "40")
    assert polled(system, sid).startswith("40{")
    client = connect(sid)
    client.send("2probe")
    assert client.recv() == "3probe"
    assert polled(system, sid) == "6"
    texts = "5", '420["join_room","user_7"]'
    client.sock.send(b"".join(websocket.ABNF.create_frame(text, 1).format() for text in texts))
    assert client.recv() == "6", "the packet that ends a waiting poll"
    assert client.recv() == '430[{"success":true,"room":"user_7"}]'
    join(client, user)


@pytest.mark.parametrize("packets", [["5"], ["2"], ["2probe", "2"]])
def test_a_session_whose_upgrade_fails_continues_to_poll(system, connect, packets):
    sid = json.loads(polled(system)[1:])["sid"]
    client = connect(sid)
    for text in packets:
        client.send(text)
    while client.sock.recv(100):
        pass
    polled(system, sid, "40")
    wait_until(lambda: "40{" in polled(system, sid))

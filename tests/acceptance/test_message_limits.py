"""Message limits: clients that send too much, or invalid data, are disconnected. Others are not affected."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress

import pytest
import requests
import websocket
from support.waiting import wait_until

from api.limits.token_bucket import BURST

PATH = "/socket.io/?EIO=4&transport="


class Session:
    """A Socket.IO client of raw packets that has joined the namespace."""

    def __init__(self, system):
        address = system.url.replace("http", "ws", 1) + PATH + "websocket"
        self.socket = websocket.create_connection(address, timeout=30)
        assert self.socket.recv().startswith("0")
        self.socket.send("40")
        assert self.socket.recv().startswith("40")

    def ended(self):
        """Read until the server ends the connection. Return the received texts.

        Pings are answered, so silence is not the reason for the end.
        """
        texts = []
        try:
            while True:
                opcode, data = self.socket.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    break
                texts.append(data.decode())
                if texts[-1] == "2":
                    self.socket.send("3")
                assert texts.count("2") < 5, "the server does not end the connection"
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            pass
        self.socket.shutdown()
        return texts


@pytest.fixture
def healthy(system, connect_client):
    """Another client, which must receive every event of a job that runs during the test."""
    client = connect_client("node", "websocket", "user_healthy")
    job_id = system.submit(userId="healthy", walletCount=20, buyAmount=0.5)
    yield client
    system.ended(job_id)
    client.wait_for(lambda client: job_id in client.ended())
    seqs = [event["seq"] for event in client.events(job_id)]
    assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.usefixtures("healthy")
def test_a_socketio_client_that_exceeds_the_message_limit_is_disconnected(system):
    client = Session(system)
    sent = 0
    with suppress(websocket.WebSocketException, OSError):
        while sent < 100 * BURST:
            client.socket.send('42["leave_room","user_7"]')
            sent += 1
    client.ended()
    assert BURST <= sent < 100 * BURST


def test_a_client_may_join_and_leave_500_rooms_at_once(system):
    client = Session(system)
    for number in range(500):
        client.socket.send(f'42{number}["join_room","user_{number}"]')
        client.socket.send(f'42{number + 500}["leave_room","user_{number}"]')
    answers = 0
    while answers < 1_000:
        text = client.socket.recv()
        if text == "2":
            client.socket.send("3")
        else:
            assert json.loads(text[text.index("[") :])[0]["success"]
            answers += 1
    client.socket.close()


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(
    "messages",
    [
        ['451-["join_room",{"_placeholder":true,"num":0}]', b"x"],
        ['4510-["join_room",{"_placeholder":true,"num":0}]'],
        ['461-0[{"_placeholder":true,"num":0}]'],
        [b"x"],
        ["x" * 40_000],
        ["42["],
        ["42[]"],
        ['42{"1":2}'],
        ["4x"],
        ["x"],
        [""],
    ],
    ids=[
        *("attachment", "ten attachments", "acknowledgement", "binary", "40 kB"),
        *("not JSON", "no name", "not a list", "not a packet", "not a message", "empty"),
    ],
)
def test_a_client_that_sends_an_invalid_packet_is_disconnected(system, messages):
    client = Session(system)
    for message in messages:
        client.socket.send(message) if isinstance(message, str) else client.socket.send_binary(message)
    assert not any("success" in text for text in client.ended())


def test_a_client_cannot_send_the_events_of_the_server(system):
    client = Session(system)
    for message in ('["disconnect"]', '["connect",{},null]', '[{"a":1}]', '[["join_room"]]'):
        client.socket.send(f"42{message}")
    client.socket.send('427["join_room","user_7"]')
    while not (text := client.socket.recv()).startswith("43"):
        pass
    assert json.loads(text.removeprefix("437")) == [{"success": True, "room": "user_7"}]
    client.socket.close()


def test_a_client_that_leaves_the_namespace_is_disconnected(system):
    client = Session(system)
    client.socket.send("41")
    with suppress(OSError):
        client.socket.send("40")
    assert not any(text.startswith("40") for text in client.ended()), "it must open a new connection"


@pytest.mark.usefixtures("healthy")
def test_a_polling_client_that_exceeds_the_message_limit_is_disconnected(system):
    address = system.url + PATH + "polling"
    with requests.Session() as session:
        sid = json.loads(session.get(address, timeout=10).text[1:])["sid"]
        address += f"&sid={sid}"
        assert session.post(address, data="40", timeout=10).ok
        payload = "\x1e".join(['42["leave_room","user_7"]'] * 16)
        posts = 0
        while session.post(address, data=payload, timeout=10).ok:
            posts += 1
            assert posts < 100 * BURST / 16
        assert posts >= BURST / 16 - 1
        wait_until(lambda: session.get(address, timeout=10).status_code == 400)


@pytest.mark.usefixtures("healthy")
def test_a_websocket_that_exceeds_the_message_limit_is_closed_with_an_error(open_websocket):
    client = open_websocket()
    with suppress(websocket.WebSocketException, OSError):
        while not client.received("error"):
            client.send(type="leave", room="user_7")
    client.wait_for(lambda client: client.received("end"))
    assert client.received("error")[0]["code"] == "too_many_messages"
    assert len(client.received("left")) >= BURST
    assert client.status == 1008


def masked(first_byte, payload=b""):
    """Return a masked frame, as clients send them."""
    return bytes((first_byte, 0x80 | len(payload), 0, 0, 0, 0)) + payload


def flood(connection, data, for_s=10):  # shorter than the time limit of a session that answers no ping
    """Send repeatedly until the server disconnects. Return whether it did in time."""
    reader = threading.Thread(target=read_all, args=(connection,), daemon=True)
    reader.start()
    deadline = time.monotonic() + for_s
    try:
        while time.monotonic() < deadline:
            connection.sendall(data)
    except OSError:
        return True
    finally:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        reader.join()
        connection.close()
    return False


def read_all(connection):
    with suppress(OSError):
        while connection.recv(65_536):
            pass


def ws(url):
    return websocket.create_connection(f"{url}/ws", timeout=30)


def socketio(url):
    client = websocket.create_connection(f"{url}{PATH}websocket", timeout=30)
    client.send("40")
    return client


def upgraded(url):
    """Return the WebSocket of a polling session, before its upgrade."""
    polling = f"{url.replace('ws', 'http', 1)}{PATH}polling"
    sid = json.loads(requests.get(polling, timeout=10).text[1:])["sid"]
    assert requests.post(f"{polling}&sid={sid}", data="40", timeout=10).ok
    return websocket.create_connection(f"{url}{PATH}websocket&sid={sid}", timeout=30)


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("connect", [ws, socketio, upgraded])
@pytest.mark.parametrize(
    ("start", "repeated"), [(b"", masked(0x89)), (masked(0x01), masked(0x00))], ids=["pings", "fragments"]
)
def test_a_websocket_that_sends_frames_without_messages_is_disconnected(system, connect, start, repeated):
    client = connect(system.url.replace("http", "ws", 1))
    client.sock.sendall(start)
    connection, client.sock = client.sock, None
    assert flood(connection, repeated * 5_000)


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("packet", [b"0", b"2", b"3", b"5", b"6"])
def test_engineio_packets_count_against_the_message_limit(system, packet):
    client = socketio(system.url.replace("http", "ws", 1))
    connection, client.sock = client.sock, None
    assert flood(connection, masked(0x81, packet) * 5_000)


@pytest.mark.usefixtures("healthy")
def test_a_client_that_pipelines_requests_does_not_delay_others(system):
    address = ("127.0.0.1", system.settings.port)
    connection = socket.create_connection(address, timeout=30)
    attacker = threading.Thread(
        target=flood, args=(connection, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200, 3)
    )
    attacker.start()
    waited_s = []
    while attacker.is_alive():
        begun_s = time.monotonic()
        assert requests.get(f"{system.url}/healthz", timeout=10).ok
        waited_s.append(time.monotonic() - begun_s)
    assert max(waited_s) < 2, "without a limit it took seconds for each second of pipelined requests"
    assert len(waited_s) > 20


CHUNKED = "POST /api/cto/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "an unread body": (
        "POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n",
        "x",
    ),
    "chunks": (CHUNKED, "1\r\nx\r\n"),
    "a chunk's length": (CHUNKED, "0"),
    "a trailer": (f"{CHUNKED}0\r\nx: ", "x"),
    "a head": ("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", "x"),
    "heads": ("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", "X: x\r\n"),
}


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(("start", "repeated"), ENDLESS.values(), ids=ENDLESS)
def test_a_client_that_sends_an_endless_request_is_disconnected(system, start, repeated):
    connection = socket.create_connection(("127.0.0.1", system.settings.port), timeout=30)
    connection.sendall(start.encode())
    assert flood(connection, repeated.encode() * (65_536 // len(repeated)))

"""Sessions that have not joined the namespace may send few packets, and end with their first refusal."""

from __future__ import annotations

import json
import shutil
import socket

import pytest
import requests
import socketio
import websocket
from support.javascript import NODE_PROGRAMS, NodeProgram
from support.processes import environment
from support.system import System
from support.tokens import GUARDED, token
from support.waiting import wait_until

from api.limits.refusal_log import MAX_LINES
from api.server.engineio_overrides import UNJOINED_PACKETS

PATH = "/socket.io/?EIO=4&transport="
MANY = 1_000  # packets; more of this length do not fit into one message


@pytest.fixture(scope="module")
def guarded():
    """A system that requires tokens, behind a proxy that sends the client's address."""
    env = environment(**GUARDED, CTO_PROXIES="1")
    system = System(env, "--no-flower").ready()
    yield system
    assert system.stop() == 0
    shutil.rmtree(env["CTO_DATA_DIR"])


class Polling:
    """A polling session of raw packets."""

    def __init__(self, system, address="192.0.2.1"):
        self.http = requests.Session()
        self.http.headers["X-Forwarded-For"] = address
        self.url = f"{system.url}{PATH}polling"
        self.url += f"&sid={json.loads(self.get().text[1:])['sid']}"

    def get(self):
        return self.http.get(self.url, timeout=30)

    def post(self, *packets):
        return self.http.post(self.url, data="\x1e".join(packets), timeout=30)

    def join(self):
        assert self.post("40" + json.dumps({"token": token()})).ok
        assert self.get().text.startswith("40")


def test_a_polling_session_ends_with_its_first_refusal(guarded):
    session = Polling(guarded)
    assert session.post("40").ok
    refusal = session.get().text
    assert json.loads(refusal.removeprefix("44"))["data"] == {"code": "unauthorized"}
    assert session.get().text == "1"
    assert session.get().status_code == 400


def test_a_refused_session_that_sends_more_is_closed(guarded):
    session = Polling(guarded)
    assert session.post("40", "40" + json.dumps({"token": token()})).ok
    assert session.get().status_code == 400


def test_a_websocket_ends_with_its_first_refusal(guarded):
    client = websocket.create_connection(
        guarded.url.replace("http", "ws", 1) + f"{PATH}websocket", timeout=30
    )
    assert client.recv().startswith("0")
    client.send("40")
    assert client.recv().startswith("44")
    assert client.recv() == "1"
    assert client.recv() == ""
    client.shutdown()


def test_an_unjoined_session_that_posts_too_many_packets_at_once_is_closed(guarded):
    session = Polling(guarded)
    assert session.post(*["40"] * (UNJOINED_PACKETS + 1)).status_code == 400
    assert session.get().status_code == 400


def test_an_unjoined_session_that_posts_too_many_packets_in_total_is_closed(guarded):
    session = Polling(guarded)
    assert session.post(*["3"] * UNJOINED_PACKETS).ok
    assert session.post("3").status_code == 400


def test_a_joined_session_may_send_1000_packets_in_one_post(guarded):
    session = Polling(guarded)
    session.join()
    packets = [f'42{number}["leave_room","user_A"]' for number in range(MANY)]
    assert session.post(*packets).ok
    answers = []
    while len(answers) < MANY:
        answers += session.get().text.split("\x1e")
    assert all('"success":true' in answer for answer in answers)


@pytest.mark.parametrize(
    ("packet", "address"), [("3", "192.0.2.3"), ("42[]", "192.0.2.4"), ("41", "192.0.2.5")]
)
def test_an_unjoined_websocket_that_sends_too_many_packets_is_closed(guarded, packet, address):
    client = websocket.create_connection(
        guarded.url.replace("http", "ws", 1) + f"{PATH}websocket",
        timeout=30,
        header={"X-Forwarded-For": address},
    )
    assert client.recv().startswith("0")
    try:
        for _ in range(UNJOINED_PACKETS + 1):
            client.send(packet)
        while client.recv():
            pass
    except (websocket.WebSocketException, OSError):
        pass
    assert f"closed a session from {address}: never joined" not in guarded.output(), "which also ends it"
    client.shutdown()


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]], ids="+".join)
def test_a_refused_javascript_client_can_connect_manually(guarded, transports, opened):
    events = []
    program = NodeProgram(
        events.append, NODE_PROGRAMS / "refused.mjs", guarded.url, "bad", token(), *transports
    )
    opened(program)
    wait_until(lambda: "connect" in events)
    assert events == ["invalid_token", "connect"]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("wait", [True, False], ids=["waits", "does not wait"])
def test_a_refused_python_client_does_not_reconnect(guarded, transport, wait):
    refusals = []
    client = socketio.Client()  # which reconnects after a lost connection
    client.on("connect_error", refusals.append)
    if wait:
        with pytest.raises(socketio.exceptions.ConnectionError):
            client.connect(guarded.url, auth={"token": "bad"}, transports=[transport], wait_timeout=30)
    else:
        client.connect(guarded.url, auth={"token": "bad"}, transports=[transport], wait=False)
    wait_until(lambda: refusals and client.eio.state == "disconnected")
    assert client._reconnect_task is None
    client.connected = False  # the library sets it at the end of connect(), even if the refusal came before
    client.connect(guarded.url, auth={"token": token()}, transports=[transport], wait_timeout=30)
    assert client.call("join_room", "user_A", timeout=30)["success"]
    assert [refusal["data"]["code"] for refusal in refusals] == ["invalid_token"]
    client.disconnect()
    client.wait()


def test_refusals_are_logged_with_the_clients_address_and_a_count(guarded):
    for number in range(100):
        Polling(guarded, "192.0.2.77").post("40")
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        assert requests.get(f"{guarded.url}/api/cto/jobs", headers=headers, timeout=30).status_code == 401

    def lines(text):
        return [line for line in guarded.output().splitlines() if text in line]

    wait_until(lambda: lines("refused a client from 192.0.2.77: unauthorized"))
    wait_until(lambda: lines("refused a request from 198.51.100."))
    assert "None" not in "".join(lines("refused a"))
    counted = [line.split(".")[0] for line in lines("[api.limits.refusal_log]")]  # to the second
    assert max(map(counted.count, counted)) <= 2 * (MAX_LINES + 1)


def test_a_chunked_body_is_read(guarded):
    session = Polling(guarded)
    packet = "40" + json.dumps({"token": token()})
    assert session.http.post(session.url, data=iter([packet.encode()]), timeout=30).ok
    assert session.get().text.startswith("40")


def test_a_chunked_body_that_is_too_large_ends_the_session(guarded):
    session = Polling(guarded)
    session.join()
    response = session.http.post(session.url, data=(b"4" * 65_536 for _ in range(40)), timeout=30)
    assert response.status_code == 400
    assert session.get().status_code == 400


def test_a_body_that_does_not_arrive_ends_the_session_without_a_traceback(guarded):
    session = Polling(guarded)
    session.join()
    path = session.url.removeprefix(guarded.url)
    with socket.create_connection(("127.0.0.1", guarded.settings.port), timeout=60) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n4"
        connection.sendall(head.encode())
        assert b" 400 " in connection.recv(4_096)  # after the time limit for a body
    assert session.get().status_code == 400
    assert "Traceback" not in guarded.output()

"""The gateway as it is served: what only a real server, its sockets and its store can get wrong."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time

import pytest
import requests
import socketio
from support.samples import operation
from support.waiting import wait_until

FOREIGN = {"Host": "evil.example", "Origin": "http://evil.example"}


def timed(ask):
    begun_s = time.monotonic()
    answer = ask()
    return answer, time.monotonic() - begun_s


def test_a_store_that_hangs_is_answered_503_in_time_and_comes_back(launch):
    system = launch("--no-flower").ready()
    system.ended(system.submit())
    asked = [
        lambda: requests.get(f"{system.url}/readyz", timeout=30),
        lambda: requests.post(f"{system.url}/api/cto/jobs", json=operation(), timeout=30),
        lambda: requests.get(f"{system.url}/api/cto/jobs", timeout=30),
    ]
    with system.store() as store:
        pid = store.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for ask in asked * 2:  # on connections that were in use, and on new ones
            answer, took_s = timed(ask)
            assert answer.status_code == 503, answer.text
            assert answer.json()["error"]["code"] == "store_unavailable"
            assert answer.headers["Retry-After"]
            assert took_s < 6
        assert requests.get(f"{system.url}/healthz", timeout=5).status_code == 200
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: asked[0]().status_code == 200)
    assert system.ended(system.submit())["status"] == "completed"


def connect_posing(client, system, transport, pose):
    """Connect a stock client that sends these headers; websocket-client takes them as options of its own."""
    if transport == "websocket":
        client.eio.websocket_extra_options = {name.lower(): value for name, value in pose.items()}
    client.connect(
        system.url, headers=pose if transport == "polling" else {}, transports=[transport], wait_timeout=10
    )


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_rebound_name_is_refused_on_either_transport(system, transport):
    client = socketio.Client(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        connect_posing(client, system, transport, FOREIGN)
    wait_until(lambda: "the host evil.example is not allowed" in system.said())


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_gateways_own_page_is_let_in_on_either_transport(system, transport, name):
    host = f"{name}:{system.settings.port}"
    client = socketio.Client(reconnection=False)
    connect_posing(client, system, transport, {"Host": host, "Origin": f"http://{host}"})
    assert client.call("join_room", "user_7", timeout=10) == {"success": True, "room": "user_7"}
    client.disconnect()


def post_in_chunks(system, chunks):
    connection = http.client.HTTPConnection("127.0.0.1", system.settings.port, timeout=30)
    try:
        connection.request(
            "POST",
            "/api/cto/jobs",
            body=iter(chunks),
            headers={"Content-Type": "application/json", "Transfer-Encoding": "chunked"},
            encode_chunked=True,
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_body_in_chunks_is_read(system):
    text = json.dumps(operation(userId="chunks")).encode()
    status, answer = post_in_chunks(system, [text[:5], text[5:6], text[6:]])
    assert status == 202, answer
    assert system.ended(answer["data"]["jobId"])["latestProgress"]["userId"] == "chunks"


@pytest.mark.parametrize("size", [32_769, 10_000_000])
def test_a_body_in_chunks_that_is_too_large_is_refused(system, size):
    status, answer = post_in_chunks(system, [b"x" * min(size - at, 65_536) for at in range(0, size, 65_536)])
    assert (status, answer["error"]["code"]) == (413, "body_too_large")


def test_a_body_in_chunks_may_be_as_large_as_any_other_and_is_never_cut_off(system):
    text = json.dumps(operation(userId="large")).encode()
    assert post_in_chunks(system, [text.ljust(32_768)])[0] == 202
    assert post_in_chunks(system, [text.ljust(32_769)])[0] == 413
    assert post_in_chunks(system, [text.ljust(32_768), b"x" * 100])[0] == 413


@pytest.mark.parametrize("body", [b"zz\r\nno\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"5\r\n{"])
def test_chunks_that_are_none_are_the_clients_fault(system, body):
    connection = http.client.HTTPConnection("127.0.0.1", system.settings.port, timeout=30)
    try:
        connection.putrequest("POST", "/api/cto/jobs")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders(body)
        connection.sock.shutdown(1)  # SHUT_WR: no more is to come
        answer = connection.getresponse()
        assert answer.status == 400
        assert not json.loads(answer.read())["success"]
    finally:
        connection.close()
    assert requests.get(f"{system.url}/readyz", timeout=10).status_code == 200


def test_every_line_of_a_json_log_is_one_object(launch):
    system = launch("--no-flower", CTO_LOG_FORMAT="json").ready()
    assert requests.get(f"{system.url}/socket.io/?EIO=3", timeout=10).status_code == 400
    wait_until(lambda: "unsupported version" in system.said())
    system.stop()
    lines = [json.loads(line) for line in system.said().splitlines()]
    said = [line for line in lines if line["process"] == "gateway"]
    assert len([line for line in said if "unsupported version" in line["event"]]) == 1

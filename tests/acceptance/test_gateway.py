"""The running gateway: a hanging store, hosts and origins of stock clients, and chunked bodies."""

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


def test_requests_are_answered_503_while_the_store_hangs(launch):
    system = launch("--no-flower").ready()
    system.ended(system.submit())
    requested = [
        lambda: requests.get(f"{system.url}/readyz", timeout=30),
        lambda: requests.post(f"{system.url}/api/cto/jobs", json=operation(), timeout=30),
        lambda: requests.get(f"{system.url}/api/cto/jobs", timeout=30),
    ]
    with system.store() as store:
        pid = store.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for ask in requested * 2:  # on used connections, and on new ones
            answer, took_s = timed(ask)
            assert answer.status_code == 503, answer.text
            assert answer.json()["error"]["code"] == "store_unavailable"
            assert answer.headers["Retry-After"]
            assert took_s < 6
        assert requests.get(f"{system.url}/healthz", timeout=5).status_code == 200
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: requested[0]().status_code == 200)
    assert system.ended(system.submit())["status"] == "completed"


def connect_with(client, system, transport, headers):
    """Connect a stock client with these headers, which are options of websocket-client for WebSockets."""
    if transport == "websocket":
        client.eio.websocket_extra_options = {name.lower(): value for name, value in headers.items()}
    client.connect(
        system.url, headers=headers if transport == "polling" else {}, transports=[transport], wait_timeout=10
    )


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_foreign_host_is_refused_on_either_transport(system, transport):
    client = socketio.Client(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        connect_with(client, system, transport, FOREIGN)
    wait_until(lambda: "the host evil.example is not allowed" in system.output())


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_gateways_own_page_connects_on_either_transport(system, transport, name):
    host = f"{name}:{system.settings.port}"
    client = socketio.Client(reconnection=False)
    connect_with(client, system, transport, {"Host": host, "Origin": f"http://{host}"})
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


def test_a_chunked_body_is_read(system):
    text = json.dumps(operation(userId="chunks")).encode()
    status, answer = post_in_chunks(system, [text[:5], text[5:6], text[6:]])
    assert status == 202, answer
    assert system.ended(answer["data"]["jobId"])["latestProgress"]["userId"] == "chunks"


@pytest.mark.parametrize("size", [32_769, 10_000_000])
def test_a_chunked_body_that_is_too_large_is_refused(system, size):
    status, answer = post_in_chunks(system, [b"x" * min(size - at, 65_536) for at in range(0, size, 65_536)])
    assert (status, answer["error"]["code"]) == (413, "body_too_large")


def test_a_chunked_body_has_the_same_size_limit_as_any_body(system):
    text = json.dumps(operation(userId="large")).encode()
    assert post_in_chunks(system, [text.ljust(32_768)])[0] == 202
    assert post_in_chunks(system, [text.ljust(32_769)])[0] == 413
    assert post_in_chunks(system, [text.ljust(32_768), b"x" * 100])[0] == 413


@pytest.mark.parametrize("body", [b"zz\r\nno\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"5\r\n{"])
def test_malformed_chunks_are_refused(system, body):
    connection = http.client.HTTPConnection("127.0.0.1", system.settings.port, timeout=30)
    try:
        connection.putrequest("POST", "/api/cto/jobs")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders(body)
        connection.sock.shutdown(1)  # SHUT_WR: the body ends here
        answer = connection.getresponse()
        assert answer.status == 400
        assert not json.loads(answer.read())["success"]
    finally:
        connection.close()
    assert requests.get(f"{system.url}/readyz", timeout=10).status_code == 200


def test_a_library_message_is_one_object_of_a_json_log(launch):
    system = launch("--no-flower", CTO_LOG_FORMAT="json").ready()
    assert requests.get(f"{system.url}/socket.io/?EIO=3", timeout=10).status_code == 400
    wait_until(lambda: "unsupported version" in system.output())
    system.stop()
    lines = [json.loads(line) for line in system.output().splitlines()]
    of_gateway = [line for line in lines if line["process"] == "gateway"]
    assert len([line for line in of_gateway if "unsupported version" in line["event"]]) == 1

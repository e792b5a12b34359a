"""The running gateway: a hanging store, hosts and origins of stock clients, and chunked bodies."""

from __future__ import annotations

import http.client
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import socketio
import websocket
from support.samples import operation
from support.waiting import wait_until

FOREIGN = {"Host": "evil.example", "Origin": "http://evil.example"}


def at_once(calls):
    """Make these calls at the same time. Return their results in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: call(), calls))


def test_every_transport_reports_a_hanging_store(launch, opened):
    system = launch("--no-flower").ready()
    job_id = system.submit()
    system.ended(job_id)
    ws = opened(websocket.create_connection(system.url.replace("http", "ws", 1) + "/ws", timeout=30))
    requested = [
        lambda: requests.get(f"{system.url}/readyz", timeout=30),
        lambda: requests.post(f"{system.url}/api/cto/jobs", json=operation(), timeout=30),
        lambda: requests.get(f"{system.url}/api/cto/jobs", timeout=30),
        lambda: requests.get(f"{system.url}/api/cto/job/{job_id}/stream", timeout=30),
        lambda: requests.get(f"{system.url}/api/cto/stream?userId=7", timeout=30),
    ]
    with system.store() as store:
        pid = store.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        ws.send('{"type":"join","room":"user_7"}')
        assert "store_unavailable" in ws.recv()
        for _ in range(2):  # on used connections, and on new ones
            for answer in at_once(requested):
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
                assert answer.headers["Retry-After"]
        assert requests.get(f"{system.url}/healthz", timeout=30).status_code == 200
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

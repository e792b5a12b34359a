"""Callers of a system that requires tokens, their requests, and their connections."""

from __future__ import annotations

import json
import time

import requests
import websocket
from support.clients import EventStream, PythonClient, WebSocketClient
from support.samples import operation
from support.tokens import bearer, token, unsigned

CALLERS = {
    "user A": token("A"),
    "user B": token("B"),
    "admin": token("root", role="admin"),
    "service": token("bot", role="service"),
}

INVALID = {
    "no token": None,
    "garbage": "garbage",
    "alg none": unsigned(),
    "wrong key": token(key="another secret that is long enough to be one of HS256"),
    "expired": token(exp=time.time() - 60),
    "no exp": token(exp=None),
    "wrong audience": token(aud="others"),
}

BY_USER = {
    "/api/cto/jobs",
    "/api/cto/wallets",
    "/api/cto/jobs.csv",
    "/api/cto/jobs/summary",
    "/api/cto/stream",
}
TRANSPORTS = ("websocket", "polling", "ws", "sse")


def ask(system, method, rule, text, user="A"):
    """Send a request that concerns a user, with this token. Return its status and its error's code."""
    path = rule.replace("<job_id>", getattr(system, "job", ""))
    filtered = path in BY_USER and method == "GET"
    response = requests.request(
        method,
        system.url + path,
        params={"userId": user} if filtered else {"jobIds": system.job} if path.endswith("stats") else {},
        json={} if path.endswith("/resolve") else operation(userId=user) if path.endswith("/jobs") else None,
        headers=bearer(text) | ({"Idempotency-Key": "matrix"} if method == "POST" else {}),
        timeout=10,
        stream=True,
    )
    with response:
        if response.headers["Content-Type"].startswith("text/"):
            return response.status_code, None
        document = response.json()
        assert document["success"] or set(document["error"]) <= {"code", "message", "details"}
        return response.status_code, document.get("error", {}).get("code")


def handshake(system, text):
    """Open a WebSocket at ``/ws`` with this token. Return its status and its error's code."""
    address = system.url.replace("http", "ws", 1) + "/ws"
    try:
        websocket.create_connection(address, header=bearer(text), timeout=10).close()
    except websocket.WebSocketBadStatusException as error:
        return error.status_code, json.loads(error.resp_body)["error"]["code"]
    return 200, None


def connect(system, transport, text, user="A"):
    """Return a client of the user's room."""
    if transport == "ws":
        return WebSocketClient(system, f"user_{user}", token=text)
    if transport == "sse":
        client = EventStream(system, f"/api/cto/stream?userId={user}&token={text}")
        assert client.response.status == 200, client.response.read()
        return client.reading()
    client = PythonClient(system.url, transport, auth={"token": text}, reconnection=False)
    assert client.call("join_room", f"user_{user}") is None
    return client

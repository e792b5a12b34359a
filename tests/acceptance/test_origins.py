"""Every transport accepts the same hosts and origins, and every response has the security headers."""

from __future__ import annotations

import json
import re
import socket
from urllib.parse import urlsplit

import pytest
import requests
import socketio
from support.processes import environment
from support.system import System
from support.waiting import wait_until

LISTED, UNLISTED = "https://app.example", "https://evil.example"
SECURITY = {
    "content-security-policy": "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-",
}
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
TRANSPORTS = {
    "REST, reading": ("GET", "/api/cto/jobs", {}),
    "REST, writing": ("POST", "/api/cto/job/none/cancel", {}),
    "REST, preflight": ("OPTIONS", "/api/cto/jobs", {"Access-Control-Request-Method": "POST"}),
    "polling": ("GET", "/socket.io/?EIO=4&transport=polling", {}),
    "polling, preflight": (
        "OPTIONS",
        "/socket.io/?EIO=4&transport=polling",
        {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"},
    ),
    "Socket.IO": ("GET", "/socket.io/?EIO=4&transport=websocket", UPGRADE),
    "SSE": ("GET", "/api/cto/stream?userId=origins", {}),
    "/ws": ("GET", "/ws", UPGRADE),
}


@pytest.fixture(scope="module")
def listing():
    """A system that accepts two other origins."""
    system = System(environment(CTO_CORS_ORIGINS=f"http://other.example,{LISTED}"), "--no-flower").ready()
    yield system
    system.close()


def head_of(system, text):
    """Send bytes. Return the status and headers of the response, and the start of its body."""
    with socket.create_connection(("127.0.0.1", system.settings.port), timeout=20) as connection:
        connection.sendall(text.encode())
        data = b""
        while b"\r\n\r\n" not in data:
            received = connection.recv(65_536)
            assert received, data
            data += received
        head, _, body = data.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65_536)
    return int(status.split()[1]), headers, body.decode(errors="replace")


def asked(system, method, target, host=None, **headers):
    lines = {"Host": host or f"127.0.0.1:{system.settings.port}", "Content-Length": "0"} | headers
    return head_of(
        system,
        f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n",
    )


def origins(system):
    port = system.settings.port
    return {
        "own, by http": (f"http://127.0.0.1:{port}", True),
        "own, by https": (f"https://127.0.0.1:{port}", True),
        "listed": (LISTED, LISTED in system.settings.cors_origins),
        "unlisted": (UNLISTED, False),
        "own name, another port": ("http://127.0.0.1:1", False),
        "null": ("null", False),
        "missing": (None, True),
    }


def test_each_transport_accepts_the_same_origins(system, listing):
    wrong = []
    for gateway, setting in ((system, "without a list"), (listing, "with a list")):
        for transport, (method, target, more) in TRANSPORTS.items():
            for kind, (origin, allowed) in origins(gateway).items():
                for forwarded in ({}, {"X-Forwarded-Proto": "https"}, {"X-Forwarded-Host": "evil.example"}):
                    sent = more | forwarded | ({"Origin": origin} if origin else {})
                    status, headers, body = asked(gateway, method, target, **sent)
                    shared = headers.get("access-control-allow-origin")
                    if allowed:
                        right = status in {101, 200, 204, 404} and (shared == origin or status == 101)
                    else:
                        code = json.loads(body)["error"]["code"] if status == 403 else None
                        right = (code, shared) == ("origin_not_allowed", "*")  # the page may read why
                    if not right:
                        wrong.append((setting, transport, kind, forwarded, status, shared, body[:80]))
    assert not wrong


def test_without_authorization_each_transport_accepts_only_loopback_names(system):
    wrong = []
    for transport, (method, target, more) in TRANSPORTS.items():
        for host in ("evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[", "x@127.0.0.1", "127.0.0.1/x"):
            for origin in (None, f"http://{host}"):
                sent = more | ({"Origin": origin} if origin else {})
                status, _, body = asked(system, method, target, host=host, **sent)
                if status != 400 and (
                    status != 403 or json.loads(body)["error"]["code"] != "host_not_allowed"
                ):
                    wrong.append((transport, host, origin, status, body[:80]))
        for host in ("127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:3000"):
            status, _, body = asked(system, method, target, host=host, **more)
            if status not in {101, 200, 204, 404}:
                wrong.append((transport, host, status, body[:80]))
    assert not wrong


def test_stock_clients_of_own_and_listed_origins_connect(listing):
    own = f"http://127.0.0.1:{listing.settings.port}"
    for origin in (own, own.replace("http", "https"), LISTED):
        for transport in ("polling", "websocket"):
            client = socketio.Client(reconnection=False)
            if transport == "websocket":
                client.eio.websocket_extra_options = {"origin": origin}
            headers = {"Origin": origin} if transport == "polling" else {}
            client.connect(listing.url, headers=headers, transports=[transport], wait_timeout=10)
            answer = client.call("join_room", "user_7", timeout=10)
            assert answer == {"success": True, "room": "user_7"}, (origin, transport)
            client.disconnect()


def test_a_page_of_a_listed_origin_may_send_and_read_the_headers_of_the_api(listing):
    asking = {
        "Origin": LISTED,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }
    for target in ("/api/cto/jobs", "/socket.io/?EIO=4&transport=polling"):
        status, headers, _ = asked(listing, "OPTIONS", target, **asking)
        assert status == 204, target
        assert headers["access-control-allow-headers"] == "authorization,idempotency-key"
        assert "POST" in headers["access-control-allow-methods"]
    _, headers, _ = asked(listing, "GET", "/api/cto/jobs", Origin=LISTED)
    assert "Retry-After" in headers["access-control-expose-headers"]
    assert headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in headers
    _, headers, _ = asked(listing, "GET", "/socket.io/?EIO=3&transport=polling", Origin=LISTED)
    assert headers["access-control-allow-origin"] == LISTED, "otherwise a page could not read the refusal"
    assert headers["access-control-allow-credentials"] == "true", (
        "requests carry the cookie of a load balancer"
    )


def test_a_refused_origin_is_explained_to_the_operator_once(listing):
    for _ in range(30):
        for target in ("/socket.io/?EIO=4&transport=polling", "/api/cto/jobs"):
            _, _, body = asked(listing, "GET", target, Origin="https://logged.example")
            assert "'https://logged.example'" in json.loads(body)["error"]["message"]
    line = "the origin https://logged.example is not allowed: add it to CTO_CORS_ORIGINS"
    wait_until(lambda: line in listing.output())
    for number in range(300):
        asked(listing, "GET", "/ws", Origin=f"https://flood-{number}.example")
    assert listing.output().count("https://logged.example is not allowed") == 1
    assert listing.output().count("https://flood-") < 300


def test_every_response_has_the_security_headers(system):
    responses = {
        "a page": asked(system, "GET", "/"),
        "polling": asked(system, "GET", "/socket.io/?EIO=4&transport=polling"),
        "an unknown session": asked(system, "GET", "/socket.io/?EIO=4&transport=polling&sid=none"),
        "a method that is not allowed": asked(system, "DELETE", "/socket.io/?EIO=4&transport=polling"),
        "an unknown address": asked(system, "GET", "/nowhere"),
        "a refused origin": asked(system, "POST", "/api/cto/jobs", Origin=UNLISTED),
        "no WebSocket": asked(system, "GET", "/ws"),
        "a bad handshake": asked(system, "GET", "/ws", **UPGRADE | {"Connection": "close"}),
        "a bad head": head_of(system, "GET / HTTP/1.1\r\nno field\r\n\r\n"),
        "a long field": head_of(system, f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 9_000}\r\n\r\n"),
        "many long fields": head_of(
            system, "GET / HTTP/1.1\r\n" + f"X: {'x' * 8_000}\r\n" * 9 + "Host: localhost\r\n\r\n"
        ),
        "a long address": head_of(system, f"GET /{'x' * 40_000} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    }
    wrong = [
        (what, status, name, headers.get(name))
        for what, (status, headers, _) in responses.items()
        for name, part in SECURITY.items()
        if part not in headers.get(name, "")
        # A response without a body needs no cache-control.
        if name != "cache-control" or headers.get("content-length") != "0"
    ]
    assert not wrong
    assert {status for status, _, _ in responses.values()} >= {200, 400, 403, 404, 405, 414, 426}


def test_the_refusals_of_a_full_gateway_have_the_headers(launch):
    full = launch("--no-flower", CTO_MAX_SOCKETS="1", CTO_CORS_ORIGINS=LISTED).ready()
    client = socketio.Client(reconnection=False)
    client.connect(full.url, transports=["websocket"])
    for target in ("/socket.io/?EIO=4&transport=polling", "/ws", "/api/cto/stream?userId=7"):
        status, headers, body = asked(full, "GET", target, Origin=LISTED)
        assert (status, json.loads(body)["error"]["code"]) == (503, "too_many_connections"), target
        assert not [name for name, part in SECURITY.items() if part not in headers.get(name, "")], target
        assert headers["access-control-allow-origin"] == LISTED
    client.disconnect()


@pytest.mark.parametrize("parameter", ["j=0", "j=", "%6a=0", "%6A=1"])
def test_jsonp_is_refused(system, parameter):
    status, _, body = asked(system, "GET", f"/socket.io/?EIO=4&transport=polling&{parameter}")
    assert (status, json.loads(body)["error"]["code"]) == (400, "jsonp_not_supported")
    assert "___eio" not in body


def test_no_address_is_answered_with_a_redirect(system):
    paths = (
        "/api/cto//jobs",
        "//api/cto/jobs",
        "/api//cto/jobs",
        "/api/cto/jobs/",
        "/docs/",
        "/guide",
        "/guide/",
        "/socket.io",
        "/ws/",
        "/static//app.js",
        "/client//index.js",
        "/api/cto/job//status",
        "///evil.example/x",
        "/%2fevil.example",
        "/api/cto/%2e%2e//jobs",
    )
    for path in paths:
        status, headers, body = asked(system, "GET", f"{path}?token=SECRET")
        assert not 300 <= status < 400, (path, status)
        assert "location" not in headers, path
        assert "SECRET" not in body, path
    assert requests.get(f"{system.url}/api/cto//jobs", timeout=10, allow_redirects=False).status_code == 404


def test_a_client_cannot_forge_a_line_of_the_log(launch):
    system = launch("--no-flower").ready()  # python-engineio logs only the first invalid session
    forged = "gateway | 2001-01-01T00:00:00.000000Z [info     ] accepted from user:FORGED"
    target = f"/socket.io/?EIO=4&transport=polling&sid=x%0A{forged.replace(' ', '%20')}"
    origin = "https://evil.example\x1b[31m\x0b\x85RED"
    assert requests.get(
        f"{system.url}/ws", headers={"Origin": origin.encode("latin-1")}, timeout=10
    ).status_code in {400, 403}
    assert asked(system, "GET", target)[0] == 400
    wait_until(lambda: "FORGED" in system.output())
    lines = system.log.read_bytes().decode().split("\n")
    assert not [line for line in lines if line.startswith("gateway | gateway")]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", "".join(lines))
    assert urlsplit(system.url).port == system.settings.port

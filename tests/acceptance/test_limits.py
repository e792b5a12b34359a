"""Limits of each caller: requests in a period of time, and connections."""

from __future__ import annotations

import requests
from acceptance.guarded import CALLERS, TRANSPORTS, ask, connect, handshake
from support.clients import PythonClient
from support.tokens import GUARDED, bearer, token
from support.waiting import wait_until


def test_a_caller_that_exceeds_the_rate_limit_is_refused_with_a_time_to_retry(launch):
    system = launch("--no-flower", **GUARDED, CTO_RATE_LIMIT="20/hour").ready()

    def get(path="/api/cto/jobs", token=None):
        return requests.get(system.url + path, headers=bearer(token), timeout=10)

    first = get(token=CALLERS["user A"])
    assert (first.status_code, first.headers["X-RateLimit-Remaining"]) == (200, "19")
    assert "Retry-After" not in first.headers
    for _ in range(19):
        assert get(token=CALLERS["user A"]).status_code == 200
    refused = get(token=CALLERS["user A"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 3_600
    assert get(token=CALLERS["user B"]).status_code == 200
    for _ in range(30):
        assert get(token=CALLERS["service"]).status_code == 200
        assert get("/healthz").status_code == 200
    statuses = [get(token="guess").status_code for _ in range(21)]
    assert statuses == [401] * 20 + [429]


def test_each_user_has_a_limited_number_of_connections_over_all_transports(launch, opened):
    limits = {"CTO_MAX_USER_SOCKETS": "3", "CTO_RATE_LIMIT": "1000000/minute"}
    system = launch("--no-flower", **GUARDED, **limits).ready()

    def refusal(transport, user):
        if transport == "ws":
            return handshake(system, token(user))[1]
        if transport == "sse":
            return ask(system, "GET", "/api/cto/stream", token(user), user)[1]
        client = PythonClient(system.url, transport, auth={"token": token(user)}, reconnection=False)
        client.close()
        return client.refusal

    for transport in TRANSPORTS:
        user = f"user-of-{transport}"  # connections that have just been closed may still be counted
        clients = [opened(connect(system, transport, token(user), user)) for _ in range(3)]
        for other in TRANSPORTS:
            assert refusal(other, user) == "too_many_connections", (transport, other)
        others = [opened(connect(system, transport, CALLERS["admin"]))]
        others += [opened(connect(system, transport, CALLERS["service"])) for _ in range(4)]  # not limited
        clients[0].close()
        wait_until(lambda transport=transport, user=user: refusal(transport, user) is None)
        for client in [*clients[1:], *others]:
            client.close()

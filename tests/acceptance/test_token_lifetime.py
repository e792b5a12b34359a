"""Connections and requests of callers with a token that expires, is revoked or is renewed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import requests
from acceptance.guarded import CALLERS, TRANSPORTS, ask, connect
from support.clients import PythonClient
from support.tokens import bearer, token
from support.waiting import assert_stays, wait_until

from api.auth.token_revocations import revoke
from api.cli.job_watcher import watch_room
from api.cli.rest_client import RestClient
from api.realtime.connection_registry import TOKEN_CHECK_INTERVAL_S

LIFETIME_S = 8  # of a token that expires during a test; all clients must connect before
RENEWABLE = [transport for transport in TRANSPORTS if transport != "sse"]


def codes(client):
    """Return the codes of the errors that ended, or will end, the connection."""
    errors = [line.get("auth_expired", line) for line in client.lines]
    return [error["code"] for error in errors if "code" in error]


def test_tokens_are_checked_several_times_within_a_second():
    assert TOKEN_CHECK_INTERVAL_S <= 0.5, "an expired or revoked token ends a connection within a second"


def test_a_client_is_notified_and_disconnected_when_its_token_expires(guarded, opened):
    expires_s = int(time.time()) + LIFETIME_S
    expiring = token("A", exp=expires_s)
    clients = {transport: opened(connect(guarded, transport, expiring)) for transport in TRANSPORTS}
    for transport, client in clients.items():
        wait_until(client.has_ended)
        assert time.time() >= expires_s, transport
        assert codes(client) == ["token_expired"], transport


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("revoked", ["token", "user"])
def test_a_revoked_client_is_disconnected(guarded, opened, transport, revoked):
    name = f"{transport}-{revoked}"
    client = opened(connect(guarded, transport, token(name, role="admin", jti=name)))
    other = opened(connect(guarded, transport, token("A")))
    with guarded.store() as store:
        revoke(store, **({"token_id": name} if revoked == "token" else {"user_id": name}), keep_s=60)
    wait_until(client.has_ended)
    assert codes(client) == ["token_revoked"]
    assert not other.has_ended()


def test_a_client_that_renews_its_token_in_time_stays_connected(guarded, opened):
    expires_s = int(time.time()) + LIFETIME_S
    expiring = token("A", exp=expires_s)
    clients = {transport: opened(connect(guarded, transport, expiring)) for transport in RENEWABLE}
    for transport, client in clients.items():
        for text, code in {
            token("B"): "user_mismatch",
            token("A", role="admin"): "user_mismatch",
            "garbage": "invalid_token",
            token("A"): None,
        }.items():
            assert client.call("auth_refresh", {"token": text}) == code, transport
    counts = [len(codes(client)) for client in clients.values()]
    assert_stays(
        lambda: not any(client.has_ended() for client in clients.values()), expires_s + 1.5 - time.time()
    )
    assert [len(codes(client)) for client in clients.values()] == counts


def test_a_watch_continues_with_a_new_token_and_ends_without_one(guarded):
    shown, issued = [], []

    def new_token():
        issued.append(time.time() + LIFETIME_S * (-1 if len(issued) == 2 else 1))
        return token("watched", exp=issued[-1])

    with ThreadPoolExecutor(1) as pool:
        gateway, screen = RestClient(guarded.url, new_token), SimpleNamespace(show=shown.append)
        watch = pool.submit(watch_room, gateway, "user_watched", screen)
        wait_until(lambda: len(issued) == 2 and guarded.is_followed("user_watched"))
        assert ask(guarded, "POST", "/api/cto/jobs", CALLERS["service"], user="watched") == (202, None)
        wait_until(lambda: "completed" in [event["status"] for event in shown])
        assert watch.exception(60).code == "token_expired"
        assert len(issued) == 3


def test_revoked_tokens_and_all_tokens_of_revoked_users_are_refused(guarded, opened):
    def status(text):
        return requests.get(f"{guarded.url}/api/cto/jobs", headers=bearer(text), timeout=10).status_code

    of_carol, of_dave = (guarded.cto("token", "--user", user).stdout.strip() for user in ("carol", "dave"))
    named = token("erin", jti="one")
    assert [status(text) for text in (of_carol, of_dave, named)] == [200, 200, 200]
    assert guarded.cto("revoke", "--user", "carol").returncode == 0
    assert guarded.cto("revoke", "--jti", "one").returncode == 0
    wait_until(lambda: (status(of_carol), status(named)) == (401, 401))
    assert status(of_dave) == 200
    assert status(token("erin", jti="two")) == 200
    assert status(token("carol", iat=time.time() + 2)) == 200  # issued later
    client = PythonClient(guarded.url, "websocket", auth={"token": of_carol}, reconnection=False)
    assert opened(client).refusal == "token_revoked"

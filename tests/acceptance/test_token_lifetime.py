"""Connections and requests of callers with a token that expires, is revoked or is renewed."""

from __future__ import annotations

import time

import pytest
import requests
from acceptance.guarded import TRANSPORTS, connect
from support.clients import PythonClient
from support.tokens import bearer, token
from support.waiting import assert_stays, wait_until

from api.auth.token_revocations import revoke

MARGIN_S = 1.0  # added to promised times on a busy machine
RENEWABLE = [transport for transport in TRANSPORTS if transport != "sse"]


def codes(client):
    """Return the codes of the errors that ended, or will end, the connection."""
    errors = [line.get("auth_expired", line) for line in client.lines]
    return [error["code"] for error in errors if "code" in error]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_client_is_notified_and_disconnected_when_its_token_expires(guarded, opened, transport):
    expires_s = int(time.time()) + 4
    client = opened(connect(guarded, transport, token("A", exp=expires_s)))
    wait_until(client.has_ended, timeout_s=10)
    assert 0 <= time.time() - expires_s < 1 + MARGIN_S
    assert codes(client) == ["token_expired"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("revoked", ["token", "user"])
def test_a_revoked_client_is_disconnected_within_a_second(guarded, opened, transport, revoked):
    name = f"{transport}-{revoked}"
    client = opened(connect(guarded, transport, token(name, role="admin", jti=name)))
    other = opened(connect(guarded, transport, token("A")))
    with guarded.store() as store:
        revoke(store, **({"token_id": name} if revoked == "token" else {"user_id": name}), keep_s=60)
    wait_until(client.has_ended, timeout_s=1 + MARGIN_S)
    assert codes(client) == ["token_revoked"]
    assert not other.has_ended()


@pytest.mark.parametrize("transport", RENEWABLE)
def test_a_client_that_renews_its_token_in_time_stays_connected(guarded, opened, transport):
    expires_s = int(time.time()) + 3
    client = opened(connect(guarded, transport, token("A", exp=expires_s)))
    for text, code in {
        token("B"): "user_mismatch",
        token("A", role="admin"): "user_mismatch",
        "garbage": "invalid_token",
        token("A"): None,
    }.items():
        assert client.call("auth_refresh", {"token": text}) == code
    count = len(codes(client))
    assert_stays(lambda: not client.has_ended(), expires_s + 1.5 - time.time())
    assert len(codes(client)) == count


def test_revoked_tokens_and_all_tokens_of_revoked_users_are_refused_within_a_second(guarded, opened):
    def status(text):
        return requests.get(f"{guarded.url}/api/cto/jobs", headers=bearer(text), timeout=10).status_code

    of_carol, of_dave = (guarded.cto("token", "--user", user).stdout.strip() for user in ("carol", "dave"))
    named = token("erin", jti="one")
    assert [status(text) for text in (of_carol, of_dave, named)] == [200, 200, 200]
    assert guarded.cto("revoke", "--user", "carol").returncode == 0
    assert guarded.cto("revoke", "--jti", "one").returncode == 0
    wait_until(lambda: (status(of_carol), status(named)) == (401, 401), timeout_s=1)
    assert status(of_dave) == 200
    assert status(token("erin", jti="two")) == 200
    assert status(token("carol", iat=time.time() + 2)) == 200  # issued later
    client = PythonClient(guarded.url, "websocket", auth={"token": of_carol}, reconnection=False)
    assert opened(client).refusal == "token_revoked"

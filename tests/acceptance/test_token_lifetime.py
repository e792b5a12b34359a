"""Connections and requests of callers with a token that expires, is revoked or is renewed."""

from __future__ import annotations

import time

import pytest
import requests
from acceptance.guarded import CALLERS, TRANSPORTS, connect
from support.clients import PythonClient
from support.processes import BIN, Process, inherited_environment, run
from support.samples import operation
from support.tokens import bearer, token
from support.waiting import assert_stays, wait_until

from api.auth.token_revocations import revoke
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


class Watch:
    """``cto watch`` of a user's jobs."""

    def __init__(self, system, user, env, log):
        self.system, self.user, self.log = system, user, log
        self.process = Process([BIN / "cto", "watch", "--user", user], env, log).process
        wait_until(lambda: system.is_followed(f"user_{user}"))

    def shows_a_new_job(self):
        body, headers = operation(userId=self.user, walletCount=1), bearer(CALLERS["service"])
        response = requests.post(f"{self.system.url}/api/cto/jobs", json=body, headers=headers, timeout=10)
        assert response.status_code == 202, response.text
        wait_until(lambda: "100.00 %" in self.log.read_text())

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def watching(guarded, opened, tmp_path):
    """Watch the jobs of a user with the token in a file: ``watching(user, token)`` returns both."""

    def watching(user, text):
        file, env = tmp_path / "token", inherited_environment() | {"XDG_CONFIG_HOME": str(tmp_path)}
        file.write_text(text)
        done = run([BIN / "cto", "login", "--url", guarded.url, "--token-command", f"cat {file}"], env)
        assert done.returncode == 0, done.stderr
        return opened(Watch(guarded, user, env, tmp_path / "watch.log")), file

    return watching


def test_a_watch_uses_a_new_token_before_the_old_one_expires(watching):
    expires_s = int(time.time()) + LIFETIME_S
    watch, file = watching("renewing", token("renewing", exp=expires_s))
    file.write_text(token("renewing"))
    assert_stays(lambda: watch.process.poll() is None, expires_s + 1.5 - time.time())
    watch.shows_a_new_job()
    assert "lost" not in watch.log.read_text()


def test_a_watch_ends_when_its_token_is_revoked(guarded, watching):
    watch, _ = watching("ended", token("ended", jti="of a watch"))
    with guarded.store() as store:
        revoke(store, token_id="of a watch", keep_s=60)
    assert watch.process.wait(60) == 1
    assert "token_revoked" in watch.log.read_text()


def test_a_watch_that_issues_its_tokens_continues_after_one_is_revoked(guarded, opened, tmp_path):
    watch = opened(Watch(guarded, "continuing", guarded.env, tmp_path / "watch.log"))
    with guarded.store() as store:
        revoke(store, user_id="cto", keep_s=60)
    wait_until(lambda: "connected to" in watch.log.read_text())
    wait_until(lambda: guarded.is_followed("user_continuing"))
    watch.shows_a_new_job()


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

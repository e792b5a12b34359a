"""The key set at ``CTO_JWKS_URL``: when it is fetched, and how long cached keys are used."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from contextlib import suppress

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support.tokens import AUDIENCE, token
from support.waiting import wait_until

from api.auth import jwks_key_set as tested
from api.auth.tokens import make_verifier
from api.errors import KeysUnavailableError, UnauthorizedError
from cto_worker.config import Settings

RSA = rsa.generate_private_key(65_537, 2_048)
EC = ec.generate_private_key(ec.SECP256R1())
OF_ONE = token(key=RSA, algorithm="RS256", headers={"kid": "one"})
OF_UNKNOWN = token(key=RSA, algorithm="RS256", headers={"kid": "unknown"})


class KeySetServer:
    """Publishes keys, as an identity provider does."""

    def __init__(self):
        self.keys, self.requests, self.broken = {}, 0, False
        self.responds = threading.Event()  # while it is not set, requests get no response
        self.responds.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests += 1
                outer.responds.wait(60)
                self.send_response(500 if outer.broken else 200)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": list(outer.keys.values())}).encode())

            def log_message(self, *_):
                pass

            def handle(self):
                with suppress(OSError):  # the client has closed the connection
                    super().handle()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"

    def publish(self, name, key, **members):
        algorithm = jwt.algorithms.RSAAlgorithm if key is RSA else jwt.algorithms.ECAlgorithm
        document = (
            {"kty": "oct", "k": "c2VjcmV0" * 8}
            if key is None
            else algorithm.to_jwk(key.public_key(), as_dict=True)
        )
        self.keys[name] = document | {"kid": name, "use": "sig"} | members

    def close(self):
        self.responds.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def key_set():
    server = KeySetServer()
    yield server
    server.close()


def of_key_set(server):
    return make_verifier(Settings(jwks_url=server.url, jwt_audience=AUDIENCE))


def test_keys_are_fetched_once_and_again_for_a_new_key(key_set, monkeypatch):
    monkeypatch.setattr(tested, "COOLDOWN_S", 0)
    key_set.publish("one", RSA)
    verify = of_key_set(key_set)
    first = token(key=RSA, algorithm="RS256", headers={"kid": "one"})
    for _ in range(5):
        assert verify(first).user_id == "A"
    assert key_set.requests == 1
    key_set.publish("two", EC)
    assert verify(token(key=EC, algorithm="ES256", headers={"kid": "two"})).user_id == "A"
    assert key_set.requests == 2


def test_tokens_with_unknown_keys_cause_no_further_fetches(key_set):
    key_set.publish("one", RSA)
    verify = of_key_set(key_set)
    for number in range(20):
        with pytest.raises(UnauthorizedError):
            verify(token(key=RSA, algorithm="RS256", headers={"kid": f"unknown {number}"}))
    assert key_set.requests == 1


def test_a_key_of_a_set_is_for_one_algorithm_and_never_a_secret(key_set):
    key_set.publish("one", RSA)
    key_set.publish("secret", None)
    key_set.publish("odd", RSA, alg="PS256")
    verify = of_key_set(key_set)
    secret = base64.urlsafe_b64decode("c2VjcmV0" * 8)
    for bad in (
        token(key=secret, headers={"kid": "secret"}),
        token(key=secret, headers={"kid": "one"}),
        token(key=EC, algorithm="ES256", headers={"kid": "one"}),
        token(key=RSA, algorithm="PS256", headers={"kid": "odd"}),
        token(key=RSA, algorithm="RS256"),
    ):
        with pytest.raises(UnauthorizedError):
            verify(bad)


def test_while_the_key_set_is_unreachable_tokens_are_refused_at_once(key_set):
    key_set.broken = True
    verify = of_key_set(key_set)
    text = token(key=RSA, algorithm="RS256", headers={"kid": "one"})
    for _ in range(10):
        with pytest.raises(KeysUnavailableError):
            verify(text)
    assert key_set.requests == 1


@pytest.fixture
def published(key_set, monkeypatch):
    """A verifier that has the key "one" cached, and may fetch again at once."""
    monkeypatch.setattr(tested, "COOLDOWN_S", 0)
    monkeypatch.setattr(tested, "RETRY_S", 0)
    monkeypatch.setattr(tested, "TIMEOUT_S", 60)
    key_set.publish("one", RSA)
    verify = of_key_set(key_set)
    assert verify(OF_ONE).user_id == "A"
    return verify


@pytest.mark.parametrize("retry_s", [0, 60])
def test_a_cached_key_is_used_while_tokens_with_unknown_keys_arrive(key_set, published, monkeypatch, retry_s):
    monkeypatch.setattr(tested, "RETRY_S", retry_s)
    key_set.broken = True
    for _ in range(10):
        with pytest.raises(KeysUnavailableError):
            published(OF_UNKNOWN)
        assert published(OF_ONE).user_id == "A"


def test_while_a_fetch_hangs_only_tokens_that_need_it_wait(key_set, published, monkeypatch):
    before, refused = key_set.requests, []
    key_set.responds.clear()

    def verify_unknown():
        with pytest.raises(UnauthorizedError):
            published(OF_UNKNOWN)
        refused.append(True)

    monkeypatch.setattr(tested, "COOLDOWN_S", 60)
    threads = [threading.Thread(target=verify_unknown) for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_until(lambda: key_set.requests == before + 1)
    for _ in range(100):
        assert published(OF_ONE).user_id == "A"
    assert not refused
    key_set.responds.set()
    for thread in threads:
        thread.join()
    assert (len(refused), key_set.requests) == (5, before + 1), "one fetch serves all"


def test_an_old_set_is_used_while_it_cannot_be_fetched(key_set, published, monkeypatch):
    monkeypatch.setattr(tested, "LIFESPAN_S", 0)
    key_set.broken = True
    for _ in range(5):
        assert published(OF_ONE).user_id == "A"
    monkeypatch.setattr(tested, "STALE_S", 0)
    with pytest.raises(KeysUnavailableError):
        published(OF_ONE)
    key_set.broken = False
    monkeypatch.undo()
    wait_until(lambda: accepted(published, OF_ONE))


def test_an_old_set_is_used_while_a_fetch_hangs(key_set, published, monkeypatch):
    monkeypatch.setattr(tested, "LIFESPAN_S", 0)
    before = key_set.requests
    key_set.responds.clear()
    fetches = threading.Thread(target=published, args=[OF_ONE])
    fetches.start()
    wait_until(lambda: key_set.requests == before + 1)
    monkeypatch.setattr(tested, "TIMEOUT_S", 0.01)
    for _ in range(5):
        assert published(OF_ONE).user_id == "A"
    with pytest.raises(KeysUnavailableError):
        published(OF_UNKNOWN)
    assert fetches.is_alive()
    key_set.responds.set()
    fetches.join()


def accepted(verify, text):
    try:
        return verify(text)
    except KeysUnavailableError:
        return None


def test_a_set_is_fetched_again_before_a_token_waits_for_it(key_set, published, monkeypatch):
    monkeypatch.setattr(tested, "REFRESH_S", 0)
    key_set.responds.clear()
    before = key_set.requests
    for _ in range(20):
        assert published(OF_ONE).user_id == "A"
    wait_until(lambda: key_set.requests == before + 1)
    key_set.responds.set()
    wait_until(lambda: published(OF_ONE) and key_set.requests > before + 1)


@pytest.mark.parametrize("others", [True, False], ids=["another key", "an empty set"])
def test_a_withdrawn_key_is_refused_once_the_set_is_old(key_set, published, monkeypatch, others):
    key_set.keys.clear()
    if others:
        key_set.publish("two", EC)
    assert published(OF_ONE).user_id == "A"
    monkeypatch.setattr(tested, "LIFESPAN_S", 0)
    with pytest.raises(UnauthorizedError):
        published(OF_ONE)

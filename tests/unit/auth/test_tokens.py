"""Tokens: which are accepted, and which are refused with which reason."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from support.tokens import AUDIENCE, SECRET, claims, token, unsigned

from api.auth.caller import Role
from api.auth.token_issuer import issue
from api.auth.tokens import make_verifier
from api.errors import UnauthorizedError
from cto_worker.config import Settings
from cto_worker.errors import ConfigError

SETTINGS = Settings(jwt_secret=SECRET, jwt_audience=AUDIENCE)
RSA = rsa.generate_private_key(65_537, 2_048)
EC = ec.generate_private_key(ec.SECP256R1())


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def refused(settings, text, code="invalid_token"):
    with pytest.raises(UnauthorizedError) as caught:
        make_verifier(settings)(text)
    assert caught.value.code == code
    assert text not in str(caught.value)
    return str(caught.value)


def test_a_valid_token_has_user_role_and_id():
    caller = make_verifier(SETTINGS)(token("A", jti="t1"))
    assert (caller.user_id, caller.role, caller.token_id) == ("A", Role.USER, "t1")
    assert caller.expires_s - caller.issued_s == 3_600


@pytest.mark.parametrize("role", list(Role))
def test_an_issued_token_is_accepted(role):
    settings = replace(SETTINGS, jwt_issuer="https://issuer.example")
    caller = make_verifier(settings)(issue(settings, "A", role, 60))
    assert (caller.user_id, caller.role) == ("A", role)
    assert caller.token_id


@pytest.mark.parametrize("name", ["exp", "iat", "sub", "aud"])
def test_a_missing_claim_is_named(name):
    assert name in refused(SETTINGS, token(**{name: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "others"},
        {"aud": ["others"]},
        {"sub": ""},
        {"sub": "a b"},
        {"role": "root"},
        {"role": ["admin"]},
        {"role": {"admin": 1}},
        {"jti": 7},
        {"iat": 99_999_999_999},
        {"iat": True},
        {"iat": "yesterday"},
        {"iat": float("nan")},
        {"iat": -1e308},
        {"exp": 10**400},
        {"exp": float("inf")},
        {"nbf": 99_999_999_999},
    ],
    ids=str,
)
def test_a_wrong_claim_is_refused(changes):
    if "jti" in changes:  # which PyJWT would not sign
        body = base64.urlsafe_b64encode(json.dumps(claims(**changes)).encode()).decode().rstrip("=")
        head = token().split(".")[0]
        text = f"{head}.{body}"
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
            text.encode(), SECRET.encode()
        )
        refused(SETTINGS, f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")
    else:
        refused(SETTINGS, token(**changes))


def test_an_issuers_clock_may_be_a_little_ahead():
    make_verifier(SETTINGS)(token(iat=time.time() + 20))


def test_an_expired_token_is_refused_with_its_own_code():
    refused(SETTINGS, token(exp=time.time() - 1), "token_expired")


def test_a_token_with_an_audience_is_refused_if_none_is_configured():
    assert "audience" in refused(replace(SETTINGS, jwt_audience=""), token())
    make_verifier(replace(SETTINGS, jwt_audience=""))(token(aud=None))


def test_another_issuers_token_is_refused():
    settings = replace(SETTINGS, jwt_issuer="https://issuer.example")
    make_verifier(settings)(token(iss="https://issuer.example"))
    assert "issuer" in refused(settings, token(iss="https://other.example"))
    assert "iss" in refused(settings, token())


def test_a_token_without_a_valid_signature_is_refused():
    refused(SETTINGS, token(key="another secret of more than thirty-two bytes"))
    refused(SETTINGS, unsigned())
    refused(SETTINGS, token()[:-4] + "AAAA")
    refused(SETTINGS, token(algorithm="HS512"))
    refused(SETTINGS, token(key=RSA, algorithm="RS256"))
    refused(SETTINGS, "x" * 10_000)


@given(st.text(max_size=200) | st.lists(st.text(max_size=30), min_size=3, max_size=3).map(".".join))
def test_garbage_is_refused(text):
    refused(SETTINGS, f"{text}.")


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256")], ids=["RS256", "ES256"])
def test_a_public_key_decides_the_algorithm(key, algorithm):
    settings = Settings(jwt_public_key=pem(key), jwt_audience=AUDIENCE)
    assert make_verifier(settings)(token(key=key, algorithm=algorithm)).user_id == "A"
    escaped = replace(settings, jwt_public_key=pem(key).replace("\n", "\\n"))
    assert make_verifier(escaped)(token(key=key, algorithm=algorithm)).user_id == "A"
    refused(settings, token(key=key, algorithm={"RS256": "PS256", "ES256": "ES256"}[algorithm], aud="x"))
    # The public key as a secret (RFC 8725, 2.1): PyJWT itself would not sign this.
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "HS256", "typ": "JWT"}, claims())
    )
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = mac.sign(f"{head}.{body}".encode(), pem(key).encode())
    refused(settings, f"{head}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"jwt_secret": "too short"},
        {"jwt_secret": SECRET, "jwks_url": "http://127.0.0.1/"},
        {"jwt_public_key": "no key"},
        {"jwt_public_key": pem(rsa.generate_private_key(65_537, 1_024))},
        {"jwt_public_key": pem(ec.generate_private_key(ec.SECP384R1()))},
    ],
    ids=["none", "short", "two", "no key", "RSA 1024", "P-384"],
)
def test_a_gateway_without_exactly_one_valid_key_does_not_start(changes):
    with pytest.raises(ConfigError):
        make_verifier(Settings(**changes))

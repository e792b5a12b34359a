"""Tokens as an issuer signs them, valid and not, and the settings of a system that accepts them."""

from __future__ import annotations

import base64
import json
import time

import jwt

SECRET = "a secret that is long enough for every algorithm, and for nothing but tests"
AUDIENCE = "cto-tests"
GUARDED = {"CTO_AUTH": "required", "CTO_JWT_SECRET": SECRET, "CTO_JWT_AUDIENCE": AUDIENCE}


def claims(user_id="A", **changes):
    """Return valid claims. A change to ``None`` leaves a claim out."""
    now_s = int(time.time())
    valid = {"sub": user_id, "iat": now_s, "exp": now_s + 3_600, "aud": AUDIENCE}
    return {name: value for name, value in (valid | changes).items() if value is not None}


def token(user_id="A", *, key=SECRET, algorithm="HS256", headers=None, **changes):
    return jwt.encode(claims(user_id, **changes), key, algorithm=algorithm, headers=headers)


def bearer(text):
    """Return the headers of a request with this token. ``None``: without a token."""
    return {} if text is None else {"Authorization": f"Bearer {text}"}


def unsigned(user_id="A"):
    """Return a token with the algorithm "none", which has no signature (RFC 8725, 2.1)."""
    parts = ({"alg": "none", "typ": "JWT"}, claims(user_id))
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), ""]
    )

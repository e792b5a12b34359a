"""Signing tokens as whoever issues them does, well and badly."""

from __future__ import annotations

import base64
import json
import time

import jwt

SECRET = "a secret that is long enough for every algorithm, and for nothing but tests"
AUDIENCE = "cto-tests"


def claims(user_id="A", **changes):
    """Return good claims; a change to ``None`` leaves a claim out."""
    now_s = int(time.time())
    good = {"sub": user_id, "iat": now_s, "exp": now_s + 600, "aud": AUDIENCE}
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(user_id="A", *, key=SECRET, algorithm="HS256", headers=None, **changes):
    return jwt.encode(claims(user_id, **changes), key, algorithm=algorithm, headers=headers)


def unsigned(user_id="A"):
    """Return a token that says it needs no signature (RFC 8725, 2.1)."""
    parts = ({"alg": "none", "typ": "JWT"}, claims(user_id))
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), ""]
    )

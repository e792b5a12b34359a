"""When an access token must be replaced by a new one."""

from __future__ import annotations

import math

import jwt

MARGIN_S = 5.0  # a token is replaced this long before it expires


def replaced_at(token: str) -> float:
    """Return when a token must be replaced, in seconds since the epoch; infinity if it has no expiry."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return float(claims.get("exp", math.inf)) - MARGIN_S
    except (jwt.InvalidTokenError, TypeError, ValueError):
        return math.inf

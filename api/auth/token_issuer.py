"""Signs tokens with ``CTO_JWT_SECRET``.

Most commands need a token, so this module imports only what that takes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jwt

from api.auth.caller import Role
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from cto_worker.config import Settings

MIN_SECRET_BYTES = 32  # RFC 7518, section 3.2: the size of the hash


def issue(settings: Settings, user_id: str, role: Role, lifetime_s: int) -> str:
    """Return a token signed with ``CTO_JWT_SECRET``. Raises :class:`ConfigError` if that is not set."""
    if not settings.jwt_secret:
        raise ConfigError("CTO_JWT_SECRET is not set, so no token can be signed: set it")
    now_s = int(time.time())
    claims: dict[str, Any] = {
        "sub": user_id,
        "iat": now_s,
        "exp": now_s + lifetime_s,
        "jti": str(uuid4()),
        **({} if role is Role.USER else {"role": role.value}),
        **({"aud": settings.jwt_audience} if settings.jwt_audience else {}),
        **({"iss": settings.jwt_issuer} if settings.jwt_issuer else {}),
    }
    return jwt.encode(claims, secret_key(settings.jwt_secret), algorithm="HS256")


def secret_key(text: str) -> bytes:
    """Return the key of ``CTO_JWT_SECRET``. Raises :class:`ConfigError` if it is too short."""
    secret = text.encode()
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"CTO_JWT_SECRET has {len(secret)} bytes, but needs at least {MIN_SECRET_BYTES}: "
            "use the output of `openssl rand -hex 32`, for example"
        )
    return secret

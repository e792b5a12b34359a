"""Tokens: JSON Web Tokens (RFC 7519) that say who is asking, and until when."""

from __future__ import annotations

import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.exceptions import (
    ExpiredSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    MissingRequiredClaimError,
    PyJWTError,
)

from api.auth.key_set import KeySet, SigningKey
from api.auth.policy import Caller, Role
from api.errors import ERRORS, UnauthorizedError
from cto_worker.domain.request import USER_ID
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.config import Settings

MIN_SECRET_BYTES = 32  # RFC 7518, 3.2: as long as the hash
MIN_RSA_BITS = 2_048  # RFC 7518, 3.3
MAX_TOKEN_CHARS = 8_192
JWT_DOTS = 2  # header.payload.signature
MAX_SECONDS = 2**53
REMEMBERED_TOKENS = 4_096  # whose signatures have been verified
CLOCK_SKEW_S = 60  # how far the clock of who issues tokens may be ahead
EXPIRED = ("token_expired", ERRORS["token_expired"].message)
_ASYMMETRIC = ("RS256", "ES256")
_OPTIONS = {
    "require": ["exp", "iat", "sub"],
    "enforce_minimum_key_length": True,
    "verify_iat": False,  # PyJWT allows no skew without allowing it for `exp`, too
}


def make_verifier(settings: Settings) -> Callable[[str], Caller]:
    """Return what checks a token and tells whose it is. The settings, never a token, choose the algorithm.

    It raises :class:`UnauthorizedError` ``token_expired`` or ``invalid_token``, and
    :class:`~api.errors.KeysUnavailableError`. Raises :class:`ConfigError` unless the settings name
    exactly
    one good key.
    """
    key_of = _keys(settings)

    # A client sends its token with every request. A key that is fetched again is another object here.
    @lru_cache(maxsize=REMEMBERED_TOKENS)
    def caller_of(token: str, key: SigningKey) -> Caller:
        claims = jwt.decode(
            token,
            key.material,
            algorithms=[key.algorithm],
            audience=settings.jwt_audience or None,
            issuer=settings.jwt_issuer or None,
            options=_OPTIONS,  # type: ignore[arg-type]  # a dictionary will do
        )
        return _caller(claims)

    def verify(token: str) -> Caller:
        _check_form(token)
        try:
            who = caller_of(token, key_of(token))
        except ExpiredSignatureError as error:
            raise UnauthorizedError(*EXPIRED) from error
        except MissingRequiredClaimError as error:
            raise _invalid(f"it lacks the claim {error.claim}") from error
        except InvalidAudienceError as error:
            raise _invalid("it is for another audience") from error
        except InvalidIssuerError as error:
            raise _invalid("it is from another issuer") from error
        except (PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise _invalid("it is not one that is signed with the right key") from error
        if who.expires_s <= time.time():
            raise UnauthorizedError(*EXPIRED)
        return who

    return verify


def _check_form(token: str) -> None:
    if len(token) > MAX_TOKEN_CHARS:
        raise _invalid("it is too long")
    if token.count(".") != JWT_DOTS:
        raise _invalid("it is not a JWT, which has three parts with a dot between each")


def issue(settings: Settings, user_id: str, role: Role, lifetime_s: int) -> str:
    """Return a token signed with ``CTO_JWT_SECRET``. Raises :class:`ConfigError` when there is none."""
    if not settings.jwt_secret:
        raise ConfigError("only CTO_JWT_SECRET can sign tokens, and it is not set")
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
    return jwt.encode(claims, _secret(settings.jwt_secret), algorithm="HS256")


def _keys(settings: Settings) -> Callable[[str], SigningKey]:
    """What finds the key of a token."""
    named = [settings.jwt_secret, settings.jwt_public_key, settings.jwks_url]
    if sum(map(bool, named)) != 1:
        raise ConfigError(
            "CTO_AUTH=required needs exactly one of CTO_JWT_SECRET (such as `openssl rand -hex 32` prints), "
            f"CTO_JWT_PUBLIC_KEY and CTO_JWKS_URL, but {_given(settings)}. "
            "To try things out on this machine, set CTO_AUTH=off."
        )
    if settings.jwks_url:
        return partial(_key_in_set, KeySet(settings.jwks_url))
    secret, public_key = settings.jwt_secret, settings.jwt_public_key
    key = SigningKey(_secret(secret), "HS256") if secret else _public_key(public_key)
    return lambda _: key


def _given(settings: Settings) -> str:
    """Which sources of keys are set, in words."""
    named = {
        "CTO_JWT_SECRET": settings.jwt_secret,
        "CTO_JWT_PUBLIC_KEY": settings.jwt_public_key,
        "CTO_JWKS_URL": settings.jwks_url,
    }
    given = [name for name, value in named.items() if value]
    return f"{' and '.join(given)} are set" if given else "none of them is set"


def _secret(text: str) -> bytes:
    secret = text.encode()
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"CTO_JWT_SECRET has {len(secret)} bytes and needs {MIN_SECRET_BYTES} or more, "
            "such as `openssl rand -hex 32` prints"
        )
    return secret


def _public_key(pem: str) -> SigningKey:
    try:
        key = load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError("CTO_JWT_PUBLIC_KEY is no public key in PEM, with line ends or \\n") from error
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return SigningKey(key, "RS256")
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return SigningKey(key, "ES256")
    raise ConfigError(f"CTO_JWT_PUBLIC_KEY must be RSA with {MIN_RSA_BITS} bits or more, or EC on P-256")


def _key_in_set(key_set: KeySet, token: str) -> SigningKey:
    """Return a token's key, for the algorithm that the key set says."""
    key_id = jwt.get_unverified_header(token).get("kid")
    if not isinstance(key_id, str):
        raise _invalid("it names no key")
    key = key_set.find(key_id)
    if key is None:
        raise _invalid("its key is not in the key set")
    if key.algorithm not in _ASYMMETRIC:
        raise _invalid(f"its key is for {key.algorithm}")
    return key


def _caller(claims: dict[str, Any]) -> Caller:
    user_id, token_id = claims["sub"], claims.get("jti")
    if not (isinstance(user_id, str) and USER_ID.match(user_id)):
        raise _invalid("its claim sub is no user id")
    if not (token_id is None or isinstance(token_id, str)):
        raise _invalid("its claim jti is no text")
    issued_s, expires_s = (_seconds(claims, name) for name in ("iat", "exp"))
    if issued_s > time.time() + CLOCK_SKEW_S:
        raise _invalid("it was issued in the future")
    try:
        role = Role(claims.get("role", Role.USER))
    except ValueError as error:
        raise _invalid("its claim role is none that there is") from error
    return Caller(role, user_id, token_id, issued_s, expires_s)


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims[name]
    # JSON's numbers have no bounds, and Python takes NaN for one, which nothing is before or after.
    if type(value) not in (int, float) or not abs(value) < MAX_SECONDS:
        raise _invalid(f"its claim {name} is no time")
    return float(value)


def _invalid(why: str) -> UnauthorizedError:
    return UnauthorizedError("invalid_token", f"the token is not valid: {why}")

"""Verifies tokens: JSON Web Tokens (RFC 7519) with the user, the role and the expiry of a caller."""

from __future__ import annotations

import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

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

from api.auth.caller import Caller, Role
from api.auth.jwks_key_set import KeySet, SigningKey
from api.auth.origins_and_hosts import MAX_SHOWN
from api.auth.token_issuer import secret_key
from api.errors import ERRORS, UnauthorizedError
from cto_worker.domain.operation_request import USER_ID
from cto_worker.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.config import Settings

MIN_RSA_BITS = 2_048  # RFC 7518, section 3.3
MAX_TOKEN_CHARS = 8_192
JWT_DOTS = 2  # header.payload.signature
MAX_SECONDS = 2**53
VERIFIED_TOKENS = 4_096  # the size of the cache of tokens with a verified signature
CLOCK_SKEW_S = 60  # how far the clock of the tokens' issuer may be ahead
EXPIRED = ("token_expired", ERRORS["token_expired"].message)
_ASYMMETRIC = ("RS256", "ES256")
_OPTIONS = {
    "require": ["exp", "iat", "sub"],
    "enforce_minimum_key_length": True,
    "verify_iat": False,  # checked in _caller: PyJWT's leeway would apply to `exp`, too
}


def make_verifier(settings: Settings) -> Callable[[str], Caller]:
    """Return a function that verifies a token and returns its caller.

    The settings choose the algorithm, never the token. The function raises :class:`UnauthorizedError`
    ``token_expired`` or ``invalid_token``, and :class:`~api.errors.KeysUnavailableError`. Raises
    :class:`ConfigError` unless the settings contain exactly one valid key.
    """
    key_of = _keys(settings)

    # Cached, since a client sends its token with every request. Keys of a new key set are new objects.
    @lru_cache(maxsize=VERIFIED_TOKENS)
    def caller_of(token: str, key: SigningKey) -> Caller:
        claims = jwt.decode(
            token,
            key.material,
            algorithms=[key.algorithm],
            audience=settings.jwt_audience or None,
            issuer=settings.jwt_issuer or None,
            options=_OPTIONS,  # type: ignore[arg-type]  # a plain dictionary of the same keys
        )
        return _caller(claims)

    def verify(token: str) -> Caller:
        _check_form(token)
        try:
            found = caller_of(token, key_of(token))
        except ExpiredSignatureError as error:
            raise UnauthorizedError(*EXPIRED) from error
        except MissingRequiredClaimError as error:
            raise _invalid(f"the claim {error.claim} is missing") from error
        except InvalidAudienceError as error:
            raise _invalid("the claim aud names another audience") from error
        except InvalidIssuerError as error:
            raise _invalid("the claim iss names another issuer") from error
        except (PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise _invalid("the signature or the encoding is wrong") from error
        if found.expires_s <= time.time():
            raise UnauthorizedError(*EXPIRED)
        return found

    return verify


def _check_form(token: str) -> None:
    if len(token) > MAX_TOKEN_CHARS:
        raise _invalid(f"it is longer than {MAX_TOKEN_CHARS:,} characters")
    if token.count(".") != JWT_DOTS:
        raise _invalid("it is not a JWT, which has three parts separated by dots")


def _keys(settings: Settings) -> Callable[[str], SigningKey]:
    """Return a function that returns the key of a token."""
    named = {
        "CTO_JWT_SECRET": settings.jwt_secret,
        "CTO_JWT_PUBLIC_KEY": settings.jwt_public_key,
        "CTO_JWKS_URL": settings.jwks_url,
    }
    given = [name for name, value in named.items() if value]
    if len(given) != 1:
        found = f"{' and '.join(given)} are set" if given else "none of them is set"
        raise ConfigError(
            "CTO_AUTH=required needs exactly one of CTO_JWT_SECRET (try `openssl rand -hex 32`), "
            f"CTO_JWT_PUBLIC_KEY and CTO_JWKS_URL, but {found}. "
            "To try things out on this machine, set CTO_AUTH=off."
        )
    if settings.jwks_url:
        return partial(_key_in_set, KeySet(settings.jwks_url))
    secret, public_key = settings.jwt_secret, settings.jwt_public_key
    key = SigningKey(secret_key(secret), "HS256") if secret else _public_key(public_key)
    return lambda _: key


def _public_key(pem: str) -> SigningKey:
    try:
        key = load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError("CTO_JWT_PUBLIC_KEY is not a public key in PEM, with line breaks or \\n") from error
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return SigningKey(key, "RS256")
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return SigningKey(key, "ES256")
    raise ConfigError(
        f"CTO_JWT_PUBLIC_KEY is not supported: use RSA with at least {MIN_RSA_BITS:,} bits, or EC on P-256"
    )


def _key_in_set(key_set: KeySet, token: str) -> SigningKey:
    """Return a token's key, with the algorithm that the key set states."""
    key_id = jwt.get_unverified_header(token).get("kid")
    if not isinstance(key_id, str):
        raise _invalid("its header has no kid, the id of a key")
    key = key_set.find(key_id)
    if key is None:
        raise _invalid(f"the key set has no key {key_id[:MAX_SHOWN]!r}")
    if key.algorithm not in _ASYMMETRIC:
        raise _invalid(f"its key is for {key.algorithm}, but only RS256 and ES256 are allowed")
    return key


def _caller(claims: dict[str, Any]) -> Caller:
    user_id, token_id = claims["sub"], claims.get("jti")
    if not (isinstance(user_id, str) and USER_ID.match(user_id)):
        raise _invalid("the claim sub is not a user id")
    if not (token_id is None or isinstance(token_id, str)):
        raise _invalid("the claim jti is not a string")
    issued_s, expires_s = (_seconds(claims, name) for name in ("iat", "exp"))
    if issued_s > time.time() + CLOCK_SKEW_S:
        raise _invalid("the claim iat is in the future")
    try:
        role = Role(claims.get("role", Role.USER))
    except ValueError as error:
        raise _invalid("the claim role is unknown: use user, admin or service") from error
    return Caller(role, user_id, token_id, issued_s, expires_s)


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims[name]
    # Python's JSON parser accepts NaN, which every comparison fails, and numbers of any size.
    if type(value) not in (int, float) or not abs(value) < MAX_SECONDS:
        raise _invalid(f"the claim {name} is not a time in seconds")
    return float(value)


def _invalid(reason: str) -> UnauthorizedError:
    return UnauthorizedError("invalid_token", f"the token is invalid: {reason}")

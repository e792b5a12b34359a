"""Who is asking: what a request or a handshake says about it, and whether that can be believed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from flask import Flask, g, request

from api.auth.policy import Caller, Role
from api.auth.tokens import EXPIRED, make_verifier
from api.errors import ERRORS, ForbiddenError, UnauthorizedError
from cto_worker.errors import ConfigError, CtoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.config import Settings

REVOKED = ("token_revoked", ERRORS["token_revoked"].message)
# Whoever asks for these gets them; for everything else a caller must be known.
PUBLIC = frozenset(
    {
        "page",
        "static",
        "client.static",
        "healthz",
        "readyz",
        "docs",
        "openapi_document",
        "asyncapi_document",
    }
)
# A browser can send no header with these, so their token may stand in the address.
TOKEN_IN_QUERY = frozenset({"streams.job_stream", "streams.user_stream", "websockets.websocket"})


_EVERYBODY = Caller(Role.SERVICE)  # without authorization


def validate_auth_settings(settings: Settings) -> None:
    """Raise :class:`ConfigError` unless a gateway with these settings would be safe to start."""
    if settings.auth == "required":
        make_verifier(settings)
    elif not settings.loopback:
        raise ConfigError(
            f"CTO_AUTH=off is only for this machine, but others can reach CTO_HOST={settings.host}: "
            "set CTO_HOST=127.0.0.1, or CTO_AUTH=required."
        )


class Authenticator:
    """Tells who a token's bearer is, and lets nobody else in."""

    def __init__(self, settings: Settings, revoked: Callable[[Caller], bool]) -> None:
        self._verify = make_verifier(settings) if settings.auth == "required" else None
        self._revoked = revoked

    def admit(self, token: Any, user_id: Any = None) -> Caller:
        """Return who holds this token. ``user_id`` is whom the client says it is, if it says so.

        Raises :class:`~api.errors.UnauthorizedError` ``unauthorized`` (no token), ``token_revoked``, or
        as
        :func:`~api.auth.tokens.make_verifier` has it; :class:`ForbiddenError` ``user_mismatch``.
        """
        if self._verify is None:
            return _EVERYBODY
        if not token:
            raise UnauthorizedError("unauthorized", "send a token: Authorization: Bearer …")
        if not isinstance(token, str):
            raise UnauthorizedError("invalid_token", "the token is not valid: it is no text")
        who = self._verify(token)
        self.check(who)
        check_user_matches_token(who, user_id)
        return who

    def admit_handshake(self, environ: dict[str, Any], auth: Any = None) -> Caller:
        """Return whose handshake this is, by ``auth``, its header or its query. Raises as :meth:`admit`."""
        return _EVERYBODY if self._verify is None else self.admit(*_credentials(environ, auth))

    def user_of(self, environ: dict[str, Any]) -> str | None:
        """Return the name in a request's token, or ``None``. Asks no store: the token may be revoked."""
        token = _bearer(environ.get("HTTP_AUTHORIZATION"))
        if self._verify is None or not token:
            return None
        try:
            return self._verify(token).name
        except CtoError:  # it is refused later
            return None

    def check(self, who: Caller) -> None:
        """Raise :class:`~api.errors.UnauthorizedError` if an accepted caller would no longer be accepted."""
        if self._verify is None:
            return
        if who.expires_s <= time.time():
            raise UnauthorizedError(*EXPIRED)
        if self._revoked(who):
            raise UnauthorizedError(*REVOKED)


def check_user_matches_token(who: Caller, user_id: Any) -> None:
    """Refuse a client that says, beside its token, that it is another user."""
    if user_id and who.user_id and user_id != who.user_id:
        raise ForbiddenError("user_mismatch", "userId is not the user whose token this is")


def _credentials(environ: dict[str, Any], auth: Any = None) -> tuple[Any, Any]:
    given = auth if isinstance(auth, dict) else {}
    query = parse_qs(environ.get("QUERY_STRING", ""))
    token = given.get("token") or _bearer(environ.get("HTTP_AUTHORIZATION")) or query.get("token", [""])[0]
    return token, given.get("userId") or query.get("userId", [""])[0]


def authenticate_request(app: Flask, authenticator: Authenticator) -> None:
    """Have every request's caller known, or why it is not, wherever one is needed."""

    @app.before_request
    def _note() -> None:
        # No view answers an unknown address, nor the question of a browser that asks what it may send.
        if request.endpoint is None or request.endpoint in PUBLIC or request.method == "OPTIONS":
            return
        token = _bearer(request.headers.get("Authorization"))
        if request.endpoint in TOKEN_IN_QUERY:
            token = token or request.args.get("token", "")
        try:
            g.caller = authenticator.admit(token)
        except CtoError as error:
            g.refusal = error


def require_authentication(app: Flask) -> None:
    """Refuse every request that :func:`authenticate_request` has not authenticated, before any view."""

    @app.before_request
    def _require() -> None:
        if "refusal" in g:
            raise g.refusal


def caller() -> Caller:
    """The caller of the current request."""
    who: Caller = g.caller
    return who


def _bearer(header: str | None) -> str:
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""

"""Authentication: the caller of a request or of a handshake, by its token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from flask import Flask, g, request

from api.auth.caller import Action, Caller, Role
from api.auth.origins_and_hosts import MAX_SHOWN
from api.auth.tokens import EXPIRED, make_verifier
from api.errors import ERRORS, ForbiddenError, UnauthorizedError
from cto_worker.domain.audit_entry import Actor
from cto_worker.errors import CtoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.config import Settings

REVOKED = ("token_revoked", ERRORS["token_revoked"].message)
# Endpoints without authentication. Every other endpoint requires a caller.
PUBLIC = frozenset(
    {
        "page",
        "static",
        "client.static",
        "client.client_bundle",
        "client.client_archive",
        "healthz",
        "readyz",
        "docs",
        "guide.start",
        "guide.static",
        "openapi_document",
        "asyncapi_document",
    }
)
# Browsers cannot send a header to these endpoints, so the token may be in the query.
TOKEN_IN_QUERY = frozenset({"streams.job_stream", "streams.user_stream", "websockets.websocket"})

_ANONYMOUS = Caller(Role.SERVICE, unrestricted=True)  # every caller, with CTO_AUTH=off


class Authenticator:
    """Verifies tokens and returns their callers; with ``CTO_AUTH=off``, every caller is the service."""

    def __init__(self, settings: Settings, revoked: Callable[[Caller], bool]) -> None:
        self._verify = make_verifier(settings) if settings.auth == "required" else None
        self._revoked = revoked

    def admit(self, token: Any, user_id: Any = None) -> Caller:
        """Return the caller of a token. ``user_id`` is what the client sends with the token, or ``None``.

        Raises :class:`~api.errors.UnauthorizedError` ``unauthorized`` (no token) or ``token_revoked``, the
        errors of :func:`~api.auth.tokens.make_verifier`, and :class:`ForbiddenError` ``user_mismatch``.
        """
        if self._verify is None:
            return _ANONYMOUS
        if not token:
            raise UnauthorizedError("unauthorized")
        if not isinstance(token, str):
            raise UnauthorizedError("invalid_token", "the token is invalid: it is not a string")
        found = self._verify(token)
        self.check(found)
        check_user_matches_token(found, user_id)
        return found

    def admit_handshake(self, environ: dict[str, Any], auth: Any = None) -> Caller:
        """Return the caller of a handshake, by ``auth``, its header or its query. Raises as :meth:`admit`."""
        return _ANONYMOUS if self._verify is None else self.admit(*_credentials(environ, auth))

    def user_of(self, environ: dict[str, Any]) -> str | None:
        """Return the caller's name by a request's token, or ``None``. Revocations are not checked."""
        token = _bearer(environ.get("HTTP_AUTHORIZATION"))
        if self._verify is None or not token:
            return None
        try:
            return self._verify(token).name
        except CtoError:  # authenticate_request refuses the request later
            return None

    def check(self, accepted: Caller) -> None:
        """Raise :class:`~api.errors.UnauthorizedError` if the caller's token has expired or been revoked."""
        if self._verify is None:
            return
        if accepted.expires_s <= time.time():
            raise UnauthorizedError(*EXPIRED)
        if self._revoked(accepted):
            raise UnauthorizedError(*REVOKED)


def check_user_matches_token(authenticated: Caller, user_id: Any) -> None:
    """Raise :class:`ForbiddenError` ``user_mismatch`` if a client sends the user id of another user."""
    if user_id and authenticated.user_id and user_id != authenticated.user_id:
        raise user_mismatch(authenticated, user_id)


def user_mismatch(authenticated: Caller, user_id: Any) -> ForbiddenError:
    """Return the error for a user id that is not the caller's."""
    return ForbiddenError(
        "user_mismatch",
        f"userId is {str(user_id)[:MAX_SHOWN]!r}, but the token is for {authenticated.user_id!r}: "
        "send that user id, or none",
    )


def _credentials(environ: dict[str, Any], auth: Any = None) -> tuple[Any, Any]:
    """Return a handshake's token and user id."""
    given = auth if isinstance(auth, dict) else {}
    query = parse_qs(environ.get("QUERY_STRING", ""))
    token = given.get("token") or _bearer(environ.get("HTTP_AUTHORIZATION")) or query.get("token", [""])[0]
    return token, given.get("userId") or query.get("userId", [""])[0]


def authenticate_request(app: Flask, authenticator: Authenticator) -> None:
    """Set ``g.caller`` for every request that needs a caller, or ``g.refusal`` if it is refused."""

    @app.before_request
    def _authenticate() -> None:
        # Unknown paths and preflight requests reach no view.
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
    """Return the caller of the current request."""
    current: Caller = g.caller
    return current


def actor() -> Actor:
    """Return the caller of the current request as an author for the audit log."""
    current = caller()
    return Actor(current.user_id or "anonymous", current.role, request.remote_addr or "")


def require_operator(subject: str) -> None:
    """Raise :class:`ForbiddenError` unless the caller is an operator. ``subject`` is what it asks for."""
    if not caller().may(Action.OPERATE):
        raise ForbiddenError("forbidden", f"{subject} needs a token with the role admin")


def _bearer(header: str | None) -> str:
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""

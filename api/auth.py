"""Who is asking. Every route and room asks :func:`caller`, and shows what :meth:`Caller.may_see` allows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cto_worker.errors import ConfigError, CtoError

if TYPE_CHECKING:
    from cto_worker.config import Settings

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Role(StrEnum):
    """What a caller may do."""

    USER = "user"  # own jobs and rooms
    ADMIN = "admin"  # see everything
    SERVICE = "service"  # the bot backend: see everything, submit for any user


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking. ``user_id`` is ``None`` for a service that acts for no user of its own."""

    role: Role
    user_id: str | None = None

    @property
    def sees_everything(self) -> bool:
        """Whether this caller may see every job."""
        return self.role is not Role.USER

    def may_see(self, user_id: str) -> bool:
        """Whether this caller may see that user's jobs."""
        return self.sees_everything or self.user_id == user_id


class ForbiddenError(CtoError):
    """A request that is refused before anything is looked at. ``code`` is machine-readable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_startable(settings: Settings) -> None:
    """Raise :class:`ConfigError` unless a gateway with these settings would be safe to start."""
    if settings.auth == "required":
        raise ConfigError(
            "CTO_AUTH=required needs tokens, which this version does not have yet. "
            "Set CTO_AUTH=off: then every caller on this machine may do everything, and no other."
        )
    if not settings.loopback:
        raise ConfigError(
            f"CTO_AUTH=off is only for this machine, but others can reach CTO_HOST={settings.host}: "
            "set CTO_HOST=127.0.0.1."
        )


def caller() -> Caller:
    """The caller of the current request: without authorization, everybody is the service."""
    return Caller(Role.SERVICE)


def check_origin(settings: Settings, host: str, origin: str | None) -> None:
    """Refuse what a foreign web page in a local browser may send, for without tokens nothing else would.

    ``host`` and ``origin`` are the request's headers. Raises :class:`ForbiddenError` ``host_not_allowed`` for
    a name that was rebound to this machine, ``origin_not_allowed`` for a page of another origin.
    """
    if _hostname(host) not in LOOPBACK_NAMES:
        raise ForbiddenError(
            "host_not_allowed", "without authorization the gateway answers to loopback names only"
        )
    if origin and origin not in {f"http://{host}", f"https://{host}", *settings.cors_origins}:
        raise ForbiddenError("origin_not_allowed", f"{origin} is not in CTO_CORS_ORIGINS")


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # such as "[": no name at all
        return None

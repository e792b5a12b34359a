"""The caller of a request or a socket, its role, and the policy: the actions that each role may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The role of a caller, from the claim ``role`` of its token."""

    USER = "user"
    ADMIN = "admin"  # an operator
    SERVICE = "service"  # the bot backend, which acts for its users


class Action(StrEnum):
    """An action that needs permission."""

    SUBMIT = "submit"  # start an operation for a user
    READ = "read"  # see a user's jobs, by any transport
    CANCEL = "cancel"  # stop a user's job
    WATCH_ALL = "watch_all"  # see every job, and the system's metrics
    OPERATE = "operate"  # see the state of the system, and resolve unknown outcomes


class _Scope(StrEnum):
    """The users whose jobs an action may concern."""

    NO_USER = "no user"
    OWN = "own"
    ALL_USERS = "all users"


_POLICY = {
    Role.USER: {
        Action.SUBMIT: _Scope.OWN,
        Action.READ: _Scope.OWN,
        Action.CANCEL: _Scope.OWN,
        Action.WATCH_ALL: _Scope.NO_USER,
        Action.OPERATE: _Scope.NO_USER,
    },
    Role.ADMIN: {
        Action.SUBMIT: _Scope.OWN,
        Action.READ: _Scope.ALL_USERS,
        Action.CANCEL: _Scope.ALL_USERS,
        Action.WATCH_ALL: _Scope.ALL_USERS,
        Action.OPERATE: _Scope.ALL_USERS,
    },
    Role.SERVICE: {
        Action.SUBMIT: _Scope.ALL_USERS,
        Action.READ: _Scope.ALL_USERS,
        Action.CANCEL: _Scope.ALL_USERS,
        Action.WATCH_ALL: _Scope.ALL_USERS,
        Action.OPERATE: _Scope.NO_USER,
    },
}


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. Times are in seconds since the Unix epoch.

    With ``CTO_AUTH=off`` every caller has the role ``service``, no user id and no expiry, and is
    ``unrestricted``: it may also do what only operators may.
    """

    role: Role
    user_id: str | None = None
    token_id: str | None = None  # `jti`
    issued_s: float = 0.0  # `iat`
    expires_s: float = float("inf")  # `exp`
    unrestricted: bool = False

    def may(self, action: Action, user_id: str | None = None) -> bool:
        """Return whether the caller may do an action on a user's jobs; without ``user_id``, on all jobs."""
        scope = _POLICY[self.role][action]
        own = scope is _Scope.OWN and user_id is not None and user_id == self.user_id
        return own or scope is _Scope.ALL_USERS or self.unrestricted

    @property
    def name(self) -> str:
        """The owner of idempotency keys and rate limits. All callers with the role ``service`` share one."""
        return self.role if self.role is Role.SERVICE else f"{Role.USER}:{self.user_id}"

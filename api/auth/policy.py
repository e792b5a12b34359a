"""Who may do what, and to whose jobs: decided here, for REST and every kind of socket."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller is; a token says it."""

    USER = "user"
    ADMIN = "admin"  # an operator
    SERVICE = "service"  # the bot backend, which acts for its users


class Action(StrEnum):
    """What somebody may want to do."""

    SUBMIT = "submit"  # start an operation for a user
    READ = "read"  # see a user's jobs, by any transport
    CANCEL = "cancel"  # stop a user's job
    WATCH_ALL = "watch_all"  # see every job, and how the system does


class _Whose(StrEnum):
    NOBODYS = "nobody's"
    OWN = "own"
    ANYBODYS = "anybody's"


_POLICY = {
    Role.USER: {
        Action.SUBMIT: _Whose.OWN,
        Action.READ: _Whose.OWN,
        Action.CANCEL: _Whose.OWN,
        Action.WATCH_ALL: _Whose.NOBODYS,
    },
    Role.ADMIN: {
        Action.SUBMIT: _Whose.OWN,
        Action.READ: _Whose.ANYBODYS,
        Action.CANCEL: _Whose.ANYBODYS,
        Action.WATCH_ALL: _Whose.ANYBODYS,
    },
    Role.SERVICE: {
        Action.SUBMIT: _Whose.ANYBODYS,
        Action.READ: _Whose.ANYBODYS,
        Action.CANCEL: _Whose.ANYBODYS,
        Action.WATCH_ALL: _Whose.ANYBODYS,
    },
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, as far as a token tells. Times are in seconds since the Unix epoch.

    Without authorization there is no token: everybody is the service, for ever, and no user.
    """

    role: Role
    user_id: str | None = None
    token_id: str | None = None  # `jti`
    issued_s: float = 0.0  # `iat`
    expires_s: float = float("inf")  # `exp`

    def may(self, action: Action, user_id: str | None = None) -> bool:
        """Whether this caller may do that, to that user's jobs; without ``user_id``, to everybody's."""
        whose = _POLICY[self.role][action]
        own = whose is _Whose.OWN and user_id is not None and user_id == self.user_id
        return own or whose is _Whose.ANYBODYS

    @property
    def name(self) -> str:
        """Whose idempotency keys and limits these are. All services share theirs: they act for any user."""
        return self.role if self.role is Role.SERVICE else f"{Role.USER}:{self.user_id}"

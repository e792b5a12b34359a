"""Revoked tokens. A revocation takes effect on every gateway within a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cto_worker.domain.audit_entry import Action, Change, local_actor
from cto_worker.store import keys
from cto_worker.store.script_runner import Script, run_durably

if TYPE_CHECKING:
    from redis import Redis

    from api.auth.caller import Caller
    from cto_worker.domain.audit_entry import Actor

_TOKEN, _USER = "token:", "user:"


def revoke(  # noqa: PLR0913 - the parts of a revocation
    store: Redis,
    *,
    token_id: str = "",
    user_id: str = "",
    keep_s: int,
    actor: Actor | None = None,
    replicas: int = 0,
) -> None:
    """Revoke the token with this ``jti``, or all tokens of this user that were issued until now.

    The store keeps the revocation for ``keep_s`` seconds, which must be the longest lifetime of a token. The
    same step writes the audit log, with ``actor`` (by default the user who runs this process) as the author.
    Raises :class:`NotDurableError`.
    """
    now_s = int(time.time())
    change = Change(
        actor=actor or local_actor(),
        action=Action.TOKEN_REVOKE,
        target=f"{_TOKEN}{token_id}" if token_id else f"{_USER}{user_id}",
        after={"revokedUntil": (now_s + keep_s) * 1_000},
    )
    run_durably(
        store,
        Script(store, "revoke"),
        replicas,
        revoked=keys.REVOKED,
        count=keys.REVOKED_COUNT,
        name=f"{_TOKEN}{token_id}" if token_id else f"{_USER}{now_s}:{user_id}",
        now_s=now_s,
        expires_s=now_s + keep_s,
        change=change.encode(),
    )


class Revocations:
    """A gateway's copy of all revocations, so that requests need no access to the store."""

    def __init__(self, store: Redis) -> None:
        self._store = store
        self._count: bytes | None = None
        self._tokens: frozenset[str] | None = None  # None: not read from the store yet
        self._users: dict[str, int] = {}  # user id -> tokens issued up to this second are revoked

    def revoked(self, caller: Caller) -> bool:
        """Return whether a caller's token is revoked. Raises ``RedisError`` before the first read."""
        if self._tokens is None:
            self.refresh()
        until_s = self._users.get(caller.user_id or "", -1)
        return caller.token_id in (self._tokens or ()) or caller.issued_s <= until_s

    def refresh(self) -> bool:
        """Read the revocations if they have changed; return whether they have. Raises ``RedisError``."""
        count: Any = self._store.get(keys.REVOKED_COUNT)
        if self._tokens is not None and count == self._count:
            return False
        names = [name.decode() for name in self._store.zrange(keys.REVOKED, 0, -1)]  # type: ignore[union-attr]
        users: dict[str, int] = {}
        for name in names:
            if name.startswith(_USER):
                until_s, _, user_id = name.removeprefix(_USER).partition(":")
                users[user_id] = max(users.get(user_id, 0), int(until_s))
        self._users = users
        self._tokens = frozenset(name.removeprefix(_TOKEN) for name in names if name.startswith(_TOKEN))
        self._count = count
        return True

"""The lobby behind every door: Socket.IO, SSE and ``/ws`` let clients in, and ask here for what they want.

Whoever joins or resumes is looked up in the store first. So many at once may be; the others wait their turn,
so that thousands who come back together leave the store's connections to REST.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.realtime.room_access import check_allowed
from cto_worker.domain.ids import job_room

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.auth.authentication import Authenticator
    from api.auth.policy import Caller
    from api.limits.fair_semaphore import FairSemaphore
    from api.realtime.connections import CloseReason, Connection, Connections
    from api.relay.encoded_event import EncodedEvent
    from api.relay.relay import Relay
    from api.relay.subscriber import Subscriber
    from cto_worker.store.history import History


@dataclass(frozen=True, slots=True)
class SessionService:
    """What all doors share."""

    authenticator: Authenticator
    connections: Connections
    turns: FairSemaphore
    relay: Relay
    history: History

    def open(
        self, who: Caller, end: Callable[[CloseReason], object], cut_off: Callable[[], object] = lambda: None
    ) -> Connection:
        """Let a client in.

        Raises :class:`~api.errors.UnauthorizedError`, should its token have been revoked since it was
        looked
        at, and what :meth:`~api.realtime.connections.Connections.open` does.
        """
        self.authenticator.check(who)
        return self.connections.open(who, end, cut_off)

    def join(self, connection: Connection, subscriber: Subscriber, room: str) -> None:
        """Let a client into a room, if it may be there.

        Raises :class:`~api.errors.UnauthorizedError`, :class:`~api.errors.RoomError`, and
        what
        :meth:`~api.relay.relay.Relay.join` does.
        """
        ended = self._check(connection, room)
        self.relay.join(subscriber, room, ended=ended)

    def resume(
        self,
        connection: Connection,
        subscriber: Subscriber,
        job_id: str,
        after: int,
        answer: Callable[[list[EncodedEvent]], object],
    ) -> None:
        """Have a client told what it missed of a job, if it still may know of it.

        Raises :class:`~api.errors.UnauthorizedError`, :class:`~api.errors.RoomError`, and
        what
        :meth:`~api.relay.relay.Relay.resume` does.
        """
        ended = self._check(connection, job_room(job_id))
        self.relay.resume(subscriber, job_id, after, answer, ended=ended)

    def refresh(self, connection: Connection, token: object, user_id: object = None) -> None:
        """Let a client stay as long as a new token of its holds.

        Raises :class:`~api.errors.UnauthorizedError`, :class:`~api.errors.ForbiddenError`
        or
        :class:`~api.errors.RoomError`; then the old one still counts.
        """
        self.connections.renew(connection, self.authenticator.admit(token, user_id))

    def _check(self, connection: Connection, room: str) -> bool:
        self.authenticator.check(connection.who)
        with self.turns.slot():
            return check_allowed(connection.who, room, self.history)

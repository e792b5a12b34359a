"""The lobby behind every door: Socket.IO, SSE and ``/ws`` let clients in, and ask here for what they want.

Whoever joins or resumes is looked up in the store first. So many at once may be; the others wait their turn,
so that thousands who come back together leave the store's connections to REST.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.rooms import check_allowed
from cto_worker import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.admission import Turns
    from api.auth import Gate
    from api.connections import Connection, Connections, Ending
    from api.frames import Frame
    from api.policy import Caller
    from api.reader import Reader
    from api.relay import Relay
    from cto_worker.history import History


@dataclass(frozen=True, slots=True)
class Lobby:
    """What all doors share."""

    gate: Gate
    connections: Connections
    turns: Turns
    relay: Relay
    history: History

    def open(
        self, who: Caller, end: Callable[[Ending], object], cut_off: Callable[[], object] = lambda: None
    ) -> Connection:
        """Let a client in.

        Raises :class:`~api.tokens.UnauthorizedError`, should its token have been revoked since it was looked
        at, and what :meth:`~api.connections.Connections.open` does.
        """
        self.gate.check(who)
        return self.connections.open(who, end, cut_off)

    def join(self, connection: Connection, reader: Reader, room: str) -> None:
        """Let a client into a room, if it may be there.

        Raises :class:`~api.tokens.UnauthorizedError`, :class:`~api.rooms.RoomError`, and what
        :meth:`~api.relay.Relay.join` does.
        """
        ended = self._check(connection, room)
        self.relay.join(reader, room, ended=ended)

    def resume(
        self,
        connection: Connection,
        reader: Reader,
        job_id: str,
        after: int,
        answer: Callable[[list[Frame]], object],
    ) -> None:
        """Have a client told what it missed of a job, if it still may know of it.

        Raises :class:`~api.tokens.UnauthorizedError`, :class:`~api.rooms.RoomError`, and what
        :meth:`~api.relay.Relay.resume` does.
        """
        ended = self._check(connection, keys.job_room(job_id))
        self.relay.resume(reader, job_id, after, answer, ended=ended)

    def refresh(self, connection: Connection, token: object, user_id: object = None) -> None:
        """Let a client stay as long as a new token of its holds.

        Raises :class:`~api.tokens.UnauthorizedError`, :class:`~api.auth.ForbiddenError` or
        :class:`~api.rooms.RoomError`; then the old one still counts.
        """
        self.connections.renew(connection, self.gate.admit(token, user_id))

    def _check(self, connection: Connection, room: str) -> bool:
        self.gate.check(connection.who)
        with self.turns.turn():
            return check_allowed(connection.who, room, self.history)

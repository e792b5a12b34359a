"""The operations of a connected client: connect, disconnect, join, resume, refresh its token.

A join or a resume reads from the store first. The number of simultaneous look-ups is limited, and the others
wait in order. So thousands of clients that reconnect together leave the store's connections to REST.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.realtime.room_access import authorize_room
from cto_worker.domain.ids_and_rooms import job_room
from cto_worker.errors import JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.auth.authentication import Authenticator
    from api.auth.caller import Caller
    from api.history.job_history import JobHistory
    from api.limits.fifo_semaphore import FifoSemaphore
    from api.realtime.connection_registry import ConnectionRegistry
    from api.relay.encoded_event import EncodedEvent
    from api.relay.relay import Relay
    from api.relay.subscriber import Subscriber


@dataclass(frozen=True, slots=True)
class ClientService:
    """The operations that a transport calls for a client."""

    authenticator: Authenticator
    connections: ConnectionRegistry
    lookup_slots: FifoSemaphore
    relay: Relay
    history: JobHistory

    def connect(self, subscriber: Subscriber, caller: Caller) -> None:
        """Add a client that has authenticated.

        Raises :class:`~api.errors.UnauthorizedError` if its token has been revoked since it was verified, and
        the errors of :meth:`~api.realtime.connection_registry.ConnectionRegistry.add`.
        """
        self.authenticator.check(caller)
        self.connections.add(subscriber, caller)

    def disconnect(self, subscriber: Subscriber) -> None:
        """Remove a client. Its connection has ended, or ends after the queued items."""
        self.connections.remove(subscriber)
        self.relay.remove(subscriber)

    def join(self, subscriber: Subscriber, room: str) -> None:
        """Add a client to a room that it may join.

        Raises :class:`~api.errors.UnauthorizedError`, :class:`~api.errors.RoomError`,
        :class:`~cto_worker.errors.ArchiveUnavailableError`, and the errors of
        :meth:`~api.relay.relay.Relay.join`.
        """
        ended = self._authorize(subscriber, room)
        self.relay.join(subscriber, room, ended=ended)

    def resume(
        self,
        subscriber: Subscriber,
        job_id: str,
        after: int,
        answer: Callable[[list[EncodedEvent]], object],
    ) -> None:
        """Call ``answer`` with the events of a job that a client missed, if it may read the job.

        Raises :class:`~api.errors.UnauthorizedError`, :class:`~api.errors.RoomError`,
        :class:`~cto_worker.errors.ArchiveUnavailableError`, and the errors of
        :meth:`~api.relay.relay.Relay.resume`.
        """
        ended = self._authorize(subscriber, job_room(job_id))
        try:
            self.relay.resume(subscriber, job_id, after, answer, ended=ended)
        except JobNotFoundError:  # the store no longer has the job: read the archive
            with self.lookup_slots.slot():
                archived = self.history.archived_events(job_id, after)
            if archived is None:
                raise
            self.relay.resume(subscriber, job_id, after, answer, ended=True, archived=archived)

    def refresh(self, subscriber: Subscriber, token: object, user_id: object = None) -> None:
        """Replace the token of a client.

        Raises :class:`~api.errors.UnauthorizedError`, :class:`~api.errors.ForbiddenError` or
        :class:`~api.errors.RoomError`; then the old token remains in use.
        """
        self.connections.renew(subscriber, self.authenticator.admit(token, user_id))

    def _authorize(self, subscriber: Subscriber, room: str) -> bool:
        self.authenticator.check(subscriber.caller)
        with self.lookup_slots.slot():
            return authorize_room(subscriber.caller, room, self.history)

"""The relay: moves events from the store's pub/sub channels to the subscribers of rooms.

The journal is the source of truth; a published event only hints that the journal has grown. One loop,
:meth:`Relay.run`, owns the pub/sub connection, which subscribes only to the channels of rooms with members.
Subscribers get events from this loop only. A request to join or to resume (:mod:`api.relay.join_queue`)
wakes the loop by a PING on that connection. The relay publishes a heartbeat on a channel of its own: if the
heartbeat does not return, the connection is dead.

A heartbeat contains the serial of the job that was accepted last. The store keeps the order of publications:
a relay that receives a heartbeat has received the first event of that job and of every job before it. So
the events missed during a lost connection belong to jobs on which the subscriber has a cursor, or to jobs
that were accepted after the last received heartbeat, even if these have ended.
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import RedisError

from api import metric_definitions
from api.relay.encoded_event import valid_event
from api.relay.join_queue import JoinQueue, JoinRequest
from api.relay.pubsub_connection import PubSubConnection
from api.relay.pubsub_socket_reader import BlockingReader
from api.relay.room_delivery import JOB_BATCH_SIZE, RoomDelivery, yield_to_others
from api.relay.send_queue import flush
from cto_worker.domain.ids_and_rooms import job_room
from cto_worker.store import keys
from cto_worker.store.script_runner import Script

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from api.relay.encoded_event import EncodedEvent
    from api.relay.pubsub_socket_reader import SocketReader
    from api.relay.subscriber import Subscriber
    from cto_worker.store.journal_queries import JournalQueries, StoredEvents

log = logging.getLogger(__name__)

LISTEN_TIMEOUT_S = 1.0
RECONNECT_S = 0.5
HEARTBEAT_INTERVAL_S = 2.0
SILENCE_TIMEOUT_S = 6.0  # without any message for this long, the connection counts as dead
# After a failover the latest serials may be assigned again, so catching up starts this many jobs earlier.
FAILOVER_OVERLAP = 50
MAX_BATCH_S = 0.05  # time within a burst after which the queues are flushed and other threads run


class Relay:
    """The loop that sends events to subscribers and serves their requests."""

    def __init__(
        self,
        store: Redis,
        history: JournalQueries,
        on_store_lost: Callable[[], object] = lambda: None,
        max_rooms: int = sys.maxsize,
        make_reader: Callable[[Any], SocketReader] = BlockingReader,
    ) -> None:
        """``on_store_lost`` is called after each lost connection, before the relay reconnects.

        ``max_rooms`` limits the rooms of one subscriber. ``make_reader`` returns the reader of the pub/sub
        connection's socket.
        """
        self._store, self._make_reader = store, make_reader
        self._on_store_lost = on_store_lost
        self._history = history
        self._delivery = RoomDelivery(history, max_rooms)
        self._join_queue = JoinQueue(history, self._delivery, self._wake)
        # The first events of all jobs up to this serial have been sent. None before the first connection.
        self._last_serial: int | None = None
        self._send_heartbeat = Script(store, "relay_heartbeat")
        self._pubsub: PubSubConnection | None = None  # while there is a connection
        self._own_channel = f"{keys.GATEWAY_PREFIX}{uuid4()}".encode()
        self._stopped = False
        self._heartbeat_received_s = time.monotonic()
        self._heartbeat_sent_s: float | None = None  # when the oldest one that has not come back was sent

    @property
    def seconds_since_heartbeat(self) -> float:
        """Seconds since the last heartbeat arrived. Heartbeats take the same path as events."""
        return time.monotonic() - self._heartbeat_received_s

    def join(self, subscriber: Subscriber, room: str, *, ended: bool = False) -> None:
        """Add a subscriber to a room, and send it the latest event of each of the room's unfinished jobs.

        The job's last event removes the subscriber from the job's room. The room of a job that has ``ended``
        gets no events, so the subscriber is not added to it.

        Raises :class:`~api.errors.TooManyRoomsError`; then the subscriber is not in the room. Raises
        :class:`~api.errors.RelayUnavailableError`, for example after a time-out; it may then be in the room
        nevertheless, and may join again.
        """
        self._join_queue.submit(JoinRequest(subscriber, room, ended=ended))

    def resume(  # noqa: PLR0913 - the parts of a request
        self,
        subscriber: Subscriber,
        job_id: str,
        after: int,
        answer: Callable[[list[EncodedEvent]], object],
        *,
        ended: bool = False,
        archived: StoredEvents | None = None,
    ) -> None:
        """Add a subscriber to a job's room, and call ``answer`` with the job's events of ``seq`` > ``after``.

        The events are read from the store, unless ``archived`` has them. ``answer`` must not block. Later
        events are queued only after it has returned. As with :meth:`join`, the job's last event removes the
        subscriber from the room. Raises
        :class:`~cto_worker.errors.EventsGoneError` when events after ``after`` have expired,
        :class:`~cto_worker.errors.JobNotFoundError`, and the errors of :meth:`join`.
        """
        self._join_queue.submit(
            JoinRequest(subscriber, job_room(job_id), job_id, after, ended, archived, answer)
        )

    def leave(self, subscriber: Subscriber, room: str) -> None:
        """Remove a subscriber from a room. Does nothing if it is not a member."""
        self._delivery.leave(subscriber, room)

    def remove(self, subscriber: Subscriber) -> None:
        """Remove a subscriber from every room, when its connection has ended."""
        subscriber.gone = True
        for room in list(subscriber.rooms):
            self.leave(subscriber, room)

    def run(self) -> None:
        """Relay until :meth:`stop`. Reconnects after a lost connection, and sends what was missed."""
        logged = False  # once per outage
        while not self._stopped:
            try:
                with PubSubConnection(self._store, self._make_reader) as self._pubsub:
                    logged = False
                    try:
                        self._listen(self._pubsub)
                    finally:
                        flush()
            except (RedisError, OSError) as error:
                log.log(logging.DEBUG if logged else logging.WARNING, "lost the store: %s", error)
                logged = True
            except Exception:
                # Without this loop the gateway would look ready and send no events.
                log.exception("unexpected error in the relay; it reconnects")
            else:
                continue
            self._pubsub = None
            time.sleep(RECONNECT_S)
            try:
                self._on_store_lost()
            except Exception:
                log.exception("unexpected error after the store was lost; the relay reconnects")

    def stop(self) -> None:
        """Make :meth:`run` return."""
        self._stopped = True
        self._wake()

    def _wake(self) -> None:
        """Make the loop serve the join queue; without a connection, after it has reconnected."""
        if self._pubsub:
            with suppress(OSError):
                self._pubsub.wake()

    def _listen(self, pubsub: PubSubConnection) -> None:
        self._subscribe(pubsub)
        replies = self._until_confirmed(pubsub)
        self._catch_up()  # before new events, so that jobs appear in the order of their acceptance
        received_s = heartbeat_s = batch_s = time.monotonic()
        while not self._stopped:
            now_s = time.monotonic()
            if replies:
                received_s = now_s
                self._dispatch(replies, pubsub)
            elif now_s - received_s > SILENCE_TIMEOUT_S:
                raise StoreConnectionError(f"no message for {SILENCE_TIMEOUT_S:g} s, not even a heartbeat")
            if now_s - heartbeat_s > HEARTBEAT_INTERVAL_S:
                heartbeat_s = now_s
                self._heartbeat_sent_s = self._heartbeat_sent_s or now_s
                self._send_heartbeat(channel=self._own_channel)
                self._subscribe(pubsub)
                self._delivery.sample_due = True
            if self._join_queue.has_new_requests():
                pubsub.add_channels(self._join_queue.channels())
            self._join_queue.serve_confirmed(pubsub.confirmed)
            if now_s - batch_s > MAX_BATCH_S:
                yield_to_others()
                batch_s = time.monotonic()
            replies = pubsub.receive(LISTEN_TIMEOUT_S, before_wait=flush)

    def _subscribe(self, pubsub: PubSubConnection) -> None:
        # Repeated with every heartbeat, because rooms lose their last members meanwhile.
        # The own channel comes last: its confirmation means that every room's channel is confirmed.
        pubsub.set_channels({*self._delivery.members, *self._join_queue.channels()}, self._own_channel)

    def _until_confirmed(self, pubsub: PubSubConnection) -> list[Any]:
        """Wait until every subscription is confirmed. Return the replies received until then."""
        replies: list[Any] = []
        ends_s = time.monotonic() + SILENCE_TIMEOUT_S
        while not self._stopped and not self._is_confirmed(replies):
            if time.monotonic() > ends_s:
                raise StoreConnectionError(f"the subscription was not confirmed for {SILENCE_TIMEOUT_S:g} s")
            replies += pubsub.receive(LISTEN_TIMEOUT_S)
        return replies

    def _is_confirmed(self, replies: list[Any]) -> bool:
        return any(kind == b"subscribe" and channel == self._own_channel for kind, channel, _ in replies)

    def _dispatch(self, replies: list[Any], pubsub: PubSubConnection) -> None:
        all_members = self._delivery.members
        for kind, channel, payload in replies:
            if kind == b"message":
                members = all_members.get(channel)
                if members:
                    event = valid_event(payload)
                    if event:
                        self._delivery.send(event, members)
                elif channel == self._own_channel:
                    self._receive_heartbeat(int(payload))
            elif kind == b"subscribe":
                pubsub.confirm(channel)

    def _receive_heartbeat(self, latest_serial: int) -> None:
        self._last_serial = latest_serial
        self._heartbeat_received_s = time.monotonic()
        if self._heartbeat_sent_s:
            metric_definitions.RELAY_HEARTBEAT.observe(self._heartbeat_received_s - self._heartbeat_sent_s)
            self._heartbeat_sent_s = None
        self._delivery.purge_ended_cursors()

    def _catch_up(self) -> None:
        """Send the events that were published while the rooms' channels were not subscribed to."""
        if self._last_serial is None:
            self._last_serial = self._history.latest_serial()  # no room had members before
        self._last_serial = max(0, self._last_serial - FAILOVER_OVERLAP)
        self._delivery.replay_all(self._delivery.unfinished_by_job())
        while accepted := self._history.jobs_accepted_after(self._last_serial, JOB_BATCH_SIZE):
            expected = ((job.job_id, self._delivery.subscribers_expecting(job)) for job in accepted)
            self._delivery.replay_all(
                {job_id: subscribers for job_id, subscribers in expected if subscribers}
            )
            self._last_serial = accepted[-1].serial

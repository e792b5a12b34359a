"""The relay: from the store's pub/sub channels to the readers in the rooms.

The journal is the truth; a published event is only a hint that it has grown. One loop, :meth:`Relay.run`,
owns the pub/sub connection, which carries only the channels of rooms that somebody is in, and nothing is sent
to a reader but by it. Who wants to join or to resume (:mod:`api.relay.join_queue`) wakes it by having the
store answer
on that connection. On a channel of its own it hears its own heartbeat: a link that has died in silence is
noticed by its absence.

A heartbeat also says which job was accepted last. The store keeps the order in which it publishes: who hears
it has been told the first event of that job, and of every job before it. So what readers lack after a broken
link is events of jobs that they have a cursor on, and of jobs accepted after the last heartbeat heard, be
they ended or not.
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

from api import metrics
from api.relay.encoded_event import frame_of
from api.relay.join_queue import JoinQueue, Request
from api.relay.membership import JOBS_AT_ONCE, RoomMembership, yield_to_others
from api.relay.pubsub import PubSubConnection
from api.relay.send_queue import flush, flushing
from cto_worker.domain.ids import job_room
from cto_worker.store import keys
from cto_worker.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from api.relay.encoded_event import EncodedEvent
    from api.relay.subscriber import Subscriber
    from cto_worker.store.history import History

log = logging.getLogger(__name__)

LISTEN_TIMEOUT_S = 1.0
RECONNECT_S = 0.5
BEAT_S = 2.0  # how often the relay's own heartbeat is sent through the store
SILENCE_S = 6.0  # without any message for so long, the connection is taken for dead
# A replica that takes over may give the serials of the last jobs again: of these, who got what is looked up.
FAILOVER_OVERLAP = 50
TURN_S = 0.05  # how long a burst may keep everybody else waiting; what comes within it is written at once


class Relay:
    """The loop that brings readers their events, and what they ask of it."""

    def __init__(
        self,
        store: Redis,
        history: History,
        lost: Callable[[], object] = lambda: None,
        most_rooms: int = sys.maxsize,
    ) -> None:
        """``lost`` is called each time when the store has been lost, before it is looked for again.

        ``most_rooms`` is how many rooms one reader may be in.
        """
        self._store = store
        self._lost = lost
        self._history = history
        self._membership = RoomMembership(history, most_rooms)
        self._join_queue = JoinQueue(history, self._membership, self._wake)
        # Serial of a job: of those up to it, whoever was to get the first event has got it. None at first.
        self._heard: int | None = None
        self._beat = script(store, "beat")
        self._subscription: PubSubConnection | None = None  # while there is one
        self._own_channel = f"{keys.GATEWAY_PREFIX}{uuid4()}".encode()
        self._stopped = False
        self._beaten_s = time.monotonic()  # when the own heartbeat was heard last
        self._unheard_s: float | None = None  # when the first one was sent that has not been heard

    @property
    def seconds_since_heartbeat(self) -> float:
        """For how long nothing has come back by the way that events come: through the store's pub/sub."""
        return time.monotonic() - self._beaten_s

    def join(self, subscriber: Subscriber, room: str, *, ended: bool = False) -> None:
        """Put a reader into a room and send it the latest event of each of the room's open jobs.

        It leaves a job's room with the job's last event. Nothing comes to the room of a job that has
        ``ended``, so it does not enter that one at all. Raises
        :class:`~api.errors.RelayUnavailableError` or
        :class:`~api.errors.TooManyRoomsError`; then it is not in the room.
        """
        self._join_queue.ask(Request(subscriber, room, ended=ended))

    def resume(
        self,
        subscriber: Subscriber,
        job_id: str,
        after: int,
        answer: Callable[[list[EncodedEvent]], object],
        *,
        ended: bool = False,
    ) -> None:
        """Put a reader into a job's room, and have it told the job's events with ``seq`` > ``after``.

        As with :meth:`join`, it is in the room no longer than the job runs.

        ``answer`` gets them, and must not wait; what follows is put after it has returned. Raises
        :class:`~cto_worker.errors.EventsGoneError` when events after ``after`` are gone,
        :class:`~cto_worker.errors.JobNotFoundError`, and what :meth:`join` raises.
        """
        self._join_queue.ask(Request(subscriber, job_room(job_id), job_id, after, ended, answer))

    def leave(self, subscriber: Subscriber, room: str) -> None:
        """Take a reader out of a room. Harmless when it is not in it."""
        self._membership.leave(subscriber, room)

    def forget(self, subscriber: Subscriber) -> None:
        """Take a reader that is gone out of every room, for good."""
        subscriber.gone = True
        for room in list(subscriber.rooms):
            self.leave(subscriber, room)

    def run(self) -> None:
        """Relay until :meth:`stop`. A lost connection is made again, and what was missed is caught up."""
        was_told = False  # once, until there is a connection again
        while not self._stopped:
            try:
                with PubSubConnection(self._store) as subscription, flushing():
                    was_told = False
                    self._subscription = subscription
                    self._listen(subscription)
            except (RedisError, OSError) as error:
                log.log(logging.DEBUG if was_told else logging.WARNING, "lost the store: %s", error)
                was_told = True
            except Exception:
                # Without this loop the gateway would look ready and show nothing any more.
                log.exception("the relay broke")
            else:
                continue
            self._subscription = None
            time.sleep(RECONNECT_S)
            try:
                self._lost()
            except Exception:
                log.exception("losing the store broke")

    def stop(self) -> None:
        """Make :meth:`run` return."""
        self._stopped = True
        self._wake()

    def _wake(self) -> None:
        """Have the loop look around; without a connection it will when it has one again."""
        if self._subscription:
            with suppress(OSError):
                self._subscription.wake()

    def _listen(self, subscription: PubSubConnection) -> None:
        self._subscribe(subscription)
        replies = self._until_confirmed(subscription)
        self._catch_up()  # before what follows, so that jobs appear in the order in which they were accepted
        heard_s = beat_s = turn_s = time.monotonic()
        while not self._stopped:
            now_s = time.monotonic()
            if replies:
                heard_s = now_s
                self._take(replies, subscription)
            elif now_s - heard_s > SILENCE_S:
                raise StoreConnectionError(f"not even the own heartbeat was heard for {SILENCE_S:g} s")
            if now_s - beat_s > BEAT_S:
                beat_s = now_s
                self._unheard_s = self._unheard_s or now_s
                self._beat(keys=[self._own_channel, keys.SERIAL])
                self._subscribe(subscription)
                self._membership.sample_due = True
            if self._join_queue.changed():
                subscription.add(self._join_queue.channels())
            self._join_queue.admit(subscription.confirmed)
            if now_s - turn_s > TURN_S:
                yield_to_others()
                turn_s = time.monotonic()
            elif not subscription.pending():
                flush()
            replies = subscription.receive(LISTEN_TIMEOUT_S)

    def _subscribe(self, subscription: PubSubConnection) -> None:
        # Again with every heartbeat, for meanwhile rooms have lost their last members.
        # The own channel is the last, so that its confirmation says that every room's came before.
        subscription.carry({*self._membership.members, *self._join_queue.channels()}, self._own_channel)

    def _until_confirmed(self, subscription: PubSubConnection) -> list[Any]:
        """Wait for the confirmation of all that was subscribed to. Returns what has come until then."""
        replies: list[Any] = []
        ends_s = time.monotonic() + SILENCE_S
        while not self._stopped and not self._is_confirmed(replies):
            if time.monotonic() > ends_s:
                raise StoreConnectionError(f"the store did not confirm a subscription for {SILENCE_S:g} s")
            replies += subscription.receive(LISTEN_TIMEOUT_S)
        return replies

    def _is_confirmed(self, replies: list[Any]) -> bool:
        return any(kind == b"subscribe" and channel == self._own_channel for kind, channel, _ in replies)

    def _take(self, replies: list[Any], subscription: PubSubConnection) -> None:
        all_members = self._membership.members
        for kind, channel, payload in replies:
            if kind == b"message":
                members = all_members.get(channel)
                if members:
                    frame = frame_of(payload)
                    if frame:
                        self._membership.send(frame, members)
                elif channel == self._own_channel:
                    self._heard = int(payload)
                    self._beaten_s = time.monotonic()
                    if self._unheard_s:
                        metrics.CANARY.observe(self._beaten_s - self._unheard_s)
                        self._unheard_s = None
                    self._membership.purge_ended_cursors()
            elif kind == b"subscribe":
                subscription.confirm(channel)

    def _catch_up(self) -> None:
        """Send what was published while the rooms' channels were not subscribed to."""
        if self._heard is None:
            self._heard = self._history.latest_serial()  # nobody was in a room before
        self._heard = max(0, self._heard - FAILOVER_OVERLAP)
        self._membership.replay_all(self._membership.following())
        while accepted := self._history.jobs_accepted_after(self._heard, JOBS_AT_ONCE):
            expected = ((job.job_id, self._membership.expecting(job)) for job in accepted)
            self._membership.replay_all(
                {job_id: subscribers for job_id, subscribers in expected if subscribers}
            )
            self._heard = accepted[-1].serial

"""The relay: from the store's pub/sub channels to the sockets in the rooms.

The journal is the truth; a published event is only a hint that it has grown. So every job's events go out in
``seq`` order, each once per socket however many rooms bring it there: what comes again is dropped, what is
missing is read from the journal first.

The relay subscribes only to the channels of rooms that somebody is in. Its pub/sub connection has one owner,
the loop in :meth:`Relay.run`; others tell it what they want and wake it through a channel of its own.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections import OrderedDict
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis.exceptions import RedisError

from cto_worker import keys
from cto_worker.errors import CtoError, InvalidEventError
from cto_worker.events import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis
    from redis.client import PubSub

    from cto_worker.events import ProgressEvent
    from cto_worker.history import History

log = logging.getLogger(__name__)

JOIN_TIMEOUT_S = 5.0
LISTEN_TIMEOUT_S = 1.0
RECONNECT_S = 0.5
REMEMBERED_JOBS = 20_000  # jobs whose latest relayed seq is kept; one older than these begins anew
_ENDED = sys.maxsize  # as the latest seq of a job: nothing can follow


class RelayUnavailableError(CtoError):
    """The store did not confirm a subscription in time."""


class Relay:
    """Who is in which room, and the loop that brings them their events.

    ``emit(event, sids)`` queues an event, as a JSON object, for some sockets; it must not wait for a client.
    """

    def __init__(
        self, store: Redis, history: History, emit: Callable[[dict[str, Any], list[str]], None]
    ) -> None:
        self._store = store
        self._history = history
        self._emit = emit
        self._members: dict[str, set[str]] = {}  # room → sockets
        self._confirmed: set[str] = set()  # rooms whose channel the store has confirmed
        self._waiting: dict[str, set[threading.Event]] = {}  # room → those who wait for that
        self._floors: dict[
            str, dict[str, int]
        ] = {}  # socket → job → seq of its snapshot: send only later ones
        self._relayed: OrderedDict[str, int] = OrderedDict()  # job → latest seq sent out
        self._own_channel = f"{keys.GATEWAY_PREFIX}{uuid4()}"
        # Held while events go out and while a socket takes its snapshot, so that the two never interleave.
        self._delivery = threading.RLock()
        self._stopped = False

    def join(self, sid: str, room: str) -> None:
        """Put a socket into a room and send it the latest event of each of the room's open jobs.

        Raises :class:`RelayUnavailableError` or ``redis.exceptions.RedisError``; then it is not in the room.
        """
        with self._subscribed(room), self._delivery:
            opened = self._history.open_jobs(room)
            floors = self._floors.setdefault(sid, {})
            for stored in opened:
                event = _decoded(stored.event, f"job {stored.job_id}")
                if event and self._sent(sid, event) < event.seq:
                    floors[event.job_id] = event.seq
                    self._emit(json.loads(stored.event), [sid])
            self._members.setdefault(room, set()).add(sid)

    def leave(self, sid: str, room: str) -> None:
        """Take a socket out of a room. Harmless when it is not in it."""
        members = self._members.get(room)
        if members is None:
            return
        members.discard(sid)
        if not members:
            del self._members[room]  # the loop drops the subscription when it next wakes

    def forget(self, sid: str) -> None:
        """Take a socket that is gone out of every room."""
        self._floors.pop(sid, None)
        for room in [room for room, members in self._members.items() if sid in members]:
            self.leave(sid, room)

    def run(self) -> None:
        """Relay until :meth:`stop`. A lost connection is made again, and what was missed is caught up."""
        while not self._stopped:
            try:
                with self._store.pubsub() as pubsub:
                    self._listen(pubsub)
            except (RedisError, OSError) as error:
                log.warning("lost the store: %s", error)
            except Exception:
                # Without this loop the gateway would look ready and show nothing any more.
                log.exception("the relay broke")
            else:
                continue
            self._confirmed.clear()
            threading.Event().wait(RECONNECT_S)

    def stop(self) -> None:
        """Make :meth:`run` return."""
        self._stopped = True
        with suppress(RedisError):
            self._store.publish(self._own_channel, b"")

    def _sent(self, sid: str, event: ProgressEvent) -> int:
        """The latest seq of the event's job that this socket has, 0 for none."""
        floor = self._floors[sid].get(event.job_id, 0)
        if any(sid in self._members.get(room, ()) for room in _rooms(event)):
            return max(floor, self._relayed.get(event.job_id, 0))
        return floor

    @contextmanager
    def _subscribed(self, room: str) -> Iterator[None]:
        """Have the room's channel subscribed, and keep it so for the length of the block."""
        confirmed = threading.Event()
        self._waiting.setdefault(room, set()).add(confirmed)
        try:
            if room not in self._confirmed:
                self._store.publish(self._own_channel, b"")
                if not confirmed.wait(JOIN_TIMEOUT_S):
                    raise RelayUnavailableError("the store did not confirm the subscription in time")
            yield
        finally:
            self._waiting[room].discard(confirmed)
            if not self._waiting[room]:
                del self._waiting[room]

    def _listen(self, pubsub: PubSub) -> None:
        subscribed: set[str] = set()
        self._resubscribe(pubsub, subscribed)
        # Asked for last, so its confirmation says that every room's came before.
        pubsub.subscribe(self._own_channel)
        while not self._stopped:
            message = pubsub.get_message(timeout=LISTEN_TIMEOUT_S)
            if message:
                self._take(message["type"], message["channel"].decode(), message["data"])
            self._resubscribe(pubsub, subscribed)

    def _resubscribe(self, pubsub: PubSub, subscribed: set[str]) -> None:
        wanted = {*self._members, *self._waiting}
        gone, new = subscribed - wanted, wanted - subscribed
        self._confirmed -= gone
        subscribed ^= gone | new
        if gone:
            pubsub.unsubscribe(*(keys.CHANNEL_PREFIX + room for room in gone))
        if new:
            pubsub.subscribe(*(keys.CHANNEL_PREFIX + room for room in new))

    def _take(self, kind: str, channel: str, payload: bytes) -> None:
        if channel == self._own_channel:
            if kind == "subscribe":
                self._catch_up()
            return  # a message on it was to wake the loop, and has
        if kind == "subscribe":
            room = channel.removeprefix(keys.CHANNEL_PREFIX)
            self._confirmed.add(room)
            for waiter in self._waiting.get(room, ()):
                waiter.set()
        elif kind == "message":
            self._relay(channel, payload)

    def _relay(self, channel: str, payload: bytes) -> None:
        event = _decoded(payload, channel)
        if event is None:
            return
        with self._delivery:
            last = self._relayed.get(event.job_id)
            if last is None or event.seq == last + 1:
                self._deliver(event, payload)
            elif event.seq > last:
                self._replay(event.job_id, last)

    def _catch_up(self) -> None:
        """Send what was published while the rooms' channels were not subscribed to."""
        with self._delivery:
            for job_id, last in list(self._relayed.items()):
                if last != _ENDED:
                    self._replay(job_id, last)
            for room in list(self._members):
                for stored in self._history.open_jobs(room):
                    if stored.job_id not in self._relayed:
                        self._replay(stored.job_id, 0)

    def _replay(self, job_id: str, after: int) -> None:
        stored = self._history.events(job_id, after)
        for payload in stored.events if stored else ():
            event = _decoded(payload, f"job {job_id}")
            if event:
                self._deliver(event, payload)

    def _deliver(self, event: ProgressEvent, payload: bytes) -> None:
        job_id = event.job_id
        sids = set[str]().union(*(self._members.get(room, ()) for room in _rooms(event)))
        recipients = [sid for sid in sids if self._floors.get(sid, {}).get(job_id, 0) < event.seq]
        if recipients:
            self._emit(json.loads(payload), recipients)
        self._relayed[job_id] = _ENDED if event.status.terminal else event.seq
        self._relayed.move_to_end(job_id)
        if len(self._relayed) > REMEMBERED_JOBS:
            self._relayed.popitem(last=False)
        if event.status.terminal:
            for sid in sids:
                self._floors.get(sid, {}).pop(job_id, None)


def _decoded(payload: bytes, where: str) -> ProgressEvent | None:
    """The event, or ``None``: one that is none must not keep the others from their sockets."""
    try:
        return decode(payload)
    except InvalidEventError as error:
        log.warning("skipped what is no event in %s: %s", where, error)
        return None


def _rooms(event: ProgressEvent) -> list[str]:
    return keys.rooms(event.job_id, event.user_id, event.socket_user_id)

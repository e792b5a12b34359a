"""The relay: from the store's pub/sub channels to the readers in the rooms.

The journal is the truth; a published event is only a hint that it has grown. Each reader has a cursor per
job, the ``seq`` it has got so far: what comes again is dropped, what is missing is read from the journal
first. So every reader gets each event once and in order, however many rooms bring it there.

The relay subscribes only to the channels of rooms that somebody is in. Its pub/sub connection has one owner,
the loop in :meth:`Relay.run`; others tell it what they want and wake it through a channel of its own. On that
channel it also hears its own heartbeat: a link that has died in silence is noticed by its absence.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import RedisError

from api.frames import Frame
from cto_worker import keys
from cto_worker.errors import CtoError, InvalidEventError, JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from redis import Redis
    from redis.client import PubSub

    from cto_worker.history import History

log = logging.getLogger(__name__)

JOIN_TIMEOUT_S = 5.0
LISTEN_TIMEOUT_S = 1.0
RECONNECT_S = 0.5
BEAT_S = 2.0  # how often the relay's own heartbeat is sent through the store
SILENCE_S = 6.0  # without any message for so long, the connection is taken for dead
TURN_S = 0.02  # how long a burst may keep everybody else waiting; what comes within it is written at once
REMEMBERED_ENDS = 1_000  # ended jobs of which it is known who has got the end
_ENDED = sys.maxsize  # as a cursor: nothing can follow


class RelayUnavailableError(CtoError):
    """The store did not confirm a subscription in time."""


class GapError(CtoError):
    """The journal no longer holds what a reader asks for. ``oldest_seq`` is where it begins."""

    def __init__(self, job_id: str, oldest_seq: int) -> None:
        super().__init__(f"the events of job {job_id} before {oldest_seq} are gone")
        self.oldest_seq = oldest_seq


@dataclass(eq=False, slots=True)
class Reader:
    """One connection. ``put`` queues an event for it, and must not wait for the client."""

    put: Callable[[Frame], object]
    rooms: set[str] = field(default_factory=set)
    cursors: dict[str, int] = field(default_factory=dict)  # job → seq of the latest event put


class Relay:
    """Who is in which room, and the loop that brings them their events."""

    def __init__(self, store: Redis, history: History) -> None:
        self._store = store
        self._history = history
        self._members: dict[str, set[Reader]] = {}
        self._confirmed: set[str] = set()  # rooms whose channel the store has confirmed
        self._waiting: dict[str, set[threading.Event]] = {}  # room → those who wait for that
        self._wants_changed = False  # whether the rooms that somebody is in, or waits for, have changed
        self._ends: deque[tuple[str, list[Reader]]] = deque()  # jobs ended of late, and who was told
        self._own_channel = f"{keys.GATEWAY_PREFIX}{uuid4()}"
        # Held while events go out and while a reader takes its snapshot, so that the two never interleave.
        self._delivery = threading.RLock()
        self._stopped = False

    def join(self, reader: Reader, room: str) -> None:
        """Put a reader into a room and send it the latest event of each of the room's open jobs.

        Raises :class:`RelayUnavailableError` or ``redis.exceptions.RedisError``; then it is not in the room.
        """
        with self._subscribed(room), self._delivery:
            opened = self._history.open_jobs(room)
            self._enter(reader, room)
            for frame in frames_of(stored.event for stored in opened):
                if frame.job_id in reader.cursors:
                    self._replay(frame.job_id, [reader])  # it follows the job already, or once did
                else:
                    reader.put(frame)
                    reader.cursors[frame.job_id] = frame.seq

    def resume(self, reader: Reader, job_id: str, after: int) -> list[Frame]:
        """Put a reader into a job's room, and return the job's events with ``seq`` > ``after``.

        What follows them is put. Raises :class:`GapError` when events after ``after`` are gone,
        :class:`~cto_worker.errors.JobNotFoundError`, and what :meth:`join` raises.
        """
        room = keys.job_room(job_id)
        with self._subscribed(room), self._delivery:
            stored = self._history.events(job_id, after)
            if stored is None:
                raise JobNotFoundError(job_id)
            frames = list(frames_of(stored.events))
            if frames and frames[0].seq > after + 1:
                raise GapError(job_id, frames[0].seq)
            reached = [_ENDED if frame.terminal else frame.seq for frame in frames[-1:]]
            reader.cursors[job_id] = max(after, reader.cursors.get(job_id, 0), *reached)
            self._enter(reader, room)
        return frames

    def leave(self, reader: Reader, room: str) -> None:
        """Take a reader out of a room. Harmless when it is not in it."""
        reader.rooms.discard(room)
        members = self._members.get(room)
        if members is None:
            return
        members.discard(reader)
        if not members:
            del self._members[room]
            self._wants_changed = True  # the loop drops the subscription when it next wakes

    def forget(self, reader: Reader) -> None:
        """Take a reader that is gone out of every room."""
        for room in list(reader.rooms):
            self.leave(reader, room)

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
            self._wake()

    def _enter(self, reader: Reader, room: str) -> None:
        reader.rooms.add(room)
        self._members.setdefault(room, set()).add(reader)

    @contextmanager
    def _subscribed(self, room: str) -> Iterator[None]:
        """Have the room's channel subscribed, and keep it so for the length of the block."""
        confirmed = threading.Event()
        self._waiting.setdefault(room, set()).add(confirmed)
        try:
            if room not in self._confirmed:
                self._wants_changed = True
                self._wake()
                if not confirmed.wait(JOIN_TIMEOUT_S):
                    raise RelayUnavailableError("the store did not confirm the subscription in time")
            yield
        finally:
            self._waiting[room].discard(confirmed)
            if not self._waiting[room]:
                del self._waiting[room]
                self._wants_changed = True

    def _wake(self) -> None:
        self._store.publish(self._own_channel, b"")

    def _listen(self, pubsub: PubSub) -> None:
        subscribed: set[str] = set()
        self._resubscribe(pubsub, subscribed)
        # Asked for last, so its confirmation says that every room's came before.
        pubsub.subscribe(self._own_channel)
        heard_s = beat_s = turn_s = time.monotonic()
        while not self._stopped:
            message = pubsub.get_message(timeout=LISTEN_TIMEOUT_S)
            now_s = time.monotonic()
            if message:
                heard_s = now_s
                self._take(message["type"], message["channel"].decode(), message["data"])
            elif now_s - heard_s > SILENCE_S:
                raise StoreConnectionError(f"not even the own heartbeat was heard for {SILENCE_S:g} s")
            if now_s - beat_s > BEAT_S:
                beat_s = now_s
                self._wake()
            if self._wants_changed:
                self._wants_changed = False
                self._resubscribe(pubsub, subscribed)
            if now_s - turn_s > TURN_S:
                time.sleep(0)  # green threads run only when the running one lets them
                turn_s = time.monotonic()

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
        room = channel.removeprefix(keys.CHANNEL_PREFIX)
        if kind == "subscribe":
            self._confirmed.add(room)
            for waiter in self._waiting.get(room, ()):
                waiter.set()
        elif kind == "message":
            with self._delivery:
                for frame in frames_of([payload]):
                    self._send(frame, self._members.get(room, ()))

    def _catch_up(self) -> None:
        """Send what was published while the rooms' channels were not subscribed to."""
        with self._delivery:
            behind: dict[str, set[Reader]] = {}
            for room, members in self._members.items():
                for reader in members:
                    for job_id, last in reader.cursors.items():
                        if last != _ENDED:
                            behind.setdefault(job_id, set()).add(reader)
                for stored in self._history.open_jobs(room):
                    behind.setdefault(stored.job_id, set()).update(members)
            for job_id, readers in behind.items():
                self._replay(job_id, readers)

    def _send(self, frame: Frame, readers: Collection[Reader]) -> None:
        """Put an event to all of a room's readers that have not got it, what they miss before that first."""
        job_id, seq, before = frame.job_id, frame.seq, frame.seq - 1
        reached = _ENDED if frame.terminal else seq
        behind = []
        for reader in readers:
            last = reader.cursors.get(job_id, 0)
            if last == before:
                reader.put(frame)
                reader.cursors[job_id] = reached
            elif last < before:
                behind.append(reader)
        if behind:
            self._replay(job_id, behind)
        if frame.terminal:
            self._end(job_id, readers)

    def _replay(self, job_id: str, readers: Collection[Reader]) -> None:
        """Put what the journal holds of a job to all of its readers among these that have not got it."""
        after = min(reader.cursors.get(job_id, 0) for reader in readers)
        stored = self._history.events(job_id, after)
        frames = list(frames_of(stored.events)) if stored else []
        if not frames:
            return
        rooms = rooms_of(frames[0])
        members = [reader for reader in readers if not rooms.isdisjoint(reader.rooms)]
        for frame in frames:
            for reader in members:
                if frame.seq > reader.cursors.get(job_id, 0):
                    reader.put(frame)
                    reader.cursors[job_id] = _ENDED if frame.terminal else frame.seq
        if frames[-1].terminal:
            self._end(job_id, members)

    def _end(self, job_id: str, readers: Collection[Reader]) -> None:
        """Forget the readers' cursors of a job that has ended; in a while, for its end may come again."""
        self._ends.append((job_id, list(readers)))
        if len(self._ends) > REMEMBERED_ENDS:
            job_id, readers = self._ends.popleft()
            for reader in readers:
                reader.cursors.pop(job_id, None)


def frames_of(payloads: Iterable[bytes]) -> Iterator[Frame]:
    """The events; what is none must not keep the others from their readers."""
    for payload in payloads:
        try:
            yield Frame(payload)
        except InvalidEventError as error:
            log.warning("skipped: %s", error)


def rooms_of(frame: Frame) -> set[str]:
    """Every room that gets this event."""
    event = json.loads(frame.payload)
    return set(keys.rooms(frame.job_id, event.get("userId"), event.get("socketUserId")))

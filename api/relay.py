"""The relay: from the store's pub/sub channels to the readers in the rooms.

The journal is the truth; a published event is only a hint that it has grown. Each reader has a cursor per
job, the ``seq`` it has got so far: what comes again is dropped, what is missing is read from the journal
first. So every reader gets each event once and in order, however many rooms bring it there.

One loop, :meth:`Relay.run`, does all of this: it owns the pub/sub connection, which carries only the channels
of rooms that somebody is in, and nothing is sent to a reader but by it. Who wants to join or to resume leaves
a request, and wakes the loop through a channel of its own. On that channel it also hears its own heartbeat: a
link that has died in silence is noticed by its absence.

A heartbeat also says which job was accepted last. The store keeps the order in which it publishes: who hears
it has been told the first event of that job, and of every job before it. So what readers lack after a broken
link is events of jobs that they have a cursor on, and of jobs accepted after the last heartbeat heard, be
they ended or not.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import RedisError

from api.frames import Frame
from api.outbox import flush, flushing
from api.subscription import Subscription
from cto_worker import keys
from cto_worker.errors import CtoError, InvalidEventError, JobNotFoundError
from cto_worker.store import script

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from redis import Redis

    from cto_worker.history import AcceptedJob, History, StoredEvent, StoredEvents

log = logging.getLogger(__name__)

JOIN_TIMEOUT_S = 5.0
ADMITTED_AT_ONCE = 100  # readers that join or resume, before events go out again
LISTEN_TIMEOUT_S = 1.0
RECONNECT_S = 0.5
BEAT_S = 2.0  # how often the relay's own heartbeat is sent through the store
SILENCE_S = 6.0  # without any message for so long, the connection is taken for dead
TURN_S = 0.05  # how long a burst may keep everybody else waiting; what comes within it is written at once
JOBS_AT_ONCE = 100  # that are caught up with, before other threads run
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
    """One connection. ``put`` queues an event for it; ``gap`` a word that events are gone.

    Of the latter, job and the ``seq`` of the oldest event left, which comes next. Neither may wait for the
    client.
    """

    put: Callable[[Frame], object]
    gap: Callable[[str, int], object]
    rooms: dict[str, int] = field(default_factory=dict)  # → serial of the newest job when it joined
    cursors: dict[str, int] = field(default_factory=dict)  # job → seq of the latest event put
    gone: bool = False


@dataclass(eq=False, slots=True)
class _Request:
    """To join a room, or, with ``after``, to resume the job whose room it is."""

    reader: Reader
    room: str
    job_id: str = ""
    after: int | None = None
    answer: Callable[[list[Frame]], object] = lambda _: None
    error: Exception | None = None
    given_up: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class Relay:
    """Who is in which room, and the loop that brings them their events."""

    def __init__(self, store: Redis, history: History) -> None:
        self._store = store
        self._history = history
        # By the channel of a room, as the store names it in every message.
        self._members: dict[bytes, set[Reader]] = {}
        self._confirmed: set[bytes] = set()  # subscriptions that the store has confirmed
        self._unconfirmed: Counter[bytes] = Counter()  # SUBSCRIBE commands without an answer yet
        self._asked: deque[_Request] = deque()  # not yet seen by the loop
        self._waiting: list[_Request] = []  # for their channel's confirmation
        self._woken = False  # whether somebody has woken the loop since it last looked
        self._left = False  # whether a room has lost its last member since then
        self._ends: deque[tuple[str, list[dict[str, int]]]] = deque()  # jobs ended of late; cursors on them
        # Serial of a job: of those up to it, whoever was to get the first event has got it. None at first.
        self._heard: int | None = None
        self._beat = script(store, "beat")
        self._own_channel = f"{keys.GATEWAY_PREFIX}{uuid4()}".encode()
        self._stopped = False

    def join(self, reader: Reader, room: str) -> None:
        """Put a reader into a room and send it the latest event of each of the room's open jobs.

        Raises :class:`RelayUnavailableError` or ``redis.exceptions.RedisError``; then it is not in the room.
        """
        self._ask(_Request(reader, room))

    def resume(
        self, reader: Reader, job_id: str, after: int, answer: Callable[[list[Frame]], object]
    ) -> None:
        """Put a reader into a job's room, and have it told the job's events with ``seq`` > ``after``.

        ``answer`` gets them, and must not wait; what follows is put after it has returned. Raises
        :class:`GapError` when events after ``after`` are gone,
        :class:`~cto_worker.errors.JobNotFoundError`, and what :meth:`join` raises.
        """
        self._ask(_Request(reader, keys.job_room(job_id), job_id, after, answer))

    def leave(self, reader: Reader, room: str) -> None:
        """Take a reader out of a room. Harmless when it is not in it."""
        reader.rooms.pop(room, None)
        members = self._members.get(_channel(room))
        if members is None:
            return
        members.discard(reader)
        if not members:
            del self._members[_channel(room)]
            self._left = True  # the loop drops the subscription when it next wakes

    def forget(self, reader: Reader) -> None:
        """Take a reader that is gone out of every room, for good."""
        reader.gone = True
        for room in list(reader.rooms):
            self.leave(reader, room)

    def run(self) -> None:
        """Relay until :meth:`stop`. A lost connection is made again, and what was missed is caught up."""
        while not self._stopped:
            try:
                with Subscription(self._store) as subscription, flushing():
                    self._listen(subscription)
            except (RedisError, OSError) as error:
                log.warning("lost the store: %s", error)
            except Exception:
                # Without this loop the gateway would look ready and show nothing any more.
                log.exception("the relay broke")
            else:
                continue
            self._confirmed.clear()
            self._unconfirmed.clear()
            time.sleep(RECONNECT_S)

    def stop(self) -> None:
        """Make :meth:`run` return."""
        self._stopped = True
        with suppress(RedisError):
            self._wake()

    def _enter(self, reader: Reader, room: str, newest_serial: int = 0) -> None:
        reader.rooms.setdefault(room, newest_serial)
        self._members.setdefault(_channel(room), set()).add(reader)

    def _ask(self, request: _Request) -> None:
        self._asked.append(request)
        if not self._woken:
            self._woken = True
            try:
                self._wake()
            except BaseException:
                self._woken, request.given_up = False, True
                raise
        if not request.done.wait(JOIN_TIMEOUT_S):
            request.given_up = True
            raise RelayUnavailableError("the store did not confirm the subscription in time")
        if request.error:
            raise request.error

    def _wake(self) -> None:
        self._beat(keys=[self._own_channel, keys.SERIAL])

    def _listen(self, subscription: Subscription) -> None:
        subscribed: set[bytes] = set()
        self._resubscribe(subscription, subscribed)
        # Asked for last, so its confirmation says that every room's came before.
        subscription.subscribe([self._own_channel])
        replies = self._until_confirmed(subscription)
        self._catch_up()  # before what follows, so that jobs appear in the order in which they were accepted
        heard_s = beat_s = turn_s = time.monotonic()
        while not self._stopped:
            now_s = time.monotonic()
            if replies:
                heard_s = now_s
                self._take(replies)
            elif now_s - heard_s > SILENCE_S:
                raise StoreConnectionError(f"not even the own heartbeat was heard for {SILENCE_S:g} s")
            if now_s - beat_s > BEAT_S:
                beat_s = now_s
                self._wake()
            if self._asked or self._left:
                self._resubscribe(subscription, subscribed)
            if self._waiting:
                self._admit()
            if now_s - turn_s > TURN_S:
                _let_others_run()
                turn_s = time.monotonic()
            elif not subscription.pending():
                flush()
            replies = subscription.receive(LISTEN_TIMEOUT_S)

    def _until_confirmed(self, subscription: Subscription) -> list[Any]:
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

    def _resubscribe(self, subscription: Subscription, subscribed: set[bytes]) -> None:
        self._woken = self._left = False
        while self._asked:
            self._waiting.append(self._asked.popleft())
        wanted = {*self._members, *(_channel(request.room) for request in self._waiting)}
        gone, new = subscribed - wanted, wanted - subscribed
        self._confirmed -= gone
        subscribed ^= gone | new
        subscription.unsubscribe(gone)
        subscription.subscribe(new)
        self._unconfirmed.update(new)

    def _take(self, replies: list[Any]) -> None:
        for kind, channel, payload in replies:
            if kind == b"message":
                members = self._members.get(channel)
                if members:
                    for frame in frames_of([payload]):
                        self._send(frame, members)
                elif channel == self._own_channel:
                    self._hear(int(payload))
            elif kind == b"subscribe":
                self._unconfirmed[channel] -= 1
                if self._unconfirmed[channel] <= 0:  # else it was given up and asked for again meanwhile
                    del self._unconfirmed[channel]
                    self._confirmed.add(channel)

    def _admit(self) -> None:
        """Serve the requests whose channels are confirmed, with one question to the journal for many."""
        self._left |= any(request.given_up for request in self._waiting)
        self._waiting = [request for request in self._waiting if not request.given_up]
        ready = [request for request in self._waiting if _channel(request.room) in self._confirmed]
        for first in range(0, len(ready), ADMITTED_AT_ONCE):
            if first:
                _let_others_run()
            try:
                self._serve(ready[first : first + ADMITTED_AT_ONCE])
            finally:  # what is served must not be served again after an error
                self._waiting = [request for request in self._waiting if not request.done.is_set()]

    def _serve(self, requests: list[_Request]) -> None:
        joining = [request for request in requests if request.after is None]
        resuming = [request for request in requests if request.after is not None]
        # Asked for first: whatever job is newer and not among those shown now comes after joining.
        newest_serial = self._history.newest_serial() if joining else 0
        opened = self._history.open_jobs_of([request.room for request in joining])
        missed = self._history.events_of([(request.job_id, request.after or 0) for request in resuming])
        for request, jobs in zip(joining, opened, strict=True):
            self._show(request, jobs, newest_serial)
            request.done.set()
        for request, stored in zip(resuming, missed, strict=True):
            self._bring(request, stored)
            request.done.set()

    def _show(self, request: _Request, opened: list[StoredEvent], newest_serial: int) -> None:
        reader = request.reader
        if request.given_up or reader.gone:
            return
        self._enter(reader, request.room, newest_serial)
        for frame in frames_of(stored.event for stored in opened):
            if frame.job_id in reader.cursors:
                self._replay({frame.job_id: [reader]})  # it follows the job already, or once did
            else:
                reader.put(frame)
                reader.cursors[frame.job_id] = frame.seq

    def _bring(self, request: _Request, stored: StoredEvents | None) -> None:
        if stored is None:
            request.error = JobNotFoundError(request.job_id)
            return
        frames, after, cursors = list(frames_of(stored.events)), request.after or 0, request.reader.cursors
        if frames and frames[0].seq > after + 1:
            request.error = GapError(request.job_id, frames[0].seq)
        elif not (request.given_up or request.reader.gone):
            try:
                request.answer(frames)
            except Exception as error:  # noqa: BLE001 - whose answer it is gets it
                request.error = error
                return
            reached = [_ENDED if frame.terminal else frame.seq for frame in frames[-1:]]
            cursors[request.job_id] = max(after, cursors.get(request.job_id, 0), *reached)
            self._enter(request.reader, request.room)

    def _catch_up(self) -> None:
        """Send what was published while the rooms' channels were not subscribed to."""
        if self._heard is None:
            self._heard = self._history.newest_serial()  # nobody was in a room before
        self._replay_all(self._following())
        while accepted := self._history.accepted_after(self._heard, JOBS_AT_ONCE):
            self._replay_all({job.job_id: readers for job in accepted if (readers := self._expecting(job))})
            self._heard = accepted[-1].serial

    def _following(self) -> dict[str, set[Reader]]:
        """The jobs that have not ended as far as the readers know, with those who have a cursor on them."""
        following: dict[str, set[Reader]] = {}
        for reader in {reader for members in self._members.values() for reader in members}:
            for job_id, last in reader.cursors.items():
                if last != _ENDED:
                    following.setdefault(job_id, set()).add(reader)
        return following

    def _expecting(self, job: AcceptedJob) -> set[Reader]:
        """Those who were in one of a job's rooms before it was accepted."""
        return {
            reader
            for room in job.rooms
            for reader in self._members.get(_channel(room), ())
            if reader.rooms.get(room, job.serial) < job.serial
        }

    def _hear(self, serial: int) -> None:
        """Take note of a heartbeat. Jobs that had ended before it are not caught up with any more."""
        self._heard = serial
        while len(self._ends) > REMEMBERED_ENDS:
            job_id, all_cursors = self._ends.popleft()
            for cursors in all_cursors:
                cursors.pop(job_id, None)

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
            self._replay({job_id: behind})
        if frame.terminal:
            self._end(job_id, readers)

    def _replay_all(self, behind: dict[str, set[Reader]]) -> None:
        """The same of many jobs, while others wait no longer than for some of them."""
        jobs = list(behind.items())
        for first in range(0, len(jobs), JOBS_AT_ONCE):
            self._replay(dict(jobs[first : first + JOBS_AT_ONCE]))
            _let_others_run()

    def _replay(self, behind: Mapping[str, Collection[Reader]]) -> None:
        """Put what the journal holds of each job to all of its readers among these that have not got it."""
        after = [
            (job_id, min(reader.cursors.get(job_id, 0) for reader in readers))
            for job_id, readers in behind.items()
        ]
        for (job_id, readers), stored in zip(behind.items(), self._history.events_of(after), strict=True):
            frames = list(frames_of(stored.events)) if stored else []
            if frames:
                rooms = rooms_of(frames[0])
                members = [reader for reader in readers if not rooms.isdisjoint(reader.rooms)]
                self._put(job_id, frames, members)

    def _put(self, job_id: str, frames: list[Frame], readers: Collection[Reader]) -> None:
        for reader in readers:
            if frames[0].seq > reader.cursors.get(job_id, 0) + 1:
                reader.gap(job_id, frames[0].seq)
        for frame in frames:
            for reader in readers:
                if frame.seq > reader.cursors.get(job_id, 0):
                    reader.put(frame)
                    reader.cursors[job_id] = _ENDED if frame.terminal else frame.seq
        if frames[-1].terminal:
            self._end(job_id, readers)

    def _end(self, job_id: str, readers: Collection[Reader]) -> None:
        """Have the readers' cursors of an ended job forgotten; in a while, for its end may come again."""
        self._ends.append((job_id, [reader.cursors for reader in readers]))


def _let_others_run() -> None:
    flush()
    time.sleep(0)  # green threads run only when the running one lets them


def _channel(room: str) -> bytes:
    return f"{keys.CHANNEL_PREFIX}{room}".encode()


def _room(channel: bytes) -> str:
    return channel.decode().removeprefix(keys.CHANNEL_PREFIX)


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

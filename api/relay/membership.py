"""The audience: who is in which room, and has got what.

Each reader has a cursor per job, the ``seq`` it has got so far: what comes again is dropped, what is missing
is read from the journal first. So every reader gets each event once and in order, however many rooms bring
it there.

Only the relay's loop lets readers in and sends to them; so no lock is needed.
"""

from __future__ import annotations

import random
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from api import metrics
from api.relay import latency_probe
from api.relay.encoded_event import frames_of, rooms_of
from api.relay.send_queue import flush
from api.relay.subscriber import ENDED
from cto_worker.domain.ids import job_room
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from api.relay.encoded_event import EncodedEvent
    from api.relay.subscriber import Subscriber
    from cto_worker.store.history import AcceptedJob, History

JOBS_AT_ONCE = 100  # that are read from the journal, before other threads run
REMEMBERED_ENDS = 1_000  # ended jobs of which it is known who has got the end


class RoomMembership:
    """The readers, by room. Methods that read the journal may raise ``redis.exceptions.RedisError``."""

    def __init__(self, history: History, most_rooms: int = sys.maxsize) -> None:
        """``most_rooms`` is how many rooms one reader may be in."""
        self._history = history
        self.most_rooms = most_rooms
        # By the channel of a room, as the store names it in every message. Only rooms with members are there.
        self.members: dict[bytes, set[Subscriber]] = {}
        self.sample_due = False  # whether the next event's way is to be timed
        self._ends: deque[tuple[str, list[dict[str, int]]]] = deque()  # jobs ended of late; cursors on them

    def has_place(self, subscriber: Subscriber, room: str) -> bool:
        """Whether a reader is in a room, or may be in one room more."""
        return room in subscriber.rooms or len(subscriber.rooms) < self.most_rooms

    def enter(self, subscriber: Subscriber, room: str, latest_serial: int = 0) -> None:
        """Put a reader into a room. It is no news to it that jobs up to this serial number have ended."""
        subscriber.rooms.setdefault(room, latest_serial)
        self.members.setdefault(channel_of(room), set()).add(subscriber)

    def leave(self, subscriber: Subscriber, room: str) -> None:
        """Take a reader out of a room. Harmless when it is not in it."""
        subscriber.rooms.pop(room, None)
        members = self.members.get(channel_of(room), set())
        members.discard(subscriber)
        if not members:
            self.members.pop(channel_of(room), None)

    def following(self) -> dict[str, set[Subscriber]]:
        """The jobs that have not ended as far as the readers know, with those who have a cursor on them."""
        following: dict[str, set[Subscriber]] = {}
        for subscriber in {subscriber for members in self.members.values() for subscriber in members}:
            for job_id, last in subscriber.cursors.items():
                if last != ENDED:
                    following.setdefault(job_id, set()).add(subscriber)
        return following

    def expecting(self, job: AcceptedJob) -> set[Subscriber]:
        """Those who were in one of a job's rooms before it was accepted."""
        return {
            subscriber
            for room in job.rooms
            for subscriber in self.members.get(channel_of(room), ())
            if subscriber.rooms.get(room, job.serial) < job.serial
        }

    def send(self, frame: EncodedEvent, subscribers: Collection[Subscriber]) -> None:
        """Put an event to all of a room's readers that have not got it, what they miss before that first."""
        job_id, seq, before = frame.job_id, frame.seq, frame.seq - 1
        reached = ENDED if frame.terminal else seq
        behind, told = [], 0
        for subscriber in subscribers:
            last = subscriber.cursors.get(job_id, 0)
            if last == before:
                subscriber.put(frame)
                subscriber.cursors[job_id] = reached
                told += 1
            elif last < before:
                behind.append(subscriber)
        metrics.RELAYED.inc(told)
        if self.sample_due and told:
            self._sample(frame, subscribers)
        if behind:
            self.replay({job_id: behind})
        if frame.terminal:
            self.end(job_id, subscribers)

    def replay_all(self, behind: dict[str, set[Subscriber]]) -> None:
        """Do :meth:`replay` for many jobs, some at a time."""
        jobs = list(behind.items())
        for first in range(0, len(jobs), JOBS_AT_ONCE):
            self.replay(dict(jobs[first : first + JOBS_AT_ONCE]))
            yield_to_others()

    def replay(self, behind: Mapping[str, Collection[Subscriber]]) -> None:
        """Put what the journal holds of each job to all of its readers among these that have not got it."""
        after = [
            (job_id, min(subscriber.cursors.get(job_id, 0) for subscriber in subscribers))
            for job_id, subscribers in behind.items()
        ]
        for (job_id, subscribers), stored in zip(behind.items(), self._history.events_of(after), strict=True):
            frames = list(frames_of(stored.events)) if stored else []
            if frames:
                rooms = rooms_of(frames[0])
                self._put(
                    job_id,
                    frames,
                    [subscriber for subscriber in subscribers if not rooms.isdisjoint(subscriber.rooms)],
                )

    def _put(self, job_id: str, frames: list[EncodedEvent], subscribers: Collection[Subscriber]) -> None:
        for subscriber in subscribers:
            if frames[0].seq > subscriber.cursors.get(job_id, 0) + 1:
                subscriber.gap(job_id, frames[0].seq)
        for frame in frames:
            for subscriber in subscribers:
                if frame.seq > subscriber.cursors.get(job_id, 0):
                    metrics.RELAYED.inc()
                    subscriber.put(frame)
                    subscriber.cursors[job_id] = ENDED if frame.terminal else frame.seq
        if frames[-1].terminal:
            self.end(job_id, subscribers)

    def _sample(self, frame: EncodedEvent, subscribers: Collection[Subscriber]) -> None:
        self.sample_due = False
        lag_s = max(0.0, time.time() - frame.timestamp_ms / 1_000)
        metrics.RELAY_LAG.observe(lag_s)
        if probes := [subscriber.probe for subscriber in subscribers if subscriber.probe]:
            random.choice(probes)(latency_probe.ask(lag_s))  # noqa: S311 - no secret

    def end(self, job_id: str, subscribers: Collection[Subscriber]) -> None:
        """Take readers that have a job's last event out of its room, to which nothing more comes.

        Their cursors on it are forgotten later, for its end may come again.
        """
        room = job_room(job_id)
        self._ends.append((job_id, [subscriber.cursors for subscriber in subscribers]))
        for subscriber in [
            subscriber for subscriber in subscribers if room in subscriber.rooms
        ]:  # it may be the room's own set
            self.leave(subscriber, room)

    def purge_ended_cursors(self) -> None:
        """Forget the cursors on jobs that ended long ago, now that none of them is caught up with again."""
        while len(self._ends) > REMEMBERED_ENDS:
            job_id, all_cursors = self._ends.popleft()
            for cursors in all_cursors:
                cursors.pop(job_id, None)


def channel_of(room: str) -> bytes:
    """The pub/sub channel of a room, as the store names it."""
    return f"{keys.CHANNEL_PREFIX}{room}".encode()


def yield_to_others() -> None:
    """Send what was put, and have other threads run."""
    flush()
    time.sleep(0)  # green threads run only when the running one lets them

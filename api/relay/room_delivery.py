"""The subscribers of each room, and the events that each subscriber has.

A subscriber has a cursor per job: the ``seq`` of the last event that was queued for it. A repeated event is
dropped. If events are missing, they are read from the journal and queued before the new one. So each
subscriber gets each event once and in order, even if several of its rooms get the event.

A subscriber follows a job while it is in one of the job's rooms. The cursors of the latest jobs that it has
left are kept, so that it misses no event if it joins again.

Only the relay's loop adds subscribers and sends to them, so no lock is needed.
"""

from __future__ import annotations

import random
import sys
import time
from collections import deque
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from api import metric_definitions
from api.relay import latency_probe
from api.relay.encoded_event import rooms_of, valid_events
from api.relay.send_queue import flush
from api.relay.subscriber import ENDED
from cto_worker.domain.ids_and_rooms import job_room
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from api.relay.encoded_event import EncodedEvent
    from api.relay.subscriber import Subscriber
    from cto_worker.store.journal_queries import AcceptedJob, JournalQueries

JOB_BATCH_SIZE = 100  # jobs that are read from the journal before other threads run
REMEMBERED_ENDS = 1_000  # ended jobs whose cursors are kept
REMEMBERED_LEFT = 1_000  # unfinished jobs, of each subscriber, that it left and whose cursors are kept


class RoomDelivery:
    """The subscribers, by room. Methods that read the journal may raise ``redis.exceptions.RedisError``."""

    def __init__(self, history: JournalQueries, max_rooms: int = sys.maxsize) -> None:
        """``max_rooms`` limits the rooms of one subscriber."""
        self._history = history
        self.max_rooms = max_rooms
        # Keyed by the channel name in the store's messages. Rooms without members are not kept.
        self.members: dict[bytes, set[Subscriber]] = {}
        self.sample_due = False  # whether the latency of the next event is to be measured
        self._ends: deque[tuple[str, list[dict[str, int]]]] = deque()  # ended jobs, with the cursors on them
        # Rooms by job id. All followers of a job share one set.
        self._rooms: WeakValueDictionary[str, frozenset[str]] = WeakValueDictionary()

    def add(self, subscriber: Subscriber, room: str, latest_serial: int = 0) -> None:
        """Add a subscriber to a room.

        Jobs that have ended and whose serial is at most ``latest_serial`` are not replayed to it.
        """
        subscriber.rooms.setdefault(room, latest_serial)
        self.members.setdefault(channel_of(room), set()).add(subscriber)
        for job_id in _jobs_of_room(room, subscriber.left):
            subscriber.followed[job_id] = subscriber.left.pop(job_id)

    def follow(self, subscriber: Subscriber, job_id: str, rooms: Iterable[str]) -> None:
        """Record that a subscriber with a cursor on an unfinished job is in one of the job's ``rooms``."""
        subscriber.followed[job_id] = self._rooms.setdefault(job_id, frozenset(rooms))

    def rooms_of(self, event: EncodedEvent) -> frozenset[str]:
        """Return the rooms of an event's job. Decodes the event only if no subscriber follows the job."""
        rooms = self._rooms.get(event.job_id)
        if rooms is None:
            rooms = self._rooms[event.job_id] = frozenset(rooms_of(event))
        return rooms

    def leave(self, subscriber: Subscriber, room: str) -> None:
        """Remove a subscriber from a room. Does nothing if it is not a member."""
        subscriber.rooms.pop(room, None)
        members = self.members.get(channel_of(room), set())
        members.discard(subscriber)
        if not members:
            self.members.pop(channel_of(room), None)
        for job_id in _jobs_of_room(room, subscriber.followed):
            if subscriber.followed[job_id].isdisjoint(subscriber.rooms):
                subscriber.left[job_id] = subscriber.followed.pop(job_id)
        while len(subscriber.left) > REMEMBERED_LEFT:
            oldest = next(iter(subscriber.left))
            del subscriber.left[oldest]
            subscriber.cursors.pop(oldest, None)

    def unfinished_by_job(self) -> dict[str, set[Subscriber]]:
        """Return, for each unfinished job, the subscribers that follow it."""
        unfinished: dict[str, set[Subscriber]] = {}
        for subscriber in {subscriber for members in self.members.values() for subscriber in members}:
            for job_id in subscriber.followed:
                unfinished.setdefault(job_id, set()).add(subscriber)
        return unfinished

    def subscribers_expecting(self, job: AcceptedJob) -> set[Subscriber]:
        """Return the subscribers that joined one of a job's rooms before the job was accepted."""
        return {
            subscriber
            for room in job.rooms
            for subscriber in self.members.get(channel_of(room), ())
            if subscriber.rooms.get(room, job.serial) < job.serial
        }

    def send(self, event: EncodedEvent, subscribers: Collection[Subscriber]) -> None:
        """Queue an event for the subscribers that have not received it, after the events that they missed."""
        job_id, seq, before = event.job_id, event.seq, event.seq - 1
        reached = ENDED if event.terminal else seq
        rooms = frozenset() if before else self.rooms_of(event)
        behind, count = [], 0
        for subscriber in subscribers:
            last = subscriber.cursors.get(job_id, 0)
            if last == before:
                subscriber.put_event(event)
                subscriber.cursors[job_id] = reached
                if not before:
                    subscriber.followed[job_id] = rooms
                count += 1
            elif last < before:
                behind.append(subscriber)
        metric_definitions.RELAYED.inc(count)
        if self.sample_due and count:
            self._sample_latency(event, subscribers)
        if behind:
            self.replay({job_id: behind})
        if event.terminal:
            self.end_job(job_id, subscribers)

    def replay_all(self, behind: dict[str, set[Subscriber]]) -> None:
        """Call :meth:`replay` for many jobs, in batches."""
        jobs = list(behind.items())
        for first in range(0, len(jobs), JOB_BATCH_SIZE):
            self.replay(dict(jobs[first : first + JOB_BATCH_SIZE]))
            yield_to_others()

    def replay(self, behind: Mapping[str, Collection[Subscriber]]) -> None:
        """Read each job's events from the journal, and queue those that a subscriber has not received."""
        after = [
            (job_id, min(subscriber.cursors.get(job_id, 0) for subscriber in subscribers))
            for job_id, subscribers in behind.items()
        ]
        for (job_id, subscribers), stored in zip(
            behind.items(), self._history.events_of_jobs(after), strict=True
        ):
            events = list(valid_events(stored.events)) if stored else []
            if stored and events:
                rooms = frozenset(stored.rooms)
                members = [subscriber for subscriber in subscribers if not rooms.isdisjoint(subscriber.rooms)]
                for subscriber in members:
                    self.follow(subscriber, job_id, rooms)
                self._put_missing(job_id, events, members)

    def _put_missing(
        self, job_id: str, events: list[EncodedEvent], subscribers: Collection[Subscriber]
    ) -> None:
        for subscriber in subscribers:
            if events[0].seq > subscriber.cursors.get(job_id, 0) + 1:
                subscriber.put_gap(job_id, events[0].seq)
        for event in events:
            for subscriber in subscribers:
                if event.seq > subscriber.cursors.get(job_id, 0):
                    metric_definitions.RELAYED.inc()
                    subscriber.put_event(event)
                    subscriber.cursors[job_id] = ENDED if event.terminal else event.seq
        if events[-1].terminal:
            self.end_job(job_id, subscribers)

    def _sample_latency(self, event: EncodedEvent, subscribers: Collection[Subscriber]) -> None:
        self.sample_due = False
        lag_s = max(0.0, time.time() - event.timestamp_ms / 1_000)
        metric_definitions.RELAY_LAG.observe(lag_s)
        if candidates := [subscriber for subscriber in subscribers if subscriber.answers_pings]:
            chosen = random.choice(candidates)  # noqa: S311 - needs no secure randomness
            chosen.put(latency_probe.new_ping(lag_s))

    def end_job(self, job_id: str, subscribers: Collection[Subscriber]) -> None:
        """Remove subscribers that have a job's last event from its room: no event follows.

        Their cursors are purged later, because the last event may arrive again.
        """
        room = job_room(job_id)
        self._ends.append((job_id, [subscriber.cursors for subscriber in subscribers]))
        for subscriber in subscribers:
            subscriber.followed.pop(job_id, None)
            subscriber.left.pop(job_id, None)
        # A list, because ``subscribers`` may be the set of the room's members.
        for subscriber in [subscriber for subscriber in subscribers if room in subscriber.rooms]:
            self.leave(subscriber, room)

    def purge_ended_cursors(self) -> None:
        """Delete the cursors of all but the latest 1,000 ended jobs."""
        while len(self._ends) > REMEMBERED_ENDS:
            job_id, all_cursors = self._ends.popleft()
            for cursors in all_cursors:
                cursors.pop(job_id, None)


def _jobs_of_room(room: str, jobs: Mapping[str, frozenset[str]]) -> list[str]:
    """Return the jobs that have this room. ``jobs`` maps each job to its rooms."""
    prefix = job_room("")
    if room.startswith(prefix):
        job_id = room.removeprefix(prefix)
        return [job_id] if job_id in jobs else []
    return [job_id for job_id, rooms in jobs.items() if room in rooms]


def channel_of(room: str) -> bytes:
    """Return the pub/sub channel of a room, as the store names it."""
    return f"{keys.CHANNEL_PREFIX}{room}".encode()


def yield_to_others() -> None:
    """Flush the send queues, and let other threads run."""
    flush()
    time.sleep(0)  # a green thread runs only when the current one yields

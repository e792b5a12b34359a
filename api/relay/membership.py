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

    from api.relay.encoded_event import Frame
    from api.relay.subscriber import Reader
    from cto_worker.store.history import AcceptedJob, History

JOBS_AT_ONCE = 100  # that are read from the journal, before other threads run
REMEMBERED_ENDS = 1_000  # ended jobs of which it is known who has got the end


class Audience:
    """The readers, by room. Methods that read the journal may raise ``redis.exceptions.RedisError``."""

    def __init__(self, history: History, most_rooms: int = sys.maxsize) -> None:
        """``most_rooms`` is how many rooms one reader may be in."""
        self._history = history
        self.most_rooms = most_rooms
        # By the channel of a room, as the store names it in every message. Only rooms with members are there.
        self.members: dict[bytes, set[Reader]] = {}
        self.sample_due = False  # whether the next event's way is to be timed
        self._ends: deque[tuple[str, list[dict[str, int]]]] = deque()  # jobs ended of late; cursors on them

    def has_place(self, reader: Reader, room: str) -> bool:
        """Whether a reader is in a room, or may be in one room more."""
        return room in reader.rooms or len(reader.rooms) < self.most_rooms

    def enter(self, reader: Reader, room: str, newest_serial: int = 0) -> None:
        """Put a reader into a room. It is no news to it that jobs up to this serial number have ended."""
        reader.rooms.setdefault(room, newest_serial)
        self.members.setdefault(channel_of(room), set()).add(reader)

    def leave(self, reader: Reader, room: str) -> None:
        """Take a reader out of a room. Harmless when it is not in it."""
        reader.rooms.pop(room, None)
        members = self.members.get(channel_of(room), set())
        members.discard(reader)
        if not members:
            self.members.pop(channel_of(room), None)

    def following(self) -> dict[str, set[Reader]]:
        """The jobs that have not ended as far as the readers know, with those who have a cursor on them."""
        following: dict[str, set[Reader]] = {}
        for reader in {reader for members in self.members.values() for reader in members}:
            for job_id, last in reader.cursors.items():
                if last != ENDED:
                    following.setdefault(job_id, set()).add(reader)
        return following

    def expecting(self, job: AcceptedJob) -> set[Reader]:
        """Those who were in one of a job's rooms before it was accepted."""
        return {
            reader
            for room in job.rooms
            for reader in self.members.get(channel_of(room), ())
            if reader.rooms.get(room, job.serial) < job.serial
        }

    def send(self, frame: Frame, readers: Collection[Reader]) -> None:
        """Put an event to all of a room's readers that have not got it, what they miss before that first."""
        job_id, seq, before = frame.job_id, frame.seq, frame.seq - 1
        reached = ENDED if frame.terminal else seq
        behind, told = [], 0
        for reader in readers:
            last = reader.cursors.get(job_id, 0)
            if last == before:
                reader.put(frame)
                reader.cursors[job_id] = reached
                told += 1
            elif last < before:
                behind.append(reader)
        metrics.RELAYED.inc(told)
        if self.sample_due and told:
            self._sample(frame, readers)
        if behind:
            self.replay({job_id: behind})
        if frame.terminal:
            self.end(job_id, readers)

    def replay_all(self, behind: dict[str, set[Reader]]) -> None:
        """Do :meth:`replay` for many jobs, some at a time."""
        jobs = list(behind.items())
        for first in range(0, len(jobs), JOBS_AT_ONCE):
            self.replay(dict(jobs[first : first + JOBS_AT_ONCE]))
            let_others_run()

    def replay(self, behind: Mapping[str, Collection[Reader]]) -> None:
        """Put what the journal holds of each job to all of its readers among these that have not got it."""
        after = [
            (job_id, min(reader.cursors.get(job_id, 0) for reader in readers))
            for job_id, readers in behind.items()
        ]
        for (job_id, readers), stored in zip(behind.items(), self._history.events_of(after), strict=True):
            frames = list(frames_of(stored.events)) if stored else []
            if frames:
                rooms = rooms_of(frames[0])
                self._put(
                    job_id, frames, [reader for reader in readers if not rooms.isdisjoint(reader.rooms)]
                )

    def _put(self, job_id: str, frames: list[Frame], readers: Collection[Reader]) -> None:
        for reader in readers:
            if frames[0].seq > reader.cursors.get(job_id, 0) + 1:
                reader.gap(job_id, frames[0].seq)
        for frame in frames:
            for reader in readers:
                if frame.seq > reader.cursors.get(job_id, 0):
                    metrics.RELAYED.inc()
                    reader.put(frame)
                    reader.cursors[job_id] = ENDED if frame.terminal else frame.seq
        if frames[-1].terminal:
            self.end(job_id, readers)

    def _sample(self, frame: Frame, readers: Collection[Reader]) -> None:
        self.sample_due = False
        lag_s = max(0.0, time.time() - frame.timestamp_ms / 1_000)
        metrics.RELAY_LAG.observe(lag_s)
        if probes := [reader.probe for reader in readers if reader.probe]:
            random.choice(probes)(latency_probe.ask(lag_s))  # noqa: S311 - no secret

    def end(self, job_id: str, readers: Collection[Reader]) -> None:
        """Take readers that have a job's last event out of its room, to which nothing more comes.

        Their cursors on it are forgotten later, for its end may come again.
        """
        room = job_room(job_id)
        self._ends.append((job_id, [reader.cursors for reader in readers]))
        for reader in [reader for reader in readers if room in reader.rooms]:  # it may be the room's own set
            self.leave(reader, room)

    def forget_ends(self) -> None:
        """Forget the cursors on jobs that ended long ago, now that none of them is caught up with again."""
        while len(self._ends) > REMEMBERED_ENDS:
            job_id, all_cursors = self._ends.popleft()
            for cursors in all_cursors:
                cursors.pop(job_id, None)


def channel_of(room: str) -> bytes:
    """The pub/sub channel of a room, as the store names it."""
    return f"{keys.CHANNEL_PREFIX}{room}".encode()


def let_others_run() -> None:
    """Send what was put, and have other threads run."""
    flush()
    time.sleep(0)  # green threads run only when the running one lets them

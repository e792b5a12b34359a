"""Truthful jobs of many users, and how their events are published: each at once in all of its rooms."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import chain, zip_longest
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.system import BODY
from cto_worker.domain.events import Details, Status, encode
from cto_worker.domain.ids import rooms as rooms_of_job
from cto_worker.domain.request import parse_request
from cto_worker.operation.reporter import accepted_event
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis import Redis

    from cto_worker.domain.events import ProgressEvent
    from cto_worker.store.journal import RedisJournal

_PIPELINED = 200
# As append.lua does it: the event goes to the store once, and from there to every room.
_PUBLISH = 'for place = 2, #ARGV do redis.call("PUBLISH", ARGV[place], ARGV[1]) end'
_REQUEST = parse_request(BODY)


_JOURNALED = 50  # events that a job in the journal may get to


def job(user_id: str, length: int) -> list[ProgressEvent]:
    """A job's story from its first event to its last."""
    first = accepted_event(str(uuid4()), replace(_REQUEST, user_id=user_id))
    steps = [
        replace(
            first,
            seq=seq,
            attempt=1,
            phase=4,
            phase_title="Executing Operation",
            phase_description="Executing prefunded CTO with 0.0001 SOL",
            progress=70,
            status=Status.IN_PROGRESS,
            platform="raydium",
            details=Details(
                successful_buys=1,
                failed_buys=0,
                total_spent=0.00010005,
                wallets_used=1,
                transaction_signatures=("5" * 88,),
                estimated_time_remaining=400,
                current_operation="Buying from wallet 2 of 2",
            ),
        )
        for seq in range(2, length)
    ]
    last = replace(
        (steps or [first])[-1],
        seq=length,
        phase=5,
        progress=100,
        status=Status.COMPLETED,
        phase_title="Ended",
    )
    return [first, *steps, last]


def side_by_side(jobs: Iterable[list[ProgressEvent]]) -> list[ProgressEvent]:
    """The events of jobs that run at the same time: every first one, every second one and so on."""
    return [event for event in chain.from_iterable(zip_longest(*jobs)) if event]


class Journaled:
    """A job of a user's in the journal, which publishes what it records; it does not end."""

    def __init__(self, journal: RedisJournal, user_id: str) -> None:
        self._journal = journal
        self._opening, *self._steps = job(user_id, _JOURNALED)[:-1]
        self.job_id = self._opening.job_id
        journal.create(self._opening, _REQUEST.to_document())

    def go_on(self, count: int) -> None:
        """Record so many more events."""
        if not self._journal.claim(self.job_id, str(uuid4())):
            raise RuntimeError("somebody else has claimed the job")
        *earlier, last = self._steps[:count]
        self._journal.append(last, earlier=earlier)


class Publisher:
    """Publishes as fast as the store takes it, or event by event."""

    def __init__(self, store: Redis) -> None:
        self._connection = store.connection_pool.get_connection()
        self._connection.send_command("SCRIPT", "LOAD", _PUBLISH)
        self._sha = self._connection.read_response()

    def packed(self, events: Sequence[ProgressEvent]) -> list[tuple[int, bytes]]:
        """The events as the store takes them: so many answers to come, and the bytes of the commands."""
        return [
            (len(some), b"".join(self._connection.pack_commands([self._command(event) for event in some])))
            for at in range(0, len(events), _PIPELINED)
            if (some := events[at : at + _PIPELINED])
        ]

    def publish(self, packed: Iterable[tuple[int, bytes]]) -> int:
        """Publish them all at once; when that began, by ``time.monotonic_ns``."""
        begun_ns = time.monotonic_ns()
        for answers, commands in packed:
            self._connection.send_packed_command([commands])
            for _ in range(answers):
                self._connection.read_response()
        return begun_ns

    def publish_at(self, per_s: float, events: Sequence[ProgressEvent]) -> None:
        """Publish one after another, evenly; each says when it was sent."""
        begun_s = time.monotonic()
        for place, event in enumerate(events):
            time.sleep(max(0.0, begun_s + place / per_s - time.monotonic()))
            now = Details(current_operation=f"sent {time.monotonic_ns()}")
            self._connection.send_command(*self._command(replace(event, details=now)))
            self._connection.read_response()

    def _command(self, event: ProgressEvent) -> tuple[str | bytes | int, ...]:
        rooms = rooms_of_job(event.job_id, event.user_id, event.socket_user_id)
        return ("EVALSHA", self._sha, 0, encode(event), *self._channels(rooms))

    @staticmethod
    def _channels(rooms: list[str]) -> Iterator[str]:
        return (keys.CHANNEL_PREFIX + room for room in rooms)

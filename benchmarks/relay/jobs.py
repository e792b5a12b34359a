"""Realistic jobs of many users, and a publisher that sends each event to all of its rooms at once."""

from __future__ import annotations

import dataclasses
import time
from itertools import chain, zip_longest
from typing import TYPE_CHECKING
from uuid import uuid4

from msgspec.structs import replace

from benchmarks.system import BODY
from cto_worker.domain.ids_and_rooms import rooms as rooms_of_job
from cto_worker.domain.journal_ports import Entry
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import Details, Status, encode
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis import Redis

    from cto_worker.domain.progress_event import ProgressEvent
    from cto_worker.store.redis_journal import RedisJournal

_PIPELINED = 200
# As in append.lua: the event is sent to the store once, and published there to every room.
_PUBLISH = 'for index = 2, #ARGV do redis.call("PUBLISH", ARGV[index], ARGV[1]) end'
_REQUEST = parse_request(BODY)


_JOURNALED = 50  # maximum number of events of a journalled job


def job(user_id: str, length: int) -> list[ProgressEvent]:
    """Return all events of a job, from the first to the last."""
    first = accepted_event(str(uuid4()), dataclasses.replace(_REQUEST, user_id=user_id))
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
    """Return the events of concurrent jobs: all first events, then all second ones, and so on."""
    return [event for event in chain.from_iterable(zip_longest(*jobs)) if event]


class Journaled:
    """A user's job in the journal, which publishes its events. It does not end."""

    def __init__(self, journal: RedisJournal, user_id: str) -> None:
        self._journal = journal
        accepted, *self._steps = job(user_id, _JOURNALED)[:-1]
        self.job_id = accepted.job_id
        journal.create(accepted, _REQUEST.to_document())

    def append(self, count: int) -> None:
        """Append ``count`` events."""
        if not self._journal.claim(self.job_id, str(uuid4())):
            raise RuntimeError(f"job {self.job_id} has another owner")
        *earlier, last = self._steps[:count]
        self._journal.append(Entry(last, earlier=earlier))


class Publisher:
    """Publishes events as fast as possible, or at a given rate."""

    def __init__(self, store: Redis) -> None:
        self._connection = store.connection_pool.get_connection()
        self._connection.send_command("SCRIPT", "LOAD", _PUBLISH)
        self._sha = self._connection.read_response()

    def packed(self, events: Sequence[ProgressEvent]) -> list[tuple[int, bytes]]:
        """Encode the events as pipelines: the number of replies, and the bytes of the commands."""
        return [
            (len(batch), b"".join(self._connection.pack_commands([self._command(event) for event in batch])))
            for start in range(0, len(events), _PIPELINED)
            if (batch := events[start : start + _PIPELINED])
        ]

    def publish(self, packed: Iterable[tuple[int, bytes]]) -> int:
        """Publish all of them at once. Returns the start, as ``time.monotonic_ns``."""
        start_ns = time.monotonic_ns()
        for replies, commands in packed:
            self._connection.send_packed_command([commands])
            for _ in range(replies):
                self._connection.read_response()
        return start_ns

    def publish_at(self, per_s: float, events: Sequence[ProgressEvent]) -> None:
        """Publish events at a steady rate. Each contains its send time."""
        start_s = time.monotonic()
        for index, event in enumerate(events):
            time.sleep(max(0.0, start_s + index / per_s - time.monotonic()))
            details = Details(current_operation=f"sent {time.monotonic_ns()}")
            self._connection.send_command(*self._command(replace(event, details=details)))
            self._connection.read_response()

    def _command(self, event: ProgressEvent) -> tuple[str | bytes | int, ...]:
        rooms = rooms_of_job(event.job_id, event.user_id, event.socket_user_id)
        return ("EVALSHA", self._sha, 0, encode(event), *self._channels(rooms))

    @staticmethod
    def _channels(rooms: list[str]) -> Iterator[str]:
        return (keys.CHANNEL_PREFIX + room for room in rooms)

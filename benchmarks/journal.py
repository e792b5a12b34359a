"""The cost of a journal step: against a bare write of the same bytes, and late in a long job."""

from __future__ import annotations

import time
from contextlib import contextmanager
from statistics import mean, median
from typing import TYPE_CHECKING
from uuid import uuid4

from msgspec.structs import replace

from benchmarks.system import BODY, client, embedded_store
from cto_worker.config import Settings
from cto_worker.domain.ids_and_rooms import user_room
from cto_worker.domain.journal_ports import Entry
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import Details, ProgressEvent, Status, encode
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import keys
from cto_worker.store.redis_journal import RedisJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

SETTINGS = Settings()


class Job:
    """A claimed job to which any number of events can be appended."""

    def __init__(self, journal: RedisJournal) -> None:
        request = parse_request(BODY)
        accepted = accepted_event(str(uuid4()), request)
        journal.create(accepted, request.to_document())
        claim = journal.claim(accepted.job_id, str(uuid4()))
        assert claim
        self._journal = journal
        self.event = replace(
            accepted,
            attempt=claim.attempt,
            phase=4,
            progress=70,
            status=Status.IN_PROGRESS,
            platform="raydium",
            details=Details(
                successful_buys=0,
                failed_buys=0,
                total_spent=0.0,
                wallets_used=0,
                transaction_signatures=(),
                estimated_time_remaining=400,
                current_operation="Buying from wallet 1 of 1",
            ),
        )

    def step(self) -> None:
        """Append one event of status ``in_progress``."""
        self.event = replace(self.event, seq=self.event.seq + 1)
        self._journal.append(Entry(self.event))

    def end(self) -> None:
        """Append the terminal event, with a step duration for the estimates."""
        self.event = replace(self.event, seq=self.event.seq + 1, progress=100, status=Status.COMPLETED)
        self._journal.append(Entry(self.event, result={"success": True}, step_ms=400.0))


def step_against_bare_write(fsync: str, calls: int = 200, rounds: int = 7) -> tuple[float, float]:
    """Return the ms of one step, and of SET and PUBLISH of the same bytes in one pipeline."""
    with running_journal(fsync) as (store, journal):
        job = Job(journal)
        bare = bare_write(store, job.event)
        for _ in range(calls):
            bare()
            job.step()
        return _medians([_alternate(job.step, bare, calls) for _ in range(rounds)])


def late_against_early(fsync: str, calls: int = 100, rounds: int = 5) -> tuple[float, float]:
    """Return the ms of a step at events 900 to 1,000 of a job, and at events 10 to 110."""
    measured = []
    with running_journal(fsync) as (_, journal):
        for _ in range(rounds):
            old, young = Job(journal), Job(journal)
            for _ in range(899):
                old.step()
            for _ in range(9):
                young.step()
            measured.append(_alternate(old.step, young.step, calls))
    return _medians(measured)


@contextmanager
def running_journal(fsync: str) -> Iterator[tuple[Redis, RedisJournal]]:
    """Yield a store, and a journal in it that has its step durations, as after twenty operations."""
    with embedded_store(fsync) as environment, client(environment) as store:
        journal = RedisJournal(store, SETTINGS)
        for _ in range(keys.STEP_DURATION_SAMPLES):
            Job(journal).end()
        yield store, journal


def bare_write(store: Redis, event: ProgressEvent) -> Callable[[], object]:
    """Return the minimal progress report: it stores metadata and publishes the event without checks."""
    payload = encode(event)
    head = b'{"status":"PROGRESS","result":'
    tail = b',"traceback":null,"children":[],"date_done":null,"task_id":"%b"}' % event.job_id.encode()
    metadata = head + payload + tail
    channel = keys.CHANNEL_PREFIX + user_room(event.user_id)
    key = f"bench:{event.job_id}"

    def write() -> None:
        pipeline = store.pipeline(transaction=False)
        pipeline.set(key, metadata, ex=SETTINGS.retention_s)
        pipeline.publish(channel, payload)
        pipeline.execute()

    return write


def _alternate(first: Callable[[], object], second: Callable[[], object], calls: int) -> tuple[float, float]:
    """Return the mean ms of two calls. They alternate, so that both see the same noise."""
    pairs = [(_ms(first), _ms(second)) for _ in range(calls)]
    return mean(pair[0] for pair in pairs), mean(pair[1] for pair in pairs)


def _ms(call: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    call()
    return (time.perf_counter() - start_s) * 1000


def _medians(measured: list[tuple[float, float]]) -> tuple[float, float]:
    return median(pair[0] for pair in measured), median(pair[1] for pair in measured)

"""The journal's promises, held by the real one and by its twin alike."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cto_worker import keys
from cto_worker.config import Settings
from cto_worker.errors import (
    FencedError,
    IdempotencyConflictError,
    JobEndedError,
    JobNotFoundError,
    OperationFailed,
    SequenceError,
)
from cto_worker.events import Details, JobStatus, Mode, ProgressEvent, Status, decode
from cto_worker.history import History
from cto_worker.journal import Idempotency, Receipt
from cto_worker.memory_journal import MemoryJournal
from cto_worker.redis_journal import RedisJournal

FIRST = ProgressEvent(
    job_id="j1",
    seq=1,
    attempt=0,
    token_address="So11111111111111111111111111111111111111112",
    user_id="7",
    user_chat_id=1,
    phase=1,
    phase_title="t",
    phase_description="d",
    progress=10,
    status=Status.STARTED,
    timestamp=1_700_000_000_000,
    mode=Mode.STANDARD,
    platform="unknown",
    buy_amount=0.5,
    socket_user_id="9",
)
SECOND = replace(FIRST, seq=2, attempt=1, phase=2, progress=25, status=Status.IN_PROGRESS)
COMPLETED = replace(SECOND, seq=3, phase=5, progress=100, status=Status.COMPLETED)
FAILED = replace(
    COMPLETED, status=Status.FAILED, details=Details(error="no SOL", error_code="insufficient_funds")
)
KEY = Idempotency("service", "key-1", "fingerprint")


class Real:
    """The journal in the store, and what can be read there."""

    def __init__(self, store):
        self.journal = RedisJournal(store, Settings())
        self.store = store

    def events(self, job_id):
        stored = History(self.store).events(job_id)
        return [decode(event) for event in stored.events] if stored else []

    def metadata(self, job_id):
        return json.loads(self.store.get(keys.meta(job_id)))


class Twin:
    """The same, in memory."""

    def __init__(self):
        self.journal = MemoryJournal()

    def events(self, job_id):
        return self.journal.jobs[job_id].events if job_id in self.journal.jobs else []

    def metadata(self, job_id):
        return self.journal.metadata[job_id]


@pytest.fixture(params=["real", "twin"])
def book(request):
    return Twin() if request.param == "twin" else Real(request.getfixturevalue("store"))


@pytest.fixture
def journal(book):
    return book.journal


@pytest.fixture
def started(journal):
    """The journal with a job that its first run has begun."""
    journal.create(FIRST, {"a": 1})
    journal.claim("j1", "me")
    journal.append(SECOND)
    return journal


def test_a_job_is_recorded_with_its_first_event(book, journal):
    created = journal.create(FIRST, {"a": 1})
    assert (created.job_id, created.new, created.status) == ("j1", True, JobStatus.WAITING)
    assert book.events("j1") == [FIRST]
    assert book.metadata("j1")["status"] == "PROGRESS"
    assert book.metadata("j1")["result"]["seq"] == 1


def test_recording_a_job_again_changes_nothing(book, started):
    created = started.create(FIRST, {"a": 2})
    assert (created.new, created.status) == (False, JobStatus.ACTIVE)
    assert book.events("j1") == [FIRST, SECOND]


def test_an_idempotency_key_stands_for_one_job(book, journal):
    assert journal.create(FIRST, {}, KEY).new
    again = journal.create(replace(FIRST, job_id="j2"), {}, KEY)
    assert (again.job_id, again.new) == ("j1", False)
    assert book.events("j2") == []


def test_an_idempotency_key_with_another_request_is_a_conflict(book, journal):
    journal.create(FIRST, {}, KEY)
    with pytest.raises(IdempotencyConflictError) as conflict:
        journal.create(replace(FIRST, job_id="j2"), {}, replace(KEY, fingerprint="other"))
    assert conflict.value.job_id == "j1"
    assert book.events("j2") == []


def test_the_same_key_of_another_caller_is_another_job(journal):
    journal.create(FIRST, {}, KEY)
    assert journal.create(replace(FIRST, job_id="j2"), {}, replace(KEY, caller="8")).new


def test_a_job_is_claimed_once(journal):
    journal.create(FIRST, {"a": 1})
    claim = journal.claim("j1", "me")
    assert (claim.attempt, claim.latest, json.loads(claim.request)) == (1, FIRST, {"a": 1})
    assert replace(journal.claim("j1", "me"), elapsed_ms=0) == claim, "an answer that was lost comes again"
    assert journal.claim("j1", "you") is None


def test_an_unknown_job_cannot_be_claimed(journal):
    assert journal.claim("nothing", "me") is None


def test_an_ended_job_cannot_be_claimed(started):
    started.append(COMPLETED, {})
    assert started.claim("j1", "me") is None


def test_events_are_appended_in_order(book, started):
    started.append(replace(SECOND, seq=3, progress=45.5))
    assert [event.seq for event in book.events("j1")] == [1, 2, 3]
    assert book.metadata("j1")["result"]["progress"] == 45.5


def test_repeating_the_last_event_is_harmless(book, started):
    assert started.append(SECOND) == Receipt(cancel=False, step_ms=None)
    assert book.events("j1") == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (replace(SECOND, seq=4), SequenceError),
        (replace(SECOND, progress=26), SequenceError),
        (replace(SECOND, seq=3, progress=24), SequenceError),
        (replace(SECOND, seq=3, attempt=0), FencedError),
        (replace(SECOND, seq=3, attempt=2), FencedError),
        (replace(SECOND, seq=3, job_id="nothing"), JobNotFoundError),
    ],
    ids=["hole", "same seq, other event", "progress falls", "stale", "from the future", "unknown job"],
)
def test_what_must_not_happen_is_refused(book, started, event, error):
    before = book.metadata("j1")
    with pytest.raises(error):
        started.append(event)
    assert book.events("j1") == [FIRST, SECOND]
    assert book.metadata("j1") == before


@pytest.mark.parametrize("terminal", [COMPLETED, FAILED], ids=["completed", "failed"])
def test_nothing_follows_the_end(book, started, terminal):
    started.append(terminal, {})
    with pytest.raises(JobEndedError):
        started.append(replace(SECOND, seq=4, progress=100))
    assert book.events("j1") == [FIRST, SECOND, terminal]


def test_a_stale_run_cannot_write_before_the_first_event_of_its_owner(journal):
    journal.create(FIRST, {})
    with pytest.raises(FencedError):
        journal.append(SECOND)


def test_success_carries_the_operations_result(book, started):
    started.append(COMPLETED, {"successfulBuys": 3})
    assert book.metadata("j1")["status"] == "SUCCESS"
    assert book.metadata("j1")["result"] == {"successfulBuys": 3}


def test_failure_carries_an_exception_with_the_result(book, started):
    started.append(FAILED, {"successfulBuys": 0})
    assert book.metadata("j1")["status"] == "FAILURE"
    assert book.metadata("j1")["result"] == {
        "exc_type": OperationFailed.__name__,
        "exc_module": "cto_worker.errors",
        "exc_message": ["no SOL", "insufficient_funds", {"successfulBuys": 0}],
    }


def test_a_cancellation_is_told_with_every_later_step(started):
    assert started.request_cancel("j1").status is JobStatus.ACTIVE
    assert started.append(SECOND).cancel
    assert started.append(replace(SECOND, seq=3)).cancel


def test_a_waiting_job_can_be_cancelled(journal):
    journal.create(FIRST, {})
    assert journal.request_cancel("j1").status is JobStatus.WAITING
    journal.claim("j1", "me")
    assert journal.append(SECOND).cancel


def test_an_unknown_job_cannot_be_cancelled(journal):
    with pytest.raises(JobNotFoundError):
        journal.request_cancel("nothing")


def test_an_ended_job_cannot_be_cancelled(started):
    started.append(FAILED, {})
    with pytest.raises(JobEndedError):
        started.request_cancel("j1")


def test_the_pace_is_the_median_of_the_last_twenty_runs(journal):
    def run(number, platform, step_ms):
        job_id = f"run-{number}"
        journal.create(replace(FIRST, job_id=job_id), {})
        journal.claim(job_id, "me")
        begun = journal.append(replace(SECOND, job_id=job_id, platform=platform))
        journal.append(replace(COMPLETED, job_id=job_id, platform=platform), {}, step_ms)
        return begun.step_ms

    assert [run(n, "bonk", float(n)) for n in range(4)] == [None, 0, 0.5, 1]
    for number in range(4, 25):
        run(number, "bonk", float(number))
    assert run(25, "bonk", None) == 14.5
    assert run(26, "pumpfun", None) is None

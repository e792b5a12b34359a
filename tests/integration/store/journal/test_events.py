"""The journal: events, cancellations, and the end of a job."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.journals import COMPLETED, FAILED, FIRST, SECOND

from cto_worker.domain.journal_ports import AppendResult, Entry
from cto_worker.domain.progress_event import JobStatus
from cto_worker.errors import FencedError, JobEndedError, JobNotFoundError, OperationFailed, SequenceError


def test_events_are_appended_in_order(book, started):
    started.append(Entry(replace(SECOND, seq=3, progress=45.5)))
    assert [event.seq for event in book.events("j1")] == [1, 2, 3]
    assert book.metadata("j1")["result"]["progress"] == 45.5


THREE = [replace(SECOND, seq=seq, progress=20.0 + 5 * seq) for seq in (3, 4, 5)]


def test_several_events_are_appended_in_one_step(book, started):
    *earlier, last = THREE
    started.append(Entry(last, earlier=earlier))
    assert book.events("j1") == [FIRST, SECOND, *THREE]
    assert book.metadata("j1")["result"]["seq"] == 5
    assert started.append(Entry(last, earlier=earlier)) == AppendResult(cancel=False, step_ms=None), (
        "and once only"
    )
    assert book.events("j1") == [FIRST, SECOND, *THREE]


@pytest.mark.parametrize(
    "events",
    [
        [replace(THREE[0], seq=4), THREE[1]],
        [THREE[1], THREE[2]],
        [THREE[0], THREE[2]],
        [replace(THREE[0], progress=99), THREE[1]],
        [replace(COMPLETED, progress=30), THREE[1]],
        [replace(event, attempt=0) for event in THREE],
    ],
    ids=["same seq", "hole before", "hole between", "progress falls", "after the end", "stale"],
)
def test_events_that_cannot_follow_are_refused_together(book, started, events):
    with pytest.raises((SequenceError, FencedError)):
        started.append(Entry(events[-1], earlier=events[:-1]))
    assert book.events("j1") == [FIRST, SECOND]


def test_repeating_the_last_event_is_harmless(book, started):
    assert started.append(Entry(SECOND)) == AppendResult(cancel=False, step_ms=None)
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
def test_an_invalid_event_is_refused(book, started, event, error):
    before = book.metadata("j1")
    with pytest.raises(error):
        started.append(Entry(event))
    assert book.events("j1") == [FIRST, SECOND]
    assert book.metadata("j1") == before


@pytest.mark.parametrize("terminal", [COMPLETED, FAILED], ids=["completed", "failed"])
def test_nothing_follows_the_end(book, started, terminal):
    started.append(Entry(terminal))
    with pytest.raises(JobEndedError):
        started.append(Entry(replace(SECOND, seq=4, progress=100)))
    assert book.events("j1") == [FIRST, SECOND, terminal]


def test_a_stale_run_cannot_write_before_the_first_event_of_its_owner(journal):
    journal.create(FIRST, {})
    with pytest.raises(FencedError):
        journal.append(Entry(SECOND))


def test_success_carries_the_operations_result(book, started):
    started.append(Entry(COMPLETED, result={"successfulBuys": 3}))
    assert book.metadata("j1")["status"] == "SUCCESS"
    assert book.metadata("j1")["result"] == {"successfulBuys": 3}


def test_failure_carries_an_exception_with_the_result(book, started):
    started.append(Entry(FAILED, result={"successfulBuys": 0}))
    assert book.metadata("j1")["status"] == "FAILURE"
    assert book.metadata("j1")["result"] == {
        "exc_type": OperationFailed.__name__,
        "exc_module": "cto_worker.errors",
        "exc_message": ["no SOL", "insufficient_funds", {"successfulBuys": 0}],
    }


def test_every_later_append_reports_a_requested_cancellation(started):
    assert started.request_cancel("j1").status is JobStatus.ACTIVE
    assert started.append(Entry(SECOND)).cancel
    assert started.append(Entry(replace(SECOND, seq=3))).cancel


def test_a_waiting_job_can_be_cancelled(journal):
    journal.create(FIRST, {})
    assert journal.request_cancel("j1").status is JobStatus.WAITING
    journal.claim("j1", "me")
    assert journal.append(Entry(SECOND)).cancel


def test_an_unknown_job_cannot_be_cancelled(journal):
    with pytest.raises(JobNotFoundError):
        journal.request_cancel("nothing")


def test_an_ended_job_cannot_be_cancelled(started):
    started.append(Entry(FAILED))
    with pytest.raises(JobEndedError):
        started.request_cancel("j1")


def test_the_step_duration_is_the_median_of_the_last_twenty_runs(journal):
    def run(number, platform, step_ms):
        job_id = f"run-{number}"
        journal.create(replace(FIRST, job_id=job_id), {})
        journal.claim(job_id, "me")
        begun = journal.append(Entry(replace(SECOND, job_id=job_id, platform=platform)))
        journal.append(Entry(replace(COMPLETED, job_id=job_id, platform=platform), step_ms=step_ms))
        return begun.step_ms

    assert [run(n, "bonk", float(n)) for n in range(4)] == [None, 0, 0.5, 1]
    for number in range(4, 25):
        run(number, "bonk", float(number))
    assert run(25, "bonk", None) == 14.5
    assert run(26, "pumpfun", None) is None


def test_a_job_that_ends_with_review_is_listed_for_an_operator(book, started):
    started.append(Entry(FAILED, review=True))
    assert book.for_review() == ["j1"]
    assert book.metadata("j1")["status"] == "FAILURE"


def test_a_job_that_ends_without_review_is_not_listed(book, started):
    started.append(Entry(COMPLETED))
    assert book.for_review() == []

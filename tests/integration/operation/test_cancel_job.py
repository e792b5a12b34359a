"""Cancellation of a job that no worker has begun, alone and against concurrent callers."""

from __future__ import annotations

import time

import pytest
from support.waiting import wait_until

from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.progress_event import JobStatus, Status, decode
from cto_worker.errors import JobEndedError, OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.markets.paper import ledger
from cto_worker.markets.paper.market import PaperMarket
from cto_worker.operation.cancel_job import cancel
from cto_worker.store import keys
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.store.redis_journal import RedisJournal


@pytest.fixture
def job_id(rest, body):
    """A recorded job, without a worker."""
    return rest.post("/api/cto/jobs", json=body).json["data"]["jobId"]


@pytest.fixture
def events(store, job_id):
    """A function that returns the job's events."""
    return lambda: [decode(event) for event in JournalQueries(store).events(job_id).events]


class Overtaken(RedisJournal):
    """A journal that calls ``meanwhile`` between the request to cancel and the end of the job."""

    def request_cancel(self, job_id, *arguments, **options):
        result = super().request_cancel(job_id, *arguments, **options)
        self.meanwhile()
        return result


@pytest.fixture
def overtaken(store, settings):
    return Overtaken(store, settings)


def test_a_waiting_job_ends_at_once_and_its_message_starts_no_run(
    rest, store, journal, settings, body, job_id, events
):
    answer = rest.post(f"/api/cto/job/{job_id}/cancel")
    assert (answer.status_code, answer.json["data"]["status"]) == (202, "failed")
    first, last = events()
    assert (last.seq, last.attempt, last.status) == (2, 0, Status.FAILED)
    assert (last.details.error_code, last.details.total_spent) == ("cancelled", 0)
    assert JournalQueries(store).job_details(job_id).result["errorCode"] == "cancelled"
    assert JobRunner(Journal.of(journal), PaperMarket(store, settings)).run_job(job_id, body) is None
    assert events() == [first, last]
    assert ledger.entries(store) == []
    assert store.zcard(keys.DUE) == 0, "no sweep finds the job"


def test_a_second_cancellation_is_refused(rest, job_id, events):
    rest.post(f"/api/cto/job/{job_id}/cancel")
    again = rest.post(f"/api/cto/job/{job_id}/cancel")
    assert (again.status_code, again.json["error"]["code"]) == (409, "job_ended")
    assert len(events()) == 2


def test_the_later_of_two_concurrent_cancellations_is_refused(journal, overtaken, job_id, events):
    (first,) = events()

    def another():
        assert cancel(Journal.of(journal), job_id, first) is JobStatus.FAILED
        # In the same millisecond the later call would write the same event, and succeed like the first.
        wait_until(lambda: time.time_ns() // 10**6 > events()[-1].timestamp)

    overtaken.meanwhile = another
    with pytest.raises(JobEndedError):
        cancel(Journal.of(overtaken), job_id, first)
    assert [event.status for event in events()] == [Status.STARTED, Status.FAILED]


def test_a_worker_that_claims_a_cancelled_job_first_ends_it(
    journal, overtaken, store, settings, body, job_id, events
):
    (first,) = events()
    overtaken.meanwhile = lambda: journal.claim(job_id, "a worker that dies")
    assert cancel(Journal.of(overtaken), job_id, first) is JobStatus.ACTIVE
    assert events() == [first]
    journal.release(job_id, 1)
    with pytest.raises(OperationFailed, match="cancelled"):
        JobRunner(Journal.of(journal), PaperMarket(store, settings)).run_job(job_id, body)
    assert events()[-1].details.error_code == "cancelled"
    assert ledger.entries(store) == []

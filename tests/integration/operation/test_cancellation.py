"""Cancelling a job that no worker has begun, alone and against whoever else is at it."""

from __future__ import annotations

import time

import pytest
from support.waiting import wait_until

from cto_worker.domain.events import JobStatus, Status, decode
from cto_worker.errors import JobEndedError, OperationFailed
from cto_worker.jobs.runner import Runner
from cto_worker.markets.paper import ledger
from cto_worker.markets.paper.market import PaperMarket
from cto_worker.operation.cancellation import cancel
from cto_worker.store import keys
from cto_worker.store.history import History
from cto_worker.store.journal import RedisJournal


@pytest.fixture
def job_id(rest, body):
    """A job that is recorded; no worker runs."""
    return rest.post("/api/cto/jobs", json=body).json["data"]["jobId"]


@pytest.fixture
def told(store, job_id):
    """The job's events, as they are when asked for."""
    return lambda: [decode(event) for event in History(store).events(job_id).events]


class Overtaken(RedisJournal):
    """A journal that lets something happen between asking for a cancellation and ending the job."""

    def request_cancel(self, job_id):
        standing = super().request_cancel(job_id)
        self.meanwhile()
        return standing


@pytest.fixture
def overtaken(store, settings):
    return Overtaken(store, settings)


def test_a_waiting_job_ends_at_once_and_its_message_runs_nothing(
    rest, store, journal, settings, body, job_id, told
):
    answer = rest.post(f"/api/cto/job/{job_id}/cancel")
    assert (answer.status_code, answer.json["data"]["status"]) == (202, "failed")
    first, last = told()
    assert (last.seq, last.attempt, last.status) == (2, 0, Status.FAILED)
    assert (last.details.error_code, last.details.total_spent) == ("cancelled", 0)
    assert History(store).view(job_id).result["errorCode"] == "cancelled"
    assert Runner(journal, PaperMarket(store, settings)).run_job(job_id, body) is None
    assert told() == [first, last]
    assert ledger.entries(store) == []
    assert store.zcard(keys.DUE) == 0, "no sweep looks for it"


def test_a_job_cancelled_twice_has_ended(rest, job_id, told):
    rest.post(f"/api/cto/job/{job_id}/cancel")
    again = rest.post(f"/api/cto/job/{job_id}/cancel")
    assert (again.status_code, again.json["error"]["code"]) == (409, "job_ended")
    assert len(told()) == 2


def test_of_two_cancellations_at_once_the_later_is_told_that_it_has_ended(journal, overtaken, job_id, told):
    (first,) = told()

    def another():
        assert cancel(journal, job_id, first) is JobStatus.FAILED
        # In the same millisecond the later one would write the same event, and be answered as the first is.
        wait_until(lambda: time.time_ns() // 10**6 > told()[-1].timestamp)

    overtaken.meanwhile = another
    with pytest.raises(JobEndedError):
        cancel(overtaken, job_id, first)
    assert [event.status for event in told()] == [Status.STARTED, Status.FAILED]


def test_a_worker_that_claims_the_job_first_ends_it(journal, overtaken, store, settings, body, job_id, told):
    (first,) = told()
    overtaken.meanwhile = lambda: journal.claim(job_id, "a worker that dies")
    assert cancel(overtaken, job_id, first) is JobStatus.ACTIVE
    assert told() == [first]
    journal.release(job_id, 1)
    with pytest.raises(OperationFailed, match="cancelled"):
        Runner(journal, PaperMarket(store, settings)).run_job(job_id, body)
    assert told()[-1].details.error_code == "cancelled"
    assert ledger.entries(store) == []

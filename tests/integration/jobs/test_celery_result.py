"""Celery's ``AsyncResult`` reads the metadata that the journal writes."""

from __future__ import annotations

import pytest
from support.samples import MINT

from cto_worker.config import Settings
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import Phase
from cto_worker.errors import OperationFailed
from cto_worker.jobs.celery_app import celery_app
from cto_worker.operation.progress_reporter import ProgressReporter, accepted_event
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.store.redis_journal import RedisJournal

REQUEST = parse_request(
    {
        "tokenAddress": MINT,
        "userId": "7",
        "userChatId": 1,
        "mode": "standard",
        "buyAmount": 0.5,
    }
)


@pytest.fixture
def app(settings):
    app = celery_app(settings)
    yield app
    app.close()


@pytest.fixture
def reporter(store):
    journal = RedisJournal(store, Settings())
    journal.create(accepted_event("j1", REQUEST), REQUEST.to_document())
    claim = journal.claim("j1", "me")
    return ProgressReporter(journal, "j1", REQUEST, attempt=claim.attempt, latest=claim.latest)


def test_a_waiting_job_is_in_progress_with_its_first_event(app, reporter):
    result = app.AsyncResult("j1")
    assert result.state == "PROGRESS"
    assert (result.info["seq"], result.info["status"]) == (1, "started")
    assert not result.ready()


def test_progress_is_the_latest_event(app, reporter):
    reporter.report(Phase.VALIDATING, "Checking 5 wallets")
    assert app.AsyncResult("j1").info["details"]["currentOperation"] == "Checking 5 wallets"


def test_success_is_the_operations_result(app, reporter):
    reporter.end({"successfulBuys": 5}, None)
    result = app.AsyncResult("j1")
    assert (result.state, result.result, result.successful()) == ("SUCCESS", {"successfulBuys": 5}, True)
    assert result.date_done


def test_failure_is_a_real_exception_with_the_result_in_it(app, reporter):
    reporter.end({"failedBuys": 5}, ("all_buys_failed", "No buy succeeded"))
    result = app.AsyncResult("j1")
    assert result.state == "FAILURE"
    assert isinstance(result.result, OperationFailed)
    assert (result.result.code, result.result.message) == ("all_buys_failed", "No buy succeeded")
    assert result.result.result == {"failedBuys": 5}
    assert str(result.result) == "all_buys_failed: No buy succeeded"


def test_rest_reads_the_same_result_from_the_metadata(store, reporter):
    reporter.end({"failedBuys": 5}, ("all_buys_failed", "No buy succeeded"))
    view = JournalQueries(store).job_details("j1")
    assert (view.status, view.result, len(view.events)) == ("failed", {"failedBuys": 5}, 2)

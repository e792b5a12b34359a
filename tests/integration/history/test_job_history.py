"""One job reads the same before, during and after its archiving, on both databases."""

from __future__ import annotations

import pytest
from support.operations import run
from support.samples import operation

from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.operation.cancel_job import cancel
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import keys
from cto_worker.store.job_review import Resolution, resolve, unknown_intents
from cto_worker.testing.in_memory_market import InMemoryMarket

PATHS = (
    "status", "latest", "events", "events?after=0", "events?after=2", "events?after=99", "review", "market",
)  # fmt: skip
JOBS = ("completed", "partial", "failed", "cancelled", "resolved")


@pytest.fixture
def jobs(store, journal):
    """A job of each end."""
    run(journal, InMemoryMarket(), "completed", mode="standard")
    run(journal, InMemoryMarket(failing=("wallet-2:buy",)), "partial")
    run(journal, InMemoryMarket(failing=("buy",)), "failed", userId="8")
    request = parse_request(operation())
    first = accepted_event("cancelled", request)
    journal.create(first, request.to_document())
    cancel(Journal.of(journal), "cancelled", first)
    run(journal, InMemoryMarket(silent=("wallet-1:buy",)), "resolved")
    (unknown,) = unknown_intents(store, "resolved")
    resolve(store, "resolved", unknown.intent_id, Resolution(executed=True))


def answers(rest):
    """Return the responses for every job, by path: status code, body and ETag."""
    paths = [f"job/{job_id}/{path}" for job_id in JOBS for path in PATHS]
    paths += ["jobs", "jobs/summary", "jobs.csv", f"jobs/stats?jobIds={','.join(JOBS)},unknown"]
    responses = {path: rest.get(f"/api/cto/{path}", buffered=True) for path in paths}
    return {
        path: (response.status_code, response.data, response.headers.get("ETag"))
        for path, response in responses.items()
    }


def expire(store):
    """Delete ended jobs from the store, as their expiry does."""
    for job_id in JOBS:
        assert store.pttl(keys.job(job_id)) > 0, f"{job_id} is not archived"
        store.delete(*(key(job_id) for key in (keys.job, keys.events, keys.intents, keys.meta)))


def test_every_response_has_the_same_bytes_before_and_after_archiving(rest, store, jobs, archiver):
    before = answers(rest)
    assert b'"resolutions":[{"intentId":"resolved:' in before["job/resolved/status"][1]
    assert b'"intentId":"resolved:' in before["job/resolved/market"][1]
    assert b'"orders":[]' in before["job/cancelled/market"][1], "it has no intent log"
    assert {status for status, _, _ in before.values()} == {200}
    archiver.archive_batch()
    assert answers(rest) == before, "archived, and still in the store"
    expire(store)
    assert answers(rest) == before, "in the archive only"
    assert not store.keys("cto:job:*")
    cached = rest.get(
        "/api/cto/job/completed/latest", headers={"If-None-Match": before["job/completed/latest"][2]}
    )
    assert cached.status_code == 304


def test_an_archived_job_cannot_be_cancelled(rest, store, jobs, archiver):
    before = [rest.post(f"/api/cto/job/{job_id}/cancel").data for job_id in JOBS]
    archiver.archive_batch()
    expire(store)
    responses = [rest.post(f"/api/cto/job/{job_id}/cancel") for job_id in JOBS]
    assert [response.status_code for response in responses] == [409] * len(JOBS)
    assert [response.data for response in responses] == before


def test_a_job_that_needs_review_is_read_from_the_store_until_it_is_resolved(rest, store, journal, archiver):
    run(journal, InMemoryMarket(silent=("wallet-1:buy",)), "unknown")
    archiver.archive_batch()
    (row,) = rest.get("/api/cto/jobs?needsReview=true").get_json()["data"]["jobs"]
    assert row["jobId"] == "unknown"
    (unknown,) = unknown_intents(store, "unknown")
    resolve(store, "unknown", unknown.intent_id, Resolution(executed=False))
    archiver.archive_batch()
    assert rest.get("/api/cto/jobs?needsReview=true").get_json()["data"]["jobs"] == []
    (row,) = rest.get("/api/cto/jobs?outcome=unknown").get_json()["data"]["jobs"]
    assert (row["jobId"], row["needsReview"]) == ("unknown", False)


def test_an_unknown_job_is_in_neither(rest, jobs):
    for path in ("status", "latest", "events", "review", "market"):
        assert rest.get(f"/api/cto/job/unknown/{path}").status_code == 404

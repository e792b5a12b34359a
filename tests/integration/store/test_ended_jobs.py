"""The ended jobs that are to be archived: which there are, who gets them, and jobs of earlier releases."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from redis.exceptions import OutOfMemoryError

from cto_worker.domain.ended_job import signatures_of, wallets_of
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import decode
from cto_worker.errors import NotDurableError, OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.operation.cancel_job import cancel
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import ended_jobs, keys
from cto_worker.store.ended_jobs import EndedJobs
from cto_worker.store.job_review import Resolution, close, resolve
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.testing.in_memory_market import InMemoryMarket

OWNERS = ("7", keys.ALL_OWNERS)


@pytest.fixture
def ended(store, settings):
    return EndedJobs(store, settings)


@pytest.fixture
def run(journal, body):
    """Run an operation to its end; the outcomes of the named intents stay unknown."""

    def run(job_id, *silent):
        with suppress(OperationFailed):
            JobRunner(Journal.of(journal), InMemoryMarket(silent=silent)).run_job(
                job_id, body | {"mode": "prefunded"}
            )

    return run


@pytest.fixture
def accept(journal, body):
    def accept(job_id):
        request = parse_request(body)
        journal.create(accepted_event(job_id, request), request.to_document())

    return accept


def taken(ended, limit=100):
    return [job.job_id for job in ended.take(limit)]


def unarchived(store):
    lists = [[job_id.decode() for job_id in store.zrange(keys.unarchived(owner), 0, -1)] for owner in OWNERS]
    assert lists[0] == lists[1]
    return lists[0]


def let_take_again(store):
    """Let the time pass after which other workers may take the taken jobs."""
    for job_id in store.zrange(keys.ENDED, 0, -1):
        store.zincrby(keys.ENDED, -ended_jobs.TAKEN_MS, job_id)


def test_an_ended_job_has_all_its_data(ended, run, store, rest):
    run("j1")
    (job,) = ended.take(10)
    shown = rest.get("/api/cto/job/j1/status").get_json()["data"]
    assert [json.loads(event) for event in job.events] == shown["progressEvents"]
    assert json.loads(job.result) == shown["operationResult"]
    assert job.created_ms == decode(job.events[0]).timestamp
    assert parse_request(json.loads(job.request)).user_id == "7"
    assert (
        job.intents == {name.decode(): text for name, text in store.hgetall(keys.intents("j1")).items()} != {}
    )
    assert wallets_of(job.request, job.intents) == {
        wallet["wallet"] for wallet in shown["operationResult"]["wallets"]
    }
    assert signatures_of(job.events[-1], job.intents) == set(
        shown["operationResult"]["transactionSignatures"]
    )


def test_only_ended_jobs_without_a_review_are_archived(ended, run, accept, journal, store):
    accept("waiting")
    accept("active")
    assert journal.claim("active", "run")
    run("review", "review:wallet-1:buy.1")
    run("done")
    accept("cancelled")
    cancel(Journal.of(journal), "cancelled", decode(JournalQueries(store).latest("cancelled").event))
    assert taken(ended) == ["done", "cancelled"]
    assert sorted(unarchived(store)) == ["active", "cancelled", "done", "review", "waiting"]
    ended.archived(["done", "cancelled"])
    assert sorted(unarchived(store)) == ["active", "review", "waiting"]
    assert JournalQueries(store).backlog().unarchived == 0


def test_a_reviewed_job_is_archived(ended, run, store):
    run("review", "review:wallet-1:buy.1", "review:wallet-2:buy.1")
    resolve(store, "review", "review:wallet-1:buy.1", Resolution(True))
    assert close(store, "review") is False
    assert taken(ended) == []
    resolve(store, "review", "review:wallet-2:buy.1", Resolution(False))
    (job,) = ended.take(10)
    assert json.loads(job.intents["review:wallet-2:buy.1"])["resolved"] is True
    ended.archived(["review"])
    assert close(store, "review") is False
    assert unarchived(store) == taken(ended) == [], "a closed review is not archived again"


def test_two_workers_get_different_jobs(ended, run, store, settings):
    for number in range(5):
        run(f"j{number}")
    other = EndedJobs(store, settings)
    assert taken(ended, 3) == ["j0", "j1", "j2"]
    assert taken(other, 3) == ["j3", "j4"]
    assert taken(ended, 3) == []
    let_take_again(store)
    assert sorted(taken(other)) == ["j0", "j1", "j2", "j3", "j4"], "the first worker has died"


def test_a_batch_has_a_limited_number_of_events_and_at_least_one_job(ended, run, monkeypatch):
    for number in range(3):
        run(f"j{number}")
    length = len(ended.take(1)[0].events)
    monkeypatch.setattr(ended_jobs, "TAKEN_EVENTS", 1)
    assert taken(ended) == ["j1"]
    monkeypatch.setattr(ended_jobs, "TAKEN_EVENTS", 2 * length)
    assert taken(ended) == ["j2"]


def test_a_full_store_archives_and_so_frees_its_memory(ended, run, accept, store):
    run("done")
    store.hincrby(keys.job("done"), "ended", -86_400_000)
    store.config_set("maxmemory", 1)
    try:
        with pytest.raises(OutOfMemoryError):
            accept("new")
        ended.relist()
        assert taken(ended) == ["done"]
        ended.archived(["done"])
    finally:
        store.config_set("maxmemory", 0)
    assert store.exists(keys.job("done"), keys.events("done")) == 0


def test_a_job_that_expired_is_forgotten(ended, run, store):
    run("gone")
    store.delete(keys.job("gone"), keys.events("gone"), keys.intents("gone"), keys.meta("gone"))
    run("here")
    assert taken(ended) == ["here"]
    ended.archived(["here"])
    assert store.exists(keys.ENDED, keys.unarchived(keys.ALL_OWNERS)) == 0


def test_a_job_whose_end_may_not_be_on_disk_is_not_archived(ended, run, store):
    """Otherwise the store could lose the end in a crash, and a later run would end the job differently."""
    run("j1")
    store.config_set("appendonly", "no")
    try:
        with pytest.raises(NotDurableError):
            ended.take(1)
    finally:
        store.config_set("appendonly", "yes")


def make_old(store, job_id, *, expires_s=1_000):
    """Change a job into one that an earlier release has ended, or has not ended yet."""
    for owner in OWNERS:
        store.zrem(keys.unarchived(owner), job_id)
    store.zrem(keys.ENDED, job_id)
    store.hdel(keys.job(job_id), "ended")
    for key in (keys.job(job_id), keys.events(job_id), keys.intents(job_id), keys.meta(job_id)):
        if expires_s:
            store.expire(key, expires_s)
    for owner in OWNERS:
        for key in store.scan_iter(keys.jobs(owner, "[a-z]*")):
            store.expire(key, 2_000)


def test_jobs_of_an_earlier_release_are_found_once(ended, run, accept, store):
    run("done")
    run("review", "review:wallet-1:buy.1")
    accept("waiting")
    run("archived")
    for job_id in ("done", "review"):
        make_old(store, job_id)
    make_old(store, "waiting", expires_s=0)
    assert taken(ended) == ["archived"]
    ended.archived(["archived"])
    assert ended.relist() is False
    assert sorted(unarchived(store)) == ["done", "review", "waiting"]
    assert taken(ended) == ["done"]
    assert store.ttl(keys.job("done")) == store.ttl(keys.intents("review")) == -1
    assert store.ttl(keys.jobs("7", keys.REVIEW)) == store.ttl(keys.jobs("7")) == -1
    assert store.ttl(keys.job("archived")) > 0
    ended.archived(["done"])
    assert 0 < store.ttl(keys.job("done")) <= 86_400


def test_the_search_for_old_jobs_continues_pauses_and_begins_again(ended, run, store, monkeypatch):
    jobs = [f"j{number}" for number in range(5)]
    for job_id in jobs:
        run(job_id)
        make_old(store, job_id)
    monkeypatch.setattr(keys, "SWEEP_LIMIT", 2)
    assert [ended.relist() for _ in range(3)] == [True, True, False]
    assert sorted(unarchived(store)) == jobs
    run("late")
    make_old(store, "late")
    assert ended.relist() is False
    assert "late" not in unarchived(store), "the search does not pause"
    store.hset(keys.RELISTED, "due", 0)
    assert [ended.relist() for _ in range(4)] == [True, True, True, False]
    assert sorted(unarchived(store)) == [*jobs, "late"]

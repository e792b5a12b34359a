"""The expiry of a job's keys, and of entries in lists of jobs."""

from __future__ import annotations

from contextlib import suppress

import pytest

from cto_worker.domain.ids_and_rooms import user_room
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import decode
from cto_worker.errors import OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.operation.cancel_job import cancel
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import keys
from cto_worker.store.ended_jobs import EndedJobs
from cto_worker.store.job_review import Resolution, close, resolve
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.testing.in_memory_market import InMemoryMarket

DAY_MS = 86_400_000
UNKNOWN_BUY = "review:wallet-1:buy.1"
# Counters and schedules of the whole system, which belong to no job.
SYSTEM = {
    keys.AUDIT,
    keys.AUDIT_HEAD,
    keys.SERIAL,
    keys.HIGHEST_CLAIMED,
    keys.DUE,
    keys.WAITING,
    keys.ARCHIVED,
}


@pytest.fixture
def let_pass(store):
    """Move all expiry times and schedules by days into the past."""

    def let_pass(days):
        for key in store.scan_iter():
            if (expires_ms := store.pexpiretime(key)) >= 0:
                store.pexpireat(key, int(expires_ms - days * DAY_MS))
        for due in (keys.DUE, keys.WAITING):
            for job_id, at_ms in store.zrange(due, 0, -1, withscores=True):
                store.zadd(due, {job_id: at_ms - days * DAY_MS})

    return let_pass


@pytest.fixture
def run(journal, body):
    """Run an operation to its end; the outcomes of the named intents stay unknown."""

    def run(job_id, *silent, **changes):
        with suppress(OperationFailed):
            JobRunner(Journal.of(journal), InMemoryMarket(silent=silent)).run_job(
                job_id, body | {"mode": "prefunded"} | changes
            )

    return run


@pytest.fixture
def archive(store, settings, _archive):
    """Record that all ended jobs that need no review are archived. Returns their ids."""

    def archive():
        jobs, job_ids = EndedJobs(store, settings), []
        while taken := jobs.take(50):
            job_ids += [job.job_id for job in taken]
            jobs.archived([job.job_id for job in taken])
        return job_ids

    return archive


@pytest.fixture
def accept(journal, body):
    """Record a waiting job."""

    def accept(job_id):
        request = parse_request(body)
        journal.create(accepted_event(job_id, request), request.to_document())

    return accept


def keys_of(store, job_id):
    return {key.decode() for key in store.scan_iter(f"*{job_id}*")}


def listed(rest, **filters):
    jobs = rest.get("/api/cto/jobs", query_string=filters).get_json()["data"]["jobs"]
    return sorted(job["jobId"] for job in jobs)


def test_all_keys_of_an_archived_job_expire_in_the_same_millisecond(store, run, archive, let_pass, settings):
    run("j1")
    whole = {keys.job("j1"), keys.events("j1"), keys.intents("j1"), keys.meta("j1")}
    let_pass(10 * settings.retention_days)
    assert keys_of(store, "j1") == whole, "the job has expired before it was archived"
    assert archive() == ["j1"]
    assert keys_of(store, "j1") == whole
    assert len({store.pexpiretime(key) for key in whole}) == 1
    let_pass(settings.retention_days - 0.001)
    assert keys_of(store, "j1") == whole
    let_pass(0.001)
    assert keys_of(store, "j1") == set()


def test_the_time_until_the_expiry_counts_from_the_end_of_a_job(store, run, archive, settings):
    run("earlier")
    store.hincrby(keys.job("earlier"), "ended", -settings.retention_s * 1_000)
    run("later")
    store.hincrby(keys.job("later"), "ended", -settings.retention_s * 1_000 // 2)
    archive()
    assert keys_of(store, "earlier") == set(), "it ended longer ago, so it expires at once"
    assert 0 < store.ttl(keys.job("later")) <= settings.retention_s / 2


def test_a_repeated_report_does_not_postpone_the_expiry(store, run, archive, settings):
    run("j1")
    archive()
    expires_ms = store.pexpiretime(keys.job("j1"))
    EndedJobs(store, settings).archived(["j1"])
    assert store.pexpiretime(keys.job("j1")) == expires_ms


def test_an_expired_job_is_unknown_to_every_query(
    rest, store, run, accept, archive, journal, let_pass, settings
):
    run("done")
    run("review", UNKNOWN_BUY)
    assert close(store, "review") is False
    resolve(store, "review", UNKNOWN_BUY, Resolution(False))
    accept("waiting")
    assert archive() == ["done", "review"]
    let_pass(settings.retention_days)
    assert rest.get("/api/cto/job/done/status").status_code == 404
    assert rest.get("/api/cto/job/done/events").status_code == 404
    stats = rest.get("/api/cto/jobs/stats?jobIds=done,review,waiting").get_json()["data"]
    assert (stats["notFound"], stats["queued"], stats["completed"]) == (2, 1, 0)
    journal.find_orphans()
    assert JournalQueries(store).backlog().jobs == {"waiting": 1, "active": 0, keys.REVIEW: 0}
    for filters in ({}, {"userId": "7"}):
        assert listed(rest, **filters) == ["waiting"]
        assert listed(rest, status="completed", **filters) == []
        assert listed(rest, status=keys.REVIEW, **filters) == []


def test_a_job_that_needs_review_does_not_expire(rest, store, run, archive, let_pass, settings):
    run("review", UNKNOWN_BUY)
    assert archive() == []
    let_pass(10 * settings.retention_days)
    assert listed(rest, status=keys.REVIEW, userId="7") == listed(rest) == ["review"]
    assert JournalQueries(store).backlog().jobs[keys.REVIEW] == 1


def test_an_unfinished_job_does_not_expire(rest, store, run, accept, archive, journal, let_pass, settings):
    accept("waiting")
    accept("begun")
    assert journal.claim("begun", "lost") is not None
    run("ended")
    archive()
    let_pass(10 * settings.retention_days)
    assert listed(rest) == listed(rest, status="waiting", userId="7") == ["begun", "waiting"]
    assert len(JournalQueries(store).unfinished_jobs(user_room("7"))) == 2
    assert [orphan.job_id for orphan in journal.find_orphans()] == ["begun", "waiting"]
    store.hset(keys.job("begun"), "lease", 0)
    run("begun")
    run("waiting")
    assert listed(rest) == listed(rest, status="completed", userId="7") == ["begun", "waiting"]
    archive()
    let_pass(settings.retention_days)
    assert listed(rest) == []


def test_all_keys_of_an_inactive_user_expire(store, run, accept, archive, journal, let_pass, settings):
    run("done")
    run("review", UNKNOWN_BUY)
    resolve(store, "review", UNKNOWN_BUY, Resolution(True))
    accept("cancelled")
    cancel(Journal.of(journal), "cancelled", decode(JournalQueries(store).latest("cancelled").event))
    archive()
    let_pass(2 * settings.retention_days)
    assert {key.decode() for key in store.scan_iter()} <= SYSTEM
    assert store.exists(keys.DUE, keys.WAITING) == 0


def test_each_new_job_removes_two_expired_jobs_from_the_lists(store, run, archive, let_pass, settings):
    for number in range(6):
        run(f"old-{number}")
    archive()
    let_pass(settings.retention_days)
    for left in (4, 2, 0):
        run(f"new-{left}")
        for key in store.scan_iter(keys.LIST_PREFIX + "*"):
            assert sum(job_id.startswith(b"old") for job_id in store.zrange(key, 0, -1)) == left


def test_a_query_removes_a_limited_number_of_expired_jobs(store, run, monkeypatch):
    run("old")
    monkeypatch.setattr("cto_worker.store.journal_queries.MAX_PURGES_PER_QUERY", 25)
    for owner in ("7", keys.ALL_OWNERS):
        store.zadd(keys.jobs(owner), {f"gone-{number}": 10 + number for number in range(60)})
    pages, cursor = [], None
    while not pages or cursor:
        page = JournalQueries(store).page("7", None, 9, cursor)
        cursor = page.cursor
        pages.append([job.job_id for job in page.jobs])
    assert pages == [[], [], ["old"]]


def test_sweeps_remove_expired_jobs_from_the_global_lists(store, run, archive, journal, let_pass, settings):
    for number in range(keys.SWEEP_LIMIT + 1):
        run(f"j{number}")
    archive()
    let_pass(settings.retention_days)
    lists = [keys.jobs(keys.ALL_OWNERS, name) for name in ("all", "completed")]
    for left in (1, 0):
        journal.find_orphans()
        assert [store.zcard(name) for name in lists] == [left, left]

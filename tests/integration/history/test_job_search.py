"""Lists, totals and exports while jobs are archived, on both databases."""

from __future__ import annotations

import csv
import io
import threading

from support.samples import operation

from api.history.archive_reader import archive_reader
from api.history.job_search import JobSearch
from cto_worker.domain.job_filter import JobFilter
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.jobs import archiver as archiver_module
from cto_worker.operation.cancel_job import cancel
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import keys
from cto_worker.store.unarchived_jobs import UnarchivedJobs

JOBS = 120


def record(journal, count, prefix="j"):
    """Record jobs that have ended, and return their ids."""
    request, job_ids = parse_request(operation()), [f"{prefix}{number:04}" for number in range(count)]
    for job_id in job_ids:
        first = accepted_event(job_id, request)
        journal.create(first, request.to_document())
        cancel(Journal.of(journal), job_id, first)
    return job_ids


def all_pages(rest, query=""):
    found, cursor = [], ""
    while cursor is not None:
        page = rest.get(f"/api/cto/jobs?limit=9{query}{cursor and f'&cursor={cursor}'}").get_json()["data"]
        found += [job["jobId"] for job in page["jobs"]]
        cursor = page["nextCursor"]
    return found


def test_no_job_is_missing_or_doubled_while_jobs_are_archived(rest, store, journal, archiver, monkeypatch):
    expected = record(journal, JOBS)[::-1]
    assert sorted(all_pages(rest), reverse=True) == expected
    monkeypatch.setattr(archiver_module, "BATCH", 3)
    done = threading.Event()

    def archive_all():
        try:
            while archiver.archive_batch():
                for job_id in expected:  # an archived job expires at once
                    if store.hexists(keys.job(job_id), "archived"):
                        store.delete(*(key(job_id) for key in (keys.job, keys.events, keys.meta)))
        finally:
            done.set()

    thread = threading.Thread(target=archive_all)
    thread.start()
    rounds = 0
    try:
        while not done.is_set() or rounds < 3:
            assert sorted(all_pages(rest), reverse=True) == expected
            assert sorted(all_pages(rest, "&status=failed"), reverse=True) == expected
            assert rest.get("/api/cto/jobs/summary").get_json()["data"]["total"] == JOBS
            _, *rows = csv.reader(io.StringIO(rest.get("/api/cto/jobs.csv", buffered=True).text))
            assert sorted((row[0] for row in rows), reverse=True) == expected
            rounds += 1
    finally:
        thread.join()
    assert store.zcard(keys.unarchived(keys.ALL_OWNERS)) == 0, "not every job was archived"


class Observed:
    """Calls a function after each read of an object, with the complete answer."""

    def __init__(self, read, after_read):
        self._read, self._after_read = read, after_read

    def __getattr__(self, name):
        def call(*arguments):
            answer = getattr(self._read, name)(*arguments)
            answer = list(answer) if name == "matching" else answer
            self._after_read()
            return answer

        return call


def test_jobs_that_are_archived_between_the_two_reads_are_found_once(
    store, journal, archiver, archive_settings
):
    reader, batches = archive_reader(archive_settings), iter(range(3))

    def archive_some():
        """Archive 3 jobs after the first read of each page."""
        if next(batches, None) == 0:
            archiver.archive_batch()

    search = JobSearch(Observed(UnarchivedJobs(store), archive_some), Observed(reader, archive_some))
    expected = record(journal, 3)
    assert sorted(job.job_id for job in search.page(JobFilter(), 10).jobs) == expected
    record(journal, 3, "k")
    batches = iter(range(3))
    assert search.totals(JobFilter()).total == 6
    assert store.zcard(keys.unarchived(keys.ALL_OWNERS)) == 0
    reader.close()


def test_lists_of_unfinished_jobs_do_not_need_the_archive(rest, store, journal, engine):
    record(journal, 3)
    request = parse_request(operation())
    journal.create(accepted_event("waiting", request), request.to_document())
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs RENAME TO gone")
    for query in ("status=waiting", "status=active", "status=needs_review", "needsReview=true"):
        for path in ("jobs", "jobs.csv", "jobs/summary"):
            assert rest.get(f"/api/cto/{path}?{query}", buffered=True).status_code == 200, (path, query)
    for path in (
        "jobs",
        "jobs.csv",
        "jobs/summary",
        "jobs?status=failed",
        "jobs/stats?jobIds=x",
        "job/x/status",
    ):
        response = rest.get(f"/api/cto/{path}")
        assert (response.status_code, response.get_json()["error"]["code"]) == (503, "archive_unavailable"), (
            path
        )
        assert int(response.headers["Retry-After"]) > 0
        assert "jobs" not in response.get_json()["error"]["message"].replace("ended jobs", "")
    assert rest.get("/api/cto/job/waiting/status").status_code == 200
    assert rest.get("/api/cto/jobs/stats?jobIds=waiting,j0001").get_json()["data"]["queued"] == 1

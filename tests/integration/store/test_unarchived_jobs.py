"""Search of the jobs that are not archived."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.samples import FIRST_EVENT, operation

from cto_worker.domain.job_filter import JobFilter
from cto_worker.domain.job_summary import JobPosition
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import JobStatus
from cto_worker.store import keys
from cto_worker.store.unarchived_jobs import UnarchivedJobs

ALL = JobFilter()


@pytest.fixture
def jobs(store):
    return UnarchivedJobs(store)


@pytest.fixture
def accept(journal):
    def accept(job_id, created_ms, **changes):
        event = replace(FIRST_EVENT, job_id=job_id, timestamp=created_ms, **changes)
        journal.create(event, parse_request(operation()).to_document())

    return accept


def ids(found):
    return [job.job_id for job in found]


def test_jobs_are_newest_first_and_by_bytes_at_equal_times(jobs, accept):
    names = ("b_", "b-", "b", "a", "_", "B", "1", "-")
    expected = sorted((JobPosition(ms, f"{name}{ms}") for ms in (1, 2, 3) for name in names), reverse=True)
    for position in expected[::2] + expected[1::2]:
        accept(position.job_id, position.created_ms)
    for batch in (1, 2, 7, 100):
        assert [job.position for job in jobs.matching(ALL, None, batch)] == expected, batch
        for index, after in enumerate(expected):
            assert [job.position for job in jobs.matching(ALL, after, batch)] == expected[index + 1 :], batch
    assert ids(jobs.matching(ALL, JobPosition(2, "az"))) == [
        job_id for created, job_id in expected if (created, job_id) < (2, "az")
    ]


def test_only_jobs_of_the_user_and_the_status_are_returned(jobs, accept, journal):
    accept("mine", 1)
    accept("other", 2, user_id="8")
    assert ids(jobs.matching(JobFilter(user_id="7"))) == ["mine"]
    assert ids(jobs.matching(JobFilter(status=JobStatus.WAITING))) == ["other", "mine"]
    assert ids(jobs.matching(JobFilter(status=JobStatus.ACTIVE))) == []


def test_a_job_that_has_left_the_store_is_skipped(jobs, accept, store):
    for number in range(5):
        accept(f"j{number}", number)
    store.delete(keys.job("j1"))
    store.delete(keys.events("j3"))
    assert ids(jobs.matching(ALL, None, 2)) == ["j4", "j2", "j0"]

"""The journal: jobs without a living owner."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

import pytest
from msgspec.structs import replace
from support.journals import COMPLETED, FAILED, FIRST, GRACE_MS, LEASE_MS, Real
from support.threads import in_threads

from cto_worker.domain.journal_ports import Entry, Orphan
from cto_worker.store import keys


def orphans(journal):
    return sorted(orphan.job_id for orphan in journal.find_orphans())


def test_a_job_whose_lease_has_expired_is_an_orphan(book, started):
    book.let_pass(LEASE_MS - 5_000)
    assert started.find_orphans() == []
    book.let_pass(5_001)
    assert started.find_orphans() == [Orphan("j1", b'{"a":1}', 1)]


def test_a_job_whose_message_was_lost_is_an_orphan(book, journal):
    journal.create(FIRST, {"a": 1})
    assert journal.find_orphans() == []
    book.let_pass(GRACE_MS + 1)
    assert journal.find_orphans() == [Orphan("j1", b'{"a":1}', 0)]


def test_an_orphan_is_found_again_only_after_a_delay(book, journal):
    for job_id in ("j1", "j2"):
        journal.create(replace(FIRST, job_id=job_id), {})
    journal.claim("j2", "me")
    book.let_pass(LEASE_MS + 1)
    assert orphans(journal) == ["j1", "j2"]
    assert orphans(journal) == []
    book.let_pass(keys.RESUME_CHECK_DELAY_MS + 1)
    assert orphans(journal) == ["j2"], "what has begun is looked at more often"
    book.let_pass(GRACE_MS - keys.RESUME_CHECK_DELAY_MS)
    assert orphans(journal) == ["j1", "j2"]


def test_a_late_renewal_does_not_reclaim_a_released_job(started):
    started.release("j1", 1)
    assert started.renew({"j1": 1}) == {"j1": False}
    assert started.claim("j1", "you")


def test_a_claimed_job_is_no_longer_an_orphan(book, started):
    book.let_pass(LEASE_MS + 1)
    assert orphans(started) == ["j1"]
    started.claim("j1", "you")
    book.let_pass(LEASE_MS - 5_000)
    assert orphans(started) == []


def test_a_queued_job_is_not_sent_again(book, journal):
    journal.create(FIRST, {})
    book.put_a_message_in_the_queue()
    book.let_pass(GRACE_MS + 1)
    assert orphans(journal) == []


def test_a_waiting_job_is_sent_again_when_a_later_job_was_claimed(book, journal):
    """The queue is served in order: if a later job was claimed, the message of the earlier job is lost."""
    for job_id in ("j1", "j2", "j3"):
        journal.create(replace(FIRST, job_id=job_id), {})
    book.put_a_message_in_the_queue()
    journal.claim("j2", "me")
    book.let_pass(GRACE_MS + 1)
    assert orphans(journal) == ["j1"]


def test_a_claim_out_of_order_does_not_lower_the_highest_claimed_number(book, journal):
    for job_id in ("j1", "j2", "j3"):
        journal.create(replace(FIRST, job_id=job_id), {})
    book.put_a_message_in_the_queue()
    journal.claim("j3", "me")
    journal.claim("j1", "me")
    book.let_pass(GRACE_MS + 1)
    assert orphans(journal) == ["j2"]


def test_a_claimed_orphan_is_sent_again_however_long_the_queue_is(book, started):
    book.put_a_message_in_the_queue()
    book.let_pass(LEASE_MS + 1)
    assert orphans(started) == ["j1"]


def test_an_orphan_is_found_at_once_beside_thousands_of_waiting_jobs(book, started):
    jobs = [replace(FIRST, job_id=f"waiting {number}") for number in range(2_000)]
    with ThreadPoolExecutor(32) as pool:  # each waits for the disk, and writes at the same time share a wait
        list(pool.map(started.create, jobs, repeat({})))
    book.put_a_message_in_the_queue()
    book.let_pass(LEASE_MS + 1)
    assert orphans(started) == ["j1"]


def test_claimed_orphans_are_sent_before_waiting_ones(book, journal):
    for job_id in ("a waiting one", "begun"):
        journal.create(replace(FIRST, job_id=job_id), {})
    journal.claim("begun", "me")
    book.let_pass(LEASE_MS + 1)
    assert [orphan.job_id for orphan in journal.find_orphans()] == ["begun", "a waiting one"]


def test_an_orphan_is_sent_though_other_jobs_messages_are_queued(book, started):
    book.fill_the_queue_of_resumed_jobs()
    book.let_pass(LEASE_MS + 1)
    assert orphans(started) == ["j1"]


@pytest.fixture
def resent(book, started):
    """The journal with an orphan whose message was sent again, and may be queued with those of other jobs."""
    book.fill_the_queue_of_resumed_jobs()
    book.let_pass(LEASE_MS + 1)
    started.find_orphans()
    return started


@pytest.fixture
def handed_over(book, started):
    """The same with a job that its run released."""
    book.fill_the_queue_of_resumed_jobs()
    started.release("j1", 1)
    return started


@pytest.fixture(params=["resent", "handed_over"])
def sent(request):
    return request.getfixturevalue(request.param)


def test_a_resent_message_is_assumed_to_be_queued_for_a_limited_time(book, sent):
    """The message may be lost, and other jobs' messages may keep the queue from becoming empty."""
    looks = keys.RESENT_MESSAGE_TTL_MS // (keys.RESUME_CHECK_DELAY_MS + 100)
    for _ in range(looks):
        book.let_pass(keys.RESUME_CHECK_DELAY_MS + 100)
        assert orphans(sent) == []
    book.let_pass(keys.RESUME_CHECK_DELAY_MS + 100)
    assert orphans(sent) == ["j1"]
    book.let_pass(keys.RESUME_CHECK_DELAY_MS + 100)
    assert orphans(sent) == [], "it is sent anew, and trusted anew"


def test_a_resent_message_is_lost_when_its_queue_is_empty(book, sent):
    book.empty_the_queue_of_resumed_jobs()
    book.let_pass(keys.RESUME_CHECK_DELAY_MS + 100)
    assert orphans(sent) == ["j1"]


def test_a_resent_message_does_not_count_for_a_later_takeover(book, sent, monkeypatch):
    monkeypatch.setattr(keys, "RESENT_MESSAGE_TTL_MS", 2 * LEASE_MS)
    sent.claim("j1", "you")
    book.let_pass(LEASE_MS + 1)
    assert orphans(sent) == ["j1"]


@pytest.mark.parametrize("terminal", [COMPLETED, FAILED], ids=["completed", "failed"])
def test_a_job_that_has_ended_is_no_orphan(book, started, terminal):
    started.append(Entry(terminal))
    book.let_pass(LEASE_MS + GRACE_MS)
    assert started.find_orphans() == []


def test_ended_and_expired_jobs_leave_the_sweeps_lists(store):
    book = Real(store)
    for job_id in ("ended", "cancelled", "expired", "odd"):
        book.journal.create(replace(FIRST, job_id=job_id), {})
    book.journal.claim("ended", "me")
    book.journal.append(Entry(replace(COMPLETED, job_id="ended", seq=2)))
    assert store.zscore(keys.DUE, "ended") is None
    book.journal.append(Entry(replace(FAILED, job_id="cancelled", seq=2, attempt=0)))
    assert store.zscore(keys.WAITING, "cancelled") is None
    store.delete(keys.job("expired"))
    store.hset(keys.job("odd"), "status", "failed")  # as if its end had been written without leaving `due`
    book.let_pass(LEASE_MS + 1)
    assert book.journal.find_orphans() == []
    assert store.exists(keys.DUE, keys.WAITING) == 0


def test_the_next_due_time_is_the_earliest_of_all_begun_jobs(book, journal):
    assert journal.ms_until_due() is None
    for job_id in ("j1", "j2", "waiting"):
        journal.create(replace(FIRST, job_id=job_id), {})
    assert journal.ms_until_due() is None, "waiting jobs do not count"
    journal.claim("j1", "me")
    book.let_pass(30_000)
    journal.claim("j2", "me")
    assert LEASE_MS - 35_000 < journal.ms_until_due() <= LEASE_MS - 30_000
    journal.renew({"j1": 1})
    assert LEASE_MS - 5_000 < journal.ms_until_due() <= LEASE_MS, "both leases are new"


def test_the_next_due_time_follows_the_state_of_a_job(book, started):
    book.let_pass(LEASE_MS + 1)
    assert started.ms_until_due() == 0, "its lease has expired"
    started.find_orphans()
    assert 0 < started.ms_until_due() <= keys.RESUME_CHECK_DELAY_MS, "its message may be lost"
    started.claim("j1", "you")
    assert keys.RESUME_CHECK_DELAY_MS < started.ms_until_due() <= LEASE_MS
    started.append(Entry(replace(COMPLETED, attempt=2)))
    assert started.ms_until_due() is None, "it has ended"


@pytest.mark.parametrize("begun", [False, True])
def test_a_sweep_returns_a_limited_number_of_jobs(book, journal, begun):
    for number in range(keys.SWEEP_LIMIT + 1):
        journal.create(replace(FIRST, job_id=f"j{number}"), {})
        if begun:
            journal.claim(f"j{number}", "me")
    book.let_pass(LEASE_MS + 1)
    assert [len(journal.find_orphans()) for _ in range(3)] == [keys.SWEEP_LIMIT, 1, 0]


def test_only_one_of_many_concurrent_sweeps_finds_an_orphan(store):
    book = Real(store)
    for number in range(20):
        book.journal.create(replace(FIRST, job_id=f"j{number}"), {})
    book.let_pass(GRACE_MS + 1)
    found = [*chain.from_iterable(in_threads(lambda _: book.journal.find_orphans(), range(10)))]
    assert len(found) == len(set(found)) == 20

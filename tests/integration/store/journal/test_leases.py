"""The journal: leases, takeovers, and released jobs."""

from __future__ import annotations

import dataclasses
import json

import pytest
from msgspec.structs import replace
from support.journals import (
    COMPLETED,
    CONFIRMED_OUTCOME,
    FIRST,
    GRACE_MS,
    LEASE_MS,
    ORDER,
    SECOND,
    TRADE,
    Real,
)
from support.threads import in_threads

from cto_worker.domain.intent_log import settled
from cto_worker.domain.journal_ports import Entry


def test_a_job_can_be_taken_over_once_its_lease_has_expired_and_not_before(book, started):
    book.let_pass(LEASE_MS - 5_000)
    assert started.claim("j1", "you") is None
    book.let_pass(5_001)
    claim = started.claim("j1", "you")
    assert (claim.attempt, claim.latest, json.loads(claim.request)) == (2, SECOND, {"a": 1})
    assert (claim.intent_log, claim.stalls) == (None, 1)
    assert LEASE_MS <= claim.elapsed_ms < LEASE_MS + 5_000, "counted from the first claim"
    assert started.claim("j1", "a third") is None


def test_a_lost_answer_to_a_takeover_comes_again(book, started):
    book.let_pass(LEASE_MS + 1)
    claim = started.claim("j1", "you")
    book.let_pass(LEASE_MS // 2)
    again = started.claim("j1", "you")
    assert dataclasses.replace(again, elapsed_ms=claim.elapsed_ms) == claim
    book.let_pass(LEASE_MS // 2 + 1)
    assert started.claim("j1", "me") is None, "asking again has renewed the lease"
    assert started.find_orphans() == []


def test_a_run_that_has_lost_its_job_cannot_claim_it_again(book, started):
    book.let_pass(LEASE_MS + 1)
    started.claim("j1", "you")
    assert started.claim("j1", "me") is None


def test_each_takeover_without_progress_is_a_stall(book, started):
    for stalls in (1, 2, 3):
        book.let_pass(LEASE_MS + 1)
        claim = started.claim("j1", f"run {stalls}")
        assert (claim.attempt, claim.stalls) == (stalls + 1, stalls)
        started.append(Entry(replace(SECOND, seq=stalls + 2, attempt=claim.attempt)))


@pytest.mark.parametrize("recorded", [{"plan": TRADE}, {"records": {"i": settled(ORDER, CONFIRMED_OUTCOME)}}])
def test_an_entry_in_the_intent_log_resets_the_count_of_stalls(book, started, recorded):
    book.let_pass(LEASE_MS + 1)
    assert started.claim("j1", "you").stalls == 1
    started.append(Entry(replace(SECOND, seq=3, attempt=2), **recorded))
    book.let_pass(LEASE_MS + 1)
    assert started.claim("j1", "a third").stalls == 1


def test_an_intent_alone_is_no_progress(book, started):
    book.let_pass(LEASE_MS + 1)
    started.claim("j1", "you")
    started.intend("j1", 2, [ORDER])
    started.record_submission("j1", 2, [ORDER])
    book.let_pass(LEASE_MS + 1)
    assert started.claim("j1", "a third").stalls == 2


def test_renewing_keeps_a_job(book, started):
    for _ in range(3):
        book.let_pass(LEASE_MS - 5_000)
        assert started.renew({"j1": 1}) == {"j1": True}
    assert started.claim("j1", "you") is None
    assert started.find_orphans() == []


def test_an_expired_lease_can_be_renewed_until_another_run_claims_the_job(book, started):
    book.let_pass(LEASE_MS + 1)
    assert started.renew({"j1": 1}) == {"j1": True}
    assert started.claim("j1", "you") is None


def test_renewing_returns_for_each_job_whether_its_lease_is_kept(book, started):
    for job_id in ("j2", "j3"):
        started.create(replace(FIRST, job_id=job_id), {})
        started.claim(job_id, "me")
    started.append(Entry(replace(COMPLETED, job_id="j3", seq=2)))
    book.let_pass(LEASE_MS + 1)
    started.claim("j2", "you")
    owned = {"j2": 1, "j1": 1, "j3": 1, "nothing": 1}
    assert started.renew(owned) == {"j2": False, "j1": True, "j3": False, "nothing": False}
    assert started.renew({}) == {}


def test_renewing_another_runs_job_does_not_extend_its_lease(book, started):
    book.let_pass(LEASE_MS + 1)
    started.claim("j1", "you")
    book.let_pass(LEASE_MS // 2)
    assert started.renew({"j1": 1}) == {"j1": False}
    book.let_pass(LEASE_MS // 2 + 1)
    assert started.claim("j1", "a third").attempt == 3


def test_a_released_job_can_be_claimed_at_once_and_that_is_no_stall(book, started):
    assert json.loads(started.release("j1", 1)) == {"a": 1}
    claim = started.claim("j1", "you")
    assert (claim.attempt, claim.stalls) == (2, 0)
    book.let_pass(LEASE_MS + 1)
    assert started.claim("j1", "a third").stalls == 1, "the next loss is one again"


def test_a_sweep_finds_a_released_job_whose_message_is_lost(book, started):
    started.release("j1", 1)
    assert started.find_orphans() == []
    book.let_pass(GRACE_MS + 1)
    assert [(orphan.job_id, orphan.attempt) for orphan in started.find_orphans()] == [("j1", 1)]


def test_a_job_can_be_released_only_by_its_owner_and_before_its_end(book, started):
    assert started.release("nothing", 1) is None
    book.let_pass(LEASE_MS + 1)
    started.claim("j1", "you")
    assert started.release("j1", 1) is None
    assert started.claim("j1", "a third") is None
    started.append(Entry(replace(COMPLETED, attempt=2)))
    assert started.release("j1", 2) is None
    book.let_pass(LEASE_MS + GRACE_MS)
    assert started.find_orphans() == []


def test_only_one_of_many_concurrent_runs_takes_over_a_job(store):
    book = Real(store)
    book.journal.create(FIRST, {})
    book.journal.claim("j1", "me")
    book.let_pass(LEASE_MS + 1)
    claims = in_threads(lambda number: book.journal.claim("j1", f"run {number}"), range(10))
    assert [claim.attempt for claim in claims if claim] == [2]

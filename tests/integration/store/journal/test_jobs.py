"""The journal: jobs, their idempotency keys, and their first claim."""

from __future__ import annotations

import dataclasses
import json

import pytest
from msgspec.structs import replace
from support.journals import COMPLETED, FIRST, KEY, SECOND

from cto_worker.config import Settings
from cto_worker.domain.journal_ports import Entry, Idempotency
from cto_worker.domain.progress_event import JobStatus
from cto_worker.errors import IdempotencyConflictError
from cto_worker.store import keys
from cto_worker.store.redis_journal import RedisJournal


def test_a_job_is_recorded_with_its_first_event(book, journal):
    created = journal.create(FIRST, {"a": 1})
    assert (created.job_id, created.new, created.status) == ("j1", True, JobStatus.WAITING)
    assert book.events("j1") == [FIRST]
    assert book.metadata("j1")["status"] == "PROGRESS"
    assert book.metadata("j1")["result"]["seq"] == 1


def test_recording_a_job_again_changes_nothing(book, started):
    created = started.create(replace(FIRST, timestamp=FIRST.timestamp + 1), {"a": 2})
    assert (created.new, created.status) == (False, JobStatus.ACTIVE)
    assert book.events("j1") == [FIRST, SECOND]


@pytest.mark.parametrize("key", [None, KEY])
def test_recording_a_job_again_after_a_lost_answer_reports_a_new_job(book, journal, key):
    for _ in range(2):
        assert journal.create(FIRST, {}, key).new
    assert book.events("j1") == [FIRST]


def test_an_idempotency_key_stands_for_one_job(book, journal):
    assert journal.create(FIRST, {}, KEY).new
    again = journal.create(replace(FIRST, job_id="j2"), {}, KEY)
    assert (again.job_id, again.new) == ("j1", False)
    assert book.events("j2") == []


def test_an_idempotency_key_with_another_request_is_a_conflict(book, journal):
    journal.create(FIRST, {}, KEY)
    with pytest.raises(IdempotencyConflictError) as conflict:
        journal.create(replace(FIRST, job_id="j2"), {}, dataclasses.replace(KEY, fingerprint="other"))
    assert conflict.value.job_id == "j1"
    assert book.events("j2") == []


def test_the_same_key_of_another_caller_is_another_job(journal):
    journal.create(FIRST, {}, KEY)
    assert journal.create(replace(FIRST, job_id="j2"), {}, dataclasses.replace(KEY, caller="8")).new


def test_keys_of_two_users_never_meet(journal):
    """Ids and keys may both contain colons and slashes."""
    pairs = [("a", "b:c"), ("a:b", "c"), ("a", "b/c"), ("a:b", "/c"), ("a", ":b/c"), ("of:user:a", "b:c")]
    for number, (user, key) in enumerate(pairs):
        event = replace(FIRST, job_id=f"j{number}", user_id=user)
        mine = Idempotency(f"user:{user}", key, f"fingerprint {number}")
        assert journal.create(event, {}, mine).new, (user, key)
        assert not journal.create(replace(event, job_id="again"), {}, mine).new


@pytest.mark.parametrize(("caller", "user"), [("user:a", "a"), ("user:a:b", "a:b"), ("service", "a")])
def test_a_key_that_an_earlier_release_has_recorded_stays_valid(store, caller, user):
    journal = RedisJournal(store, Settings())
    mine = Idempotency(caller, "c:d", "fingerprint")
    old_key = f"cto:idempotency:{caller}:c:d"
    event = replace(FIRST, user_id=user)
    journal.create(event, {})
    store.hset(old_key, mapping={"job": "j1", "fingerprint": "fingerprint"})
    again = journal.create(replace(event, job_id="j2"), {}, mine)
    assert (again.job_id, again.new) == ("j1", False)
    with pytest.raises(IdempotencyConflictError):
        journal.create(replace(event, job_id="j3"), {}, dataclasses.replace(mine, fingerprint="other"))


def test_a_key_that_an_earlier_release_has_recorded_is_its_users_alone(store):
    journal = RedisJournal(store, Settings())
    journal.create(replace(FIRST, user_id="a"), {})
    store.hset("cto:idempotency:user:a:b:c", mapping={"job": "j1", "fingerprint": "fingerprint"})
    others = Idempotency("user:a:b", "c", "fingerprint")
    assert journal.create(replace(FIRST, job_id="j2", user_id="a:b"), {}, others).new
    assert store.hget("cto:idempotency:user:a:b:c", "job") == b"j1", "as its user's earlier release left it"


def test_an_earlier_release_finds_a_key_that_this_one_has_recorded(store):
    RedisJournal(store, Settings()).create(FIRST, {}, KEY)
    found = store.hgetall("cto:idempotency:service:key-1")
    assert found == {b"job": b"j1", b"fingerprint": b"fingerprint"}
    assert 0 < store.ttl("cto:idempotency:service:key-1") <= keys.IDEMPOTENCY_TTL_S


def test_a_job_is_claimed_once(journal):
    journal.create(FIRST, {"a": 1})
    claim = journal.claim("j1", "me")
    assert (claim.attempt, claim.latest, json.loads(claim.request)) == (1, FIRST, {"a": 1})
    assert dataclasses.replace(journal.claim("j1", "me"), elapsed_ms=0) == claim, (
        "a repeated claim gets the same answer"
    )
    assert journal.claim("j1", "you") is None


def test_an_unknown_job_cannot_be_claimed(journal):
    assert journal.claim("nothing", "me") is None


def test_an_ended_job_cannot_be_claimed(started):
    started.append(Entry(COMPLETED))
    assert started.claim("j1", "me") is None

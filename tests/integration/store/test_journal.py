"""The contract of the journal, tested on the store and on the in-memory journal."""

from __future__ import annotations

import dataclasses
import json
import threading

import pytest
from msgspec.structs import replace
from support.samples import FIRST_EVENT

from cto_worker.config import Settings
from cto_worker.domain.buy_plan import Plan, Step
from cto_worker.domain.intent_log import PLAN, IntentLog, IntentRecord, IntentStatus, decode_record, settled
from cto_worker.domain.journal import AppendResult, Entry, Idempotency, Orphan
from cto_worker.domain.market import Buy, Order, Outcome, OutcomeStatus, Transfer
from cto_worker.domain.progress_event import Details, JobStatus, Status, decode
from cto_worker.errors import (
    FencedError,
    IdempotencyConflictError,
    JobEndedError,
    JobNotFoundError,
    OperationFailed,
    SequenceError,
)
from cto_worker.store import keys
from cto_worker.store.journal import RedisJournal
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.testing.in_memory_journal import InMemoryJournal

FIRST = replace(FIRST_EVENT, socket_user_id="9")
SECOND = replace(FIRST, seq=2, attempt=1, phase=2, progress=25, status=Status.IN_PROGRESS)
COMPLETED = replace(SECOND, seq=3, phase=5, progress=100, status=Status.COMPLETED)
FAILED = replace(
    COMPLETED, status=Status.FAILED, details=Details(error="no SOL", error_code="insufficient_funds")
)
LEASE_MS = 60_000  # expires only when a test moves the time
GRACE_MS = keys.NEW_MESSAGE_CHECK_DELAY_MS
BUY = Buy("j1:w1:buy.1", "7", "w1", FIRST.token_address, 10, 500, 1)
TRANSFER = Transfer("j1:w1:transfer", "7", "funding", "w1", 11)
TRADE = Plan([Step(TRANSFER, "w1", "Distributing"), Step(BUY, "w1", "Buying")], {"funding": 12})
ORDER = Order(TRANSFER.intent_id, "signature", b"\x00exact bytes\xff")
CONFIRMED_OUTCOME = Outcome(OutcomeStatus.CONFIRMED, "signature", 5, 0)
UNKNOWN_OUTCOME = Outcome(OutcomeStatus.UNKNOWN, "signature")
KEY = Idempotency("service", "key-1", "fingerprint")


class Real:
    """The journal in the store, and queries of its state."""

    def __init__(self, store):
        self.journal = RedisJournal(store, Settings(lease_ms=LEASE_MS))
        self.store = store

    def events(self, job_id):
        stored = JournalQueries(self.store).events(job_id)
        return [decode(event) for event in stored.events] if stored else []

    def metadata(self, job_id):
        return json.loads(self.store.get(keys.meta(job_id)))

    def records(self, job_id):
        fields = {name.decode(): text for name, text in self.store.hgetall(keys.intents(job_id)).items()}
        return {name: decode_record(name, text) for name, text in fields.items() if name != PLAN}

    def let_pass(self, ms):
        """Move all times in the store into the past."""
        for due in (keys.DUE, keys.WAITING):
            for job_id in self.store.zrange(due, 0, -1):
                self.store.zincrby(due, -ms, job_id)
        for job_id in self.store.zrange(keys.DUE, 0, -1):
            for name in ("lease", "begun", "sent"):
                self.store.hincrby(keys.job(job_id.decode()), name, -ms)

    def put_a_message_in_the_queue(self):
        self.store.lpush(keys.QUEUE, "a message")

    def fill_the_queue_of_resumed_jobs(self):
        self.store.lpush(keys.RESUMED_QUEUE, "a message")

    def empty_the_queue_of_resumed_jobs(self):
        self.store.delete(keys.RESUMED_QUEUE)

    def for_review(self):
        lists = [
            [
                job_id.decode()
                for job_id in self.store.zrange(f"{keys.LIST_PREFIX}{owner}:{keys.REVIEW}", 0, -1)
            ]
            for owner in (FIRST.user_id, keys.ALL_OWNERS)
        ]
        assert lists[0] == lists[1]
        return lists[0]


class Twin:
    """The in-memory journal, and the same queries."""

    def __init__(self):
        self.journal = InMemoryJournal(lease_ms=LEASE_MS)

    def events(self, job_id):
        return self.journal.jobs[job_id].events if job_id in self.journal.jobs else []

    def metadata(self, job_id):
        return self.journal.metadata[job_id]

    def records(self, job_id):
        log = self.journal.jobs[job_id].log
        return {name: decode_record(name, text) for name, text in log.items() if name != PLAN}

    def let_pass(self, ms):
        self.journal.now_ms += ms

    def put_a_message_in_the_queue(self):
        self.journal.queued = True

    def fill_the_queue_of_resumed_jobs(self):
        self.journal.resumed_queued = True

    def empty_the_queue_of_resumed_jobs(self):
        self.journal.resumed_queued = False

    def for_review(self):
        return [job_id for job_id, job in self.journal.jobs.items() if job.review]


@pytest.fixture(params=["real", "twin"])
def book(request):
    if request.param == "twin":
        return Twin()
    return Real(request.getfixturevalue("store"))


@pytest.fixture
def journal(book):
    return book.journal


@pytest.fixture
def started(journal):
    """The journal with a job that its first run has started."""
    journal.create(FIRST, {"a": 1})
    journal.claim("j1", "me")
    journal.append(Entry(SECOND))
    return journal


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


def test_events_are_appended_in_order(book, started):
    started.append(Entry(replace(SECOND, seq=3, progress=45.5)))
    assert [event.seq for event in book.events("j1")] == [1, 2, 3]
    assert book.metadata("j1")["result"]["progress"] == 45.5


THREE = [replace(SECOND, seq=seq, progress=20.0 + 5 * seq) for seq in (3, 4, 5)]


def test_several_events_are_appended_in_one_step(book, started):
    *earlier, last = THREE
    started.append(Entry(last, earlier=earlier))
    assert book.events("j1") == [FIRST, SECOND, *THREE]
    assert book.metadata("j1")["result"]["seq"] == 5
    assert started.append(Entry(last, earlier=earlier)) == AppendResult(cancel=False, step_ms=None), (
        "and once only"
    )
    assert book.events("j1") == [FIRST, SECOND, *THREE]


@pytest.mark.parametrize(
    "events",
    [
        [replace(THREE[0], seq=4), THREE[1]],
        [THREE[1], THREE[2]],
        [THREE[0], THREE[2]],
        [replace(THREE[0], progress=99), THREE[1]],
        [replace(COMPLETED, progress=30), THREE[1]],
        [replace(event, attempt=0) for event in THREE],
    ],
    ids=["same seq", "hole before", "hole between", "progress falls", "after the end", "stale"],
)
def test_events_that_cannot_follow_are_refused_together(book, started, events):
    with pytest.raises((SequenceError, FencedError)):
        started.append(Entry(events[-1], earlier=events[:-1]))
    assert book.events("j1") == [FIRST, SECOND]


def test_repeating_the_last_event_is_harmless(book, started):
    assert started.append(Entry(SECOND)) == AppendResult(cancel=False, step_ms=None)
    assert book.events("j1") == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (replace(SECOND, seq=4), SequenceError),
        (replace(SECOND, progress=26), SequenceError),
        (replace(SECOND, seq=3, progress=24), SequenceError),
        (replace(SECOND, seq=3, attempt=0), FencedError),
        (replace(SECOND, seq=3, attempt=2), FencedError),
        (replace(SECOND, seq=3, job_id="nothing"), JobNotFoundError),
    ],
    ids=["hole", "same seq, other event", "progress falls", "stale", "from the future", "unknown job"],
)
def test_an_invalid_event_is_refused(book, started, event, error):
    before = book.metadata("j1")
    with pytest.raises(error):
        started.append(Entry(event))
    assert book.events("j1") == [FIRST, SECOND]
    assert book.metadata("j1") == before


@pytest.mark.parametrize("terminal", [COMPLETED, FAILED], ids=["completed", "failed"])
def test_nothing_follows_the_end(book, started, terminal):
    started.append(Entry(terminal))
    with pytest.raises(JobEndedError):
        started.append(Entry(replace(SECOND, seq=4, progress=100)))
    assert book.events("j1") == [FIRST, SECOND, terminal]


def test_a_stale_run_cannot_write_before_the_first_event_of_its_owner(journal):
    journal.create(FIRST, {})
    with pytest.raises(FencedError):
        journal.append(Entry(SECOND))


def test_success_carries_the_operations_result(book, started):
    started.append(Entry(COMPLETED, result={"successfulBuys": 3}))
    assert book.metadata("j1")["status"] == "SUCCESS"
    assert book.metadata("j1")["result"] == {"successfulBuys": 3}


def test_failure_carries_an_exception_with_the_result(book, started):
    started.append(Entry(FAILED, result={"successfulBuys": 0}))
    assert book.metadata("j1")["status"] == "FAILURE"
    assert book.metadata("j1")["result"] == {
        "exc_type": OperationFailed.__name__,
        "exc_module": "cto_worker.errors",
        "exc_message": ["no SOL", "insufficient_funds", {"successfulBuys": 0}],
    }


def test_every_later_append_reports_a_requested_cancellation(started):
    assert started.request_cancel("j1").status is JobStatus.ACTIVE
    assert started.append(Entry(SECOND)).cancel
    assert started.append(Entry(replace(SECOND, seq=3))).cancel


def test_a_waiting_job_can_be_cancelled(journal):
    journal.create(FIRST, {})
    assert journal.request_cancel("j1").status is JobStatus.WAITING
    journal.claim("j1", "me")
    assert journal.append(Entry(SECOND)).cancel


def test_an_unknown_job_cannot_be_cancelled(journal):
    with pytest.raises(JobNotFoundError):
        journal.request_cancel("nothing")


def test_an_ended_job_cannot_be_cancelled(started):
    started.append(Entry(FAILED))
    with pytest.raises(JobEndedError):
        started.request_cancel("j1")


def test_the_step_duration_is_the_median_of_the_last_twenty_runs(journal):
    def run(number, platform, step_ms):
        job_id = f"run-{number}"
        journal.create(replace(FIRST, job_id=job_id), {})
        journal.claim(job_id, "me")
        begun = journal.append(Entry(replace(SECOND, job_id=job_id, platform=platform)))
        journal.append(Entry(replace(COMPLETED, job_id=job_id, platform=platform), step_ms=step_ms))
        return begun.step_ms

    assert [run(n, "bonk", float(n)) for n in range(4)] == [None, 0, 0.5, 1]
    for number in range(4, 25):
        run(number, "bonk", float(number))
    assert run(25, "bonk", None) == 14.5
    assert run(26, "pumpfun", None) is None


# Leases


def planned(started):
    """Record the job's plan. Returns the event it was recorded with."""
    event = replace(SECOND, seq=3, phase=4, progress=70)
    started.append(Entry(event, plan=TRADE))
    return event


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
    started.intend("j1", 2, ORDER.intent_id, ORDER)
    started.record_submission("j1", 2, ORDER.intent_id, ORDER)
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


STALE_WRITES = {
    "append": lambda journal: journal.append(Entry(replace(SECOND, seq=4, phase=4, progress=80))),
    "append with records": lambda journal: journal.append(
        Entry(replace(SECOND, seq=4, progress=80), records={"i": settled(ORDER, CONFIRMED_OUTCOME)})
    ),
    "end": lambda journal: journal.append(Entry(replace(COMPLETED, seq=4), review=True)),
    "intend": lambda journal: journal.intend("j1", 1, ORDER.intent_id, ORDER),
    "intend another": lambda journal: journal.intend(
        "j1", 1, BUY.intent_id, dataclasses.replace(ORDER, payload=b"x")
    ),
    "submitted": lambda journal: journal.record_submission(
        "j1", 1, ORDER.intent_id, dataclasses.replace(ORDER, payload=b"x")
    ),
}


@pytest.mark.parametrize("write", STALE_WRITES.values(), ids=STALE_WRITES)
def test_no_write_of_a_run_that_has_lost_its_job_changes_anything(book, started, write):
    planned(started)
    started.intend("j1", 1, ORDER.intent_id, ORDER)
    book.let_pass(LEASE_MS + 1)
    log = started.claim("j1", "you").intent_log
    before = (book.events("j1"), book.metadata("j1"), book.records("j1"))
    with pytest.raises(FencedError):
        write(started)
    assert (book.events("j1"), book.metadata("j1"), book.records("j1")) == before
    assert started.claim("j1", "you").intent_log == log
    assert book.for_review() == []


@pytest.mark.parametrize("write", STALE_WRITES.values(), ids=STALE_WRITES)
def test_no_write_changes_anything_about_a_job_that_has_ended(book, started, write):
    planned(started)
    started.append(Entry(replace(COMPLETED, seq=4, details=Details(current_operation="the true end"))))
    before = (book.events("j1"), book.metadata("j1"), book.records("j1"))
    with pytest.raises(JobEndedError):
        write(started)
    assert (book.events("j1"), book.metadata("j1"), book.records("j1")) == before


def test_a_repeated_last_event_of_a_lost_run_is_answered_and_changes_nothing(book, started):
    book.let_pass(LEASE_MS + 1)
    started.claim("j1", "you")
    assert started.append(Entry(SECOND)) == AppendResult(cancel=False, step_ms=None)
    assert book.events("j1") == [FIRST, SECOND]
    with pytest.raises(FencedError):
        started.append(Entry(replace(SECOND, timestamp=1)))


# The intent log


@pytest.mark.parametrize("name", ["intend", "record_submission"])
def test_nothing_is_recorded_of_an_unknown_job(journal, name):
    with pytest.raises(JobNotFoundError):
        getattr(journal, name)("nothing", 1, ORDER.intent_id, ORDER)


@pytest.mark.parametrize("late", ["intend", "record_submission"])
def test_a_delayed_write_does_not_change_a_settled_intent(book, started, late):
    planned(started)
    done = settled(ORDER, CONFIRMED_OUTCOME)
    started.append(Entry(replace(SECOND, seq=4, progress=71), records={ORDER.intent_id: done}))
    with pytest.raises(SequenceError, match="settled"):
        getattr(started, late)("j1", 1, ORDER.intent_id, ORDER)
    assert book.records("j1")[ORDER.intent_id] == done


def test_a_claim_returns_the_intent_log(book, started):
    planned(started)
    assert started.intend("j1", 1, TRANSFER.intent_id, ORDER) is True
    started.record_submission("j1", 1, TRANSFER.intent_id, ORDER)
    done = settled(ORDER, CONFIRMED_OUTCOME)
    refused = settled(None, Outcome(OutcomeStatus.FAILED, "", error_code="insufficient_funds", error="no"))
    started.append(
        Entry(
            replace(SECOND, seq=4, progress=71), records={TRANSFER.intent_id: done, "j1:w2:transfer": refused}
        )
    )
    order = dataclasses.replace(ORDER, intent_id=BUY.intent_id)
    started.intend("j1", 1, BUY.intent_id, order)
    book.let_pass(LEASE_MS + 1)
    claim = started.claim("j1", "you")
    assert claim.intent_log == IntentLog(
        Plan(TRADE.steps, {}),
        {
            TRANSFER.intent_id: done,
            "j1:w2:transfer": refused,
            BUY.intent_id: IntentRecord(IntentStatus.INTENDED, order),
        },
    )
    assert claim.intent_log.records[BUY.intent_id].order.payload == b"\x00exact bytes\xff"
    assert claim.latest.seq == 4


def test_an_intent_goes_from_intended_over_submitted_to_its_outcome(book, started):
    planned(started)
    statuses = []

    def note():
        statuses.append(book.records("j1")[ORDER.intent_id].status)

    started.intend("j1", 1, ORDER.intent_id, ORDER)
    note()
    started.record_submission("j1", 1, ORDER.intent_id, ORDER)
    note()
    started.append(
        Entry(replace(SECOND, seq=4, progress=80), records={ORDER.intent_id: settled(ORDER, UNKNOWN_OUTCOME)})
    )
    note()
    assert statuses == ["intended", "submitted", "unknown"]


def test_a_repeated_intent_is_harmless(book, started):
    planned(started)
    for _ in range(2):
        assert started.intend("j1", 1, ORDER.intent_id, ORDER) is True
    assert book.records("j1") == {ORDER.intent_id: IntentRecord(IntentStatus.INTENDED, ORDER)}


def test_no_intent_is_recorded_once_cancellation_is_requested(book, started):
    planned(started)
    started.request_cancel("j1")
    assert started.intend("j1", 1, ORDER.intent_id, ORDER) is False
    assert book.records("j1") == {}


def test_a_repeated_intent_succeeds_though_the_job_was_cancelled_meanwhile(book, started):
    planned(started)
    started.intend("j1", 1, ORDER.intent_id, ORDER)
    started.request_cancel("j1")
    assert started.intend("j1", 1, ORDER.intent_id, ORDER) is True
    assert (
        started.intend("j1", 1, ORDER.intent_id, dataclasses.replace(ORDER, payload=b"other bytes")) is False
    )
    assert book.records("j1")[ORDER.intent_id].order == ORDER


def test_a_submission_is_recorded_though_the_job_was_cancelled_meanwhile(book, started):
    planned(started)
    started.intend("j1", 1, ORDER.intent_id, ORDER)
    started.request_cancel("j1")
    started.record_submission("j1", 1, ORDER.intent_id, ORDER)
    assert book.records("j1")[ORDER.intent_id].status is IntentStatus.SUBMITTED


@pytest.mark.parametrize(
    "event", [replace(SECOND, seq=5, progress=80), replace(SECOND, seq=4, progress=80, attempt=2)]
)
def test_an_event_that_is_refused_leaves_the_log_as_it_was(book, started, event):
    planned(started)
    with pytest.raises((SequenceError, FencedError)):
        started.append(Entry(event, records={ORDER.intent_id: settled(ORDER, UNKNOWN_OUTCOME)}))
    assert book.records("j1") == {}


# Giving a job up


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


# Orphans


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
    for number in range(2_000):
        started.create(replace(FIRST, job_id=f"waiting {number}"), {})
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


@pytest.mark.parametrize("begun", [False, True])
def test_a_sweep_returns_a_limited_number_of_jobs(book, journal, begun):
    for number in range(keys.SWEEP_LIMIT + 1):
        journal.create(replace(FIRST, job_id=f"j{number}"), {})
        if begun:
            journal.claim(f"j{number}", "me")
    book.let_pass(LEASE_MS + 1)
    assert [len(journal.find_orphans()) for _ in range(3)] == [keys.SWEEP_LIMIT, 1, 0]


def test_only_one_of_many_concurrent_sweeps_finds_an_orphan(store):
    book, found = Real(store), []
    for number in range(20):
        book.journal.create(replace(FIRST, job_id=f"j{number}"), {})
    book.let_pass(GRACE_MS + 1)
    threads = [threading.Thread(target=lambda: found.extend(book.journal.find_orphans())) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == 20


def test_only_one_of_many_concurrent_runs_takes_over_a_job(store):
    book, claims = Real(store), []
    book.journal.create(FIRST, {})
    book.journal.claim("j1", "me")
    book.let_pass(LEASE_MS + 1)

    def take(number):
        claims.append(book.journal.claim("j1", f"run {number}"))

    threads = [threading.Thread(target=take, args=[number]) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [claim.attempt for claim in claims if claim] == [2]


# Review


def test_a_job_that_ends_with_review_is_listed_for_an_operator(book, started):
    started.append(Entry(FAILED, review=True))
    assert book.for_review() == ["j1"]
    assert book.metadata("j1")["status"] == "FAILURE"


def test_a_job_that_ends_without_review_is_not_listed(book, started):
    started.append(Entry(COMPLETED))
    assert book.for_review() == []

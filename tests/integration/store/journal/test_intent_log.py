"""The journal: the intent log, and writes of runs that have lost their job."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec.structs import replace
from support.journals import (
    BUY,
    COMPLETED,
    CONFIRMED_OUTCOME,
    FIRST,
    LEASE_MS,
    ORDER,
    SECOND,
    TRADE,
    TRANSFER,
    UNKNOWN_OUTCOME,
    planned,
)

from cto_worker.domain.buy_plan import Plan
from cto_worker.domain.intent_log import IntentLog, IntentRecord, IntentStatus, settled
from cto_worker.domain.journal_ports import AppendResult, Entry
from cto_worker.domain.market_port import Order, Outcome, OutcomeStatus
from cto_worker.domain.progress_event import Details
from cto_worker.errors import FencedError, JobEndedError, JobNotFoundError, SequenceError

BATCH = [Order(f"j1:w{number}:transfer", f"signature {number}", b"#%d" % number) for number in (1, 2, 3)]
INTENDED = {order.intent_id: IntentRecord(IntentStatus.INTENDED, order) for order in BATCH}
SUBMITTED = {order.intent_id: IntentRecord(IntentStatus.SUBMITTED, order) for order in BATCH}

STALE_WRITES = {
    "append": lambda journal: journal.append(Entry(replace(SECOND, seq=4, phase=4, progress=80))),
    "append with records": lambda journal: journal.append(
        Entry(replace(SECOND, seq=4, progress=80), records={"i": settled(ORDER, CONFIRMED_OUTCOME)})
    ),
    "end": lambda journal: journal.append(Entry(replace(COMPLETED, seq=4), review=True)),
    "intend": lambda journal: journal.intend("j1", 1, [ORDER]),
    "intend another": lambda journal: journal.intend(
        "j1", 1, [dataclasses.replace(ORDER, intent_id=BUY.intent_id, payload=b"x")]
    ),
    "submitted": lambda journal: journal.record_submission(
        "j1", 1, [dataclasses.replace(ORDER, payload=b"x")]
    ),
}


@pytest.mark.parametrize("write", STALE_WRITES.values(), ids=STALE_WRITES)
def test_no_write_of_a_run_that_has_lost_its_job_changes_anything(book, started, write):
    planned(started)
    started.intend("j1", 1, [ORDER])
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


@pytest.mark.parametrize("name", ["intend", "record_submission"])
def test_nothing_is_recorded_of_an_unknown_job(journal, name):
    with pytest.raises(JobNotFoundError):
        getattr(journal, name)("nothing", 1, [ORDER])


@pytest.mark.parametrize("late", ["intend", "record_submission"])
def test_a_delayed_write_does_not_change_a_settled_intent(book, started, late):
    planned(started)
    done = settled(ORDER, CONFIRMED_OUTCOME)
    started.append(Entry(replace(SECOND, seq=4, progress=71), records={ORDER.intent_id: done}))
    with pytest.raises(SequenceError, match="settled"):
        getattr(started, late)("j1", 1, [ORDER])
    assert book.records("j1")[ORDER.intent_id] == done


def test_a_claim_returns_the_intent_log(book, started):
    planned(started)
    assert started.intend("j1", 1, [ORDER]) is True
    started.record_submission("j1", 1, [ORDER])
    done = settled(ORDER, CONFIRMED_OUTCOME)
    refused = settled(None, Outcome(OutcomeStatus.FAILED, "", error_code="insufficient_funds", error="no"))
    started.append(
        Entry(
            replace(SECOND, seq=4, progress=71), records={TRANSFER.intent_id: done, "j1:w2:transfer": refused}
        )
    )
    order = dataclasses.replace(ORDER, intent_id=BUY.intent_id)
    started.intend("j1", 1, [order])
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

    started.intend("j1", 1, [ORDER])
    note()
    started.record_submission("j1", 1, [ORDER])
    note()
    started.append(
        Entry(replace(SECOND, seq=4, progress=80), records={ORDER.intent_id: settled(ORDER, UNKNOWN_OUTCOME)})
    )
    note()
    assert statuses == ["intended", "submitted", "unknown"]


def test_a_repeated_intent_is_harmless(book, started):
    planned(started)
    for _ in range(2):
        assert started.intend("j1", 1, [ORDER]) is True
    assert book.records("j1") == {ORDER.intent_id: IntentRecord(IntentStatus.INTENDED, ORDER)}


def test_no_intent_is_recorded_once_cancellation_is_requested(book, started):
    planned(started)
    started.request_cancel("j1")
    assert started.intend("j1", 1, [ORDER]) is False
    assert book.records("j1") == {}


def test_a_repeated_intent_succeeds_though_the_job_was_cancelled_meanwhile(book, started):
    planned(started)
    started.intend("j1", 1, [ORDER])
    started.request_cancel("j1")
    assert started.intend("j1", 1, [ORDER]) is True
    assert started.intend("j1", 1, [dataclasses.replace(ORDER, payload=b"other bytes")]) is False
    assert book.records("j1")[ORDER.intent_id].order == ORDER


def test_a_submission_is_recorded_though_the_job_was_cancelled_meanwhile(book, started):
    planned(started)
    started.intend("j1", 1, [ORDER])
    started.request_cancel("j1")
    started.record_submission("j1", 1, [ORDER])
    assert book.records("j1")[ORDER.intent_id].status is IntentStatus.SUBMITTED


@pytest.mark.parametrize(
    "event", [replace(SECOND, seq=5, progress=80), replace(SECOND, seq=4, progress=80, attempt=2)]
)
def test_an_event_that_is_refused_leaves_the_log_as_it_was(book, started, event):
    planned(started)
    with pytest.raises((SequenceError, FencedError)):
        started.append(Entry(event, records={ORDER.intent_id: settled(ORDER, UNKNOWN_OUTCOME)}))
    assert book.records("j1") == {}


def test_the_intents_of_several_orders_are_recorded_in_one_step(book, started):
    planned(started)
    assert started.intend("j1", 1, BATCH) is True
    assert book.records("j1") == INTENDED


def test_the_submission_of_several_orders_is_recorded_in_one_step(book, started):
    planned(started)
    started.intend("j1", 1, BATCH)
    started.record_submission("j1", 1, BATCH[:2])
    assert book.records("j1") == SUBMITTED | {BATCH[2].intent_id: INTENDED[BATCH[2].intent_id]}
    started.record_submission("j1", 1, BATCH)
    assert book.records("j1") == SUBMITTED


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("late", ["intend", "record_submission"])
def test_nothing_of_several_orders_is_recorded_if_one_of_them_is_settled(book, started, place, late):
    planned(started)
    done = settled(BATCH[place], CONFIRMED_OUTCOME, 1)
    started.append(Entry(replace(SECOND, seq=4, progress=71), records={BATCH[place].intent_id: done}))
    with pytest.raises(SequenceError, match="settled"):
        getattr(started, late)("j1", 1, BATCH)
    assert book.records("j1") == {BATCH[place].intent_id: done}


@pytest.mark.parametrize("late", ["intend", "record_submission"])
def test_nothing_of_several_orders_is_recorded_by_a_run_that_has_lost_its_job(book, started, late):
    planned(started)
    started.intend("j1", 1, BATCH[:1])
    book.let_pass(LEASE_MS + 1)
    started.claim("j1", "you")
    before = book.records("j1")
    with pytest.raises(FencedError):
        getattr(started, late)("j1", 1, BATCH)
    assert book.records("j1") == before
    assert started.intend("j1", 2, BATCH) is True
    assert book.records("j1") == INTENDED


def test_nothing_of_several_orders_is_recorded_of_a_job_that_has_ended(book, started):
    planned(started)
    started.append(Entry(replace(COMPLETED, seq=4)))
    for late in (started.intend, started.record_submission):
        with pytest.raises(JobEndedError):
            late("j1", 1, BATCH)
    assert book.records("j1") == {}


def test_no_intent_of_several_orders_is_recorded_once_cancellation_is_requested(book, started):
    planned(started)
    started.intend("j1", 1, BATCH[:1])
    started.request_cancel("j1")
    assert started.intend("j1", 1, BATCH) is False, "two of them are new"
    assert book.records("j1") == {BATCH[0].intent_id: INTENDED[BATCH[0].intent_id]}


def test_repeated_intents_of_several_orders_succeed_though_the_job_was_cancelled_meanwhile(book, started):
    """The answer to the first call is lost, and the job is cancelled before the second one."""
    planned(started)
    started.intend("j1", 1, BATCH)
    started.request_cancel("j1")
    assert started.intend("j1", 1, BATCH) is True
    assert book.records("j1") == INTENDED


def test_a_takeover_records_several_orders_again_though_the_job_is_cancelled(book, started):
    planned(started)
    started.intend("j1", 1, BATCH)
    started.record_submission("j1", 1, BATCH)
    started.request_cancel("j1")
    book.let_pass(LEASE_MS + 1)
    assert started.claim("j1", "you").intent_log.records == SUBMITTED
    assert started.intend("j1", 2, BATCH, heed_cancel=False) is True
    assert {intent_id: record.order for intent_id, record in book.records("j1").items()} == {
        order.intent_id: order for order in BATCH
    }


def test_the_outcomes_of_several_orders_are_recorded_with_their_events(book, started):
    planned(started)
    started.intend("j1", 1, BATCH)
    events = [replace(SECOND, seq=seq, phase=4, progress=70.0 + seq) for seq in (4, 5)]
    ended = {
        order.intent_id: settled(order, CONFIRMED_OUTCOME, place) for place, order in enumerate(BATCH[1:], 1)
    }
    started.append(Entry(events[-1], earlier=events[:-1], records=ended))
    assert book.records("j1") == INTENDED | ended
    book.let_pass(LEASE_MS + 1)
    claim = started.claim("j1", "you")
    assert (claim.stalls, claim.intent_log.records) == (1, INTENDED | ended)


REPLACED = dataclasses.replace(
    ORDER,
    signature="second",
    payload=b"2",
    min_tokens=9,
    expires=1_150,
    context="slot 7",
    replaced=("signature",),
)


def test_only_an_order_that_names_the_recorded_one_as_expired_may_replace_it(book, started):
    planned(started)
    started.intend("j1", 1, [ORDER])
    for signatures in ((), ("another",), ("signature", "another")):
        other = dataclasses.replace(REPLACED, replaced=signatures)
        for write in (started.intend, started.record_submission):
            with pytest.raises(SequenceError, match="has not expired"):
                write("j1", 1, [BATCH[1], other])
    assert book.records("j1") == {ORDER.intent_id: IntentRecord(IntentStatus.INTENDED, ORDER)}
    assert started.intend("j1", 1, [REPLACED]) is True
    started.record_submission("j1", 1, [REPLACED])
    with pytest.raises(SequenceError, match="has not expired"):
        started.record_submission("j1", 1, [ORDER])  # delayed
    third = dataclasses.replace(REPLACED, signature="third", replaced=("signature", "second"))
    assert started.intend("j1", 1, [third]) is True
    book.let_pass(LEASE_MS + 1)
    claim = started.claim("j1", "you")
    assert claim.intent_log.records == {ORDER.intent_id: IntentRecord(IntentStatus.INTENDED, third)}


def test_no_order_replaces_another_once_cancellation_is_requested(book, started):
    planned(started)
    started.intend("j1", 1, [ORDER])
    started.request_cancel("j1")
    assert started.intend("j1", 1, [REPLACED]) is False
    assert book.records("j1")[ORDER.intent_id].order == ORDER

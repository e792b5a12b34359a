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
from cto_worker.domain.journal import AppendResult, Entry
from cto_worker.domain.market import Outcome, OutcomeStatus
from cto_worker.domain.progress_event import Details
from cto_worker.errors import FencedError, JobEndedError, JobNotFoundError, SequenceError

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

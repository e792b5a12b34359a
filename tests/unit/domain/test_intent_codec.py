"""The records of the intent log: what is written can be read, also after a change of release."""

from __future__ import annotations

import json

import pytest

from cto_worker.domain.buy_plan import Plan, Step
from cto_worker.domain.intent_codec import (
    PLAN,
    decode_log,
    decode_plan,
    decode_record,
    encode_plan,
    encode_record,
)
from cto_worker.domain.intent_log import IntentRecord, IntentStatus, Resolver, settled
from cto_worker.domain.market_port import Buy, Order, Outcome, OutcomeStatus

ORDER = Order("j1:w1:buy.1", "signature", b"\x00exact bytes\xff")
REPLACEMENT = Order("j1:w1:buy.1", "third", b"3", 7, 1_150, "slot 7", ("signature", "second"))
CONFIRMED = Outcome(OutcomeStatus.CONFIRMED, "signature", 5, 7)
REJECTED = Outcome(OutcomeStatus.FAILED, "", error_code="insufficient_funds", error="no SOL")


@pytest.mark.parametrize(
    "record",
    [
        IntentRecord(IntentStatus.INTENDED, ORDER),
        IntentRecord(IntentStatus.SUBMITTED, ORDER),
        IntentRecord(IntentStatus.SUBMITTED, REPLACEMENT),
        settled(ORDER, CONFIRMED, 3),
        settled(ORDER, Outcome(OutcomeStatus.UNKNOWN, "signature"), 1),
        settled(None, REJECTED, 100),
        IntentRecord(IntentStatus.CONFIRMED, ORDER, CONFIRMED, 2, Resolver("ops", 1_790_000_000_000)),
    ],
    ids=["intended", "submitted", "replacement", "confirmed", "unknown", "rejected", "resolved"],
)
def test_a_record_is_read_as_it_was_written(record):
    assert decode_record(ORDER.intent_id, encode_record(record)) == record


def test_a_record_of_an_earlier_release_has_no_place():
    text = (
        b'{"status":"confirmed","signature":"signature","payload":"AGV4YWN0IGJ5dGVz/w==",'
        b'"outcome":{"status":"confirmed","signature":"signature","spent_lamports":5,"tokens":7,'
        b'"error_code":"","error":""}}'
    )
    assert decode_record(ORDER.intent_id, text) == settled(ORDER, CONFIRMED)
    assert settled(ORDER, CONFIRMED).place == 0
    resolved = decode_record(ORDER.intent_id, text[:-1] + b',"resolved":true}')
    assert (resolved.resolved, resolved.resolver) == (True, Resolver()), "nor the author of a resolution"


@pytest.mark.parametrize("status", [IntentStatus.INTENDED, IntentStatus.SUBMITTED])
def test_a_record_without_an_outcome_has_no_place(status):
    """The journal compares the text of a repeated record with the first one, so nothing optional is in it."""
    document = json.loads(encode_record(IntentRecord(status, ORDER)))
    assert document.keys() == {"status", "signature", "payload"}


def test_a_log_without_a_plan_is_none():
    fields = {ORDER.intent_id: encode_record(IntentRecord(IntentStatus.INTENDED, ORDER))}
    assert decode_log(fields) is None
    log = decode_log(fields | {PLAN: b"[]"})
    assert list(log.records) == [ORDER.intent_id]
    assert log.records[ORDER.intent_id].unsettled


def test_a_plan_contains_no_field_that_an_earlier_release_does_not_know():
    buy = Buy("j1:w1:buy.1", "7", "w1", "mint", 10, 500, 1)
    plan = Plan([Step(buy, "w1", "Buying")], {})
    (step,) = json.loads(encode_plan(plan))
    assert "min_tokens" not in step["intent"]
    assert decode_plan(encode_plan(plan)) == plan

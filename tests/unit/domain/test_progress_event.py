"""The encoding of events: its fields, its inverse, and refusals of invalid bytes."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.samples import FIRST_EVENT, MINT

from cto_worker.domain.progress_event import (
    TOTAL_PHASES,
    WORKER_TYPE,
    Details,
    Mode,
    Phase,
    ProgressEvent,
    Status,
    StepStatus,
    decode,
    dumps,
    encode,
    peek_header,
)
from cto_worker.domain.purchase_outcome import PurchaseOutcome
from cto_worker.errors import InvalidEventError

text = st.text(max_size=40)
counts = st.integers(0, 2**53)
amounts = st.floats(0, 1e12, allow_nan=False)
steps = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["transfer", "buy"]),
        "wallet": text,
        "status": st.sampled_from(StepStatus),
        "signature": st.none() | text,
        "spent": amounts,
        "tokens": counts,
    },
    optional={"errorCode": text, "error": text},
)
details = st.builds(
    Details,
    successful_buys=st.none() | counts,
    failed_buys=st.none() | counts,
    unknown_buys=st.none() | counts,
    total_spent=st.none() | amounts,
    wallets_used=st.none() | counts,
    planned_buys=st.none() | counts,
    planned_wallets=st.none() | st.lists(text, max_size=4).map(tuple),
    starting_wallets=st.none() | st.lists(text, max_size=4).map(tuple),
    outcome=st.none() | st.sampled_from(PurchaseOutcome),
    needs_review=st.none() | st.booleans(),
    error=st.none() | text,
    error_code=st.none() | text,
    transaction_signatures=st.none() | st.lists(text, max_size=4).map(tuple),
    estimated_time_remaining=st.none() | counts,
    current_operation=st.none() | text,
    last_step=st.none() | steps,
)
events = st.builds(
    ProgressEvent,
    worker_type=st.just(WORKER_TYPE),
    total_phases=st.just(TOTAL_PHASES),
    job_id=text.filter(bool),
    seq=st.integers(1, 2**53),
    attempt=counts,
    token_address=text,
    user_id=text,
    user_chat_id=st.integers(-(2**53), 2**53),
    phase=st.integers(1, 5),
    phase_title=text,
    phase_description=text,
    progress=st.floats(0, 100) | st.integers(0, 100),
    status=st.sampled_from(Status),
    timestamp=counts,
    mode=st.sampled_from(Mode),
    platform=text,
    buy_amount=amounts,
    socket_user_id=st.none() | text,
    details=details,
)
EVENT = replace(
    FIRST_EVENT,
    seq=3,
    attempt=1,
    user_chat_id=-100,
    phase=4,
    phase_title="Executing Operation",
    phase_description="Executing standard CTO with 0.5 SOL",
    progress=70,
    status=Status.IN_PROGRESS,
    platform="pumpfun",
    details=Details(successful_buys=0, transaction_signatures=("a",)),
)


@given(events)
def test_decode_inverts_encode(event):
    assert decode(encode(event)) == event


@given(events)
def test_the_encoded_event_is_compact_json_without_empty_fields(event):
    wire = encode(event)
    document = json.loads(wire)
    assert msgspec.json.encode(document) == wire
    assert None not in document.values()
    assert None not in document.get("details", {}).values()


def test_the_encoded_event_matches_the_contract():
    assert json.loads(encode(EVENT)) == {
        "workerType": "cto_operation",
        "totalPhases": 5,
        "jobId": "j1",
        "seq": 3,
        "attempt": 1,
        "tokenAddress": MINT,
        "userId": "7",
        "userChatId": -100,
        "phase": 4,
        "phaseTitle": "Executing Operation",
        "phaseDescription": "Executing standard CTO with 0.5 SOL",
        "progress": 70,
        "status": "in_progress",
        "timestamp": 1_700_000_000_000,
        "mode": "standard",
        "platform": "pumpfun",
        "buyAmount": 0.5,
        "details": {"successfulBuys": 0, "transactionSignatures": ["a"]},
    }


def test_the_phases_match_the_contract():
    assert [(phase.number, phase.progress, phase.title) for phase in Phase] == [
        (1, 10, "CTO Operation Started"),
        (2, 25, "Validating Parameters"),
        (3, 45, "Platform Detection"),
        (4, 70, "Executing Operation"),
        (5, 100, "CTO Operation {outcome}"),
    ]


def test_fields_of_a_later_version_are_ignored():
    document = json.loads(encode(EVENT)) | {"fromTheFuture": [1]}
    document["details"]["alsoNew"] = True
    assert decode(dumps(document)) == EVENT


WRONG = {
    "jobId": ["", None, 3],
    "seq": [0, -1, 1.5, True, "1", None],
    "attempt": [-1, True, None],
    "userChatId": [1.5, True, "1", None],
    "phase": [0, 6, 1.0, True],
    "progress": [-1, 100.1, True, "10", None],
    "status": ["done", None, []],
    "timestamp": [-1, 1.5, None],
    "mode": ["both", None],
    "buyAmount": [-1, True, "1", None],
    "workerType": ["other", None],
    "totalPhases": [4, None],
    "socketUserId": [7],
    "details": [[], "x", 1, None],
}
WRONG_DETAILS = {
    "successfulBuys": [-1, 1.5, True, "1"],
    "totalSpent": [-0.1, True, "1"],
    "plannedWallets": ["x", [1]],
    "startingWallets": ["x", [1]],
    "outcome": ["some"],
    "needsReview": [1],
    "transactionSignatures": [[None]],
    "currentOperation": [3],
    "lastStep": [[], {}, {"kind": "sell", "wallet": "w", "status": "confirmed"}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_wrong_field_is_refused_by_name(name, value):
    document = json.loads(encode(EVENT)) | {name: value}
    with pytest.raises(InvalidEventError, match=name):
        decode(dumps(document))


def test_a_wrong_detail_is_refused_by_name():
    document = json.loads(encode(EVENT))
    for name, value in [(name, value) for name, values in WRONG_DETAILS.items() for value in values]:
        with pytest.raises(InvalidEventError, match=name):
            decode(dumps(document | {"details": {name: value}}))


@pytest.mark.parametrize("name", sorted(json.loads(encode(EVENT)).keys() - {"details"}))
def test_a_missing_field_is_refused_by_name(name):
    document = json.loads(encode(EVENT))
    del document[name]
    with pytest.raises(InvalidEventError, match=name):
        decode(dumps(document))


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"null", b"[]", b"3", b"{", b'{"progress":NaN}', b"[" * 100_000, b'{"a":1}', "ñ"],
)
def test_bytes_that_are_not_an_event_are_refused(payload):
    with pytest.raises(InvalidEventError):
        decode(payload)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_outside_json_are_refused(value):
    with pytest.raises(ValueError, match="JSON"):
        dumps({"x": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_event_with_a_number_outside_json_is_not_encoded(value):
    for changes in ({"progress": value}, {"buy_amount": value}, {"details": Details(total_spent=value)}):
        with pytest.raises(ValueError, match="event 3 of job j1 is not finite"):
            encode(replace(EVENT, **changes))


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.floats() | text, st.lists).map(str)
)
def test_no_other_error_is_raised_for_any_payload(payload):
    with pytest.raises(InvalidEventError):
        decode(payload)


@given(events, st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True), st.integers(1, 10**15))
def test_peek_header_agrees_with_decode(event, job_id, seq):
    event = replace(event, job_id=job_id, seq=seq)
    assert peek_header(encode(event)) == (job_id, seq, event.status.terminal)


def test_peek_header_ignores_markers_inside_texts_of_users():
    words = '"status":"completed"' + json.dumps('"status":"completed"')
    event = replace(EVENT, user_id=words, phase_description=words, details=Details(current_operation=words))
    assert peek_header(encode(event)) == ("j1", 3, False)


@pytest.mark.parametrize("payload", [b"", b"{}", b"null", b'{"jobId":"j1","seq":1}', encode(EVENT)[1:]])
def test_peek_header_refuses_bytes_that_are_not_an_event(payload):
    with pytest.raises(InvalidEventError):
        peek_header(payload)

"""The schema of requests: accepted documents, and the named field of each refusal."""

from __future__ import annotations

import json
import math

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import MINT

from cto_worker.domain.operation_request import parse_request, recorded_request, refused_request
from cto_worker.domain.progress_event import Mode, dumps
from cto_worker.errors import InvalidRequestError
from cto_worker.markets.paper.market import PLATFORMS

WALLETS = [base58.b58encode(bytes([number]) * 32).decode() for number in range(1, 60)]
BODY = {"tokenAddress": MINT, "userId": "7", "userChatId": 42, "mode": "standard", "buyAmount": 0.5}


def test_a_body_of_the_required_fields_is_enough():
    request = parse_request(BODY)
    assert (request.buy_lamports, request.mode, request.buyers) == (500_000_000, Mode.STANDARD, 5)


def test_every_field_survives_recording():
    body = BODY | {
        "wallets": WALLETS[:3],
        "platform": "bonk",
        "socketUserId": "9",
        "slippageBps": 0,
    }
    request = parse_request(body)
    assert request.to_document() == body
    assert recorded_request(dumps(request.to_document())) == request


@given(
    st.floats(0.001, 1_000_000),
    st.sampled_from(Mode),
    st.integers(1, 50),
    st.integers(-(2**53) + 1, 2**53 - 1),
)
def test_any_valid_request_survives_recording(amount, mode, count, chat_id):
    body = BODY | {"buyAmount": amount, "mode": mode.value, "walletCount": count, "userChatId": chat_id}
    request = parse_request(body)
    assert recorded_request(dumps(request.to_document())) == request


@pytest.mark.parametrize("amount", [0.1, 0.00005, 1, 1_000_000, 123.456789012])
def test_lamports_are_the_decimal_digits_as_written(amount):
    assert parse_request(BODY | {"buyAmount": amount}).buy_lamports == int(f"{amount:.9f}".replace(".", ""))


HUGE = 10**400
WRONG = {
    "tokenAddress": [None, 5, "", MINT[:-3], MINT + "1111", "0" + MINT[1:], "O" * 43, "l" * 44, "é" * 40],
    "userId": [None, 7, "", "a b", "x" * 65, "../../etc", "7\n", "7\0", "*", "é"],
    "userChatId": [None, "42", 1.5, True, math.nan, 2**53, -(2**53), HUGE],
    "mode": [None, "", "Standard", "both", 1, ["standard"]],
    "buyAmount": [
        None, "0.5", True, False, 0, -0.0, -1, 1e-9, 0.00004, 1_000_000.1, 1e308, HUGE, -HUGE,
        math.nan, math.inf, -math.inf, [], {},
    ],
    "wallets": [None, [], [MINT, MINT], ["x"], [5], "x", WALLETS[:51], [MINT[:-2]], {}, [None]],
    "walletCount": [None, 0, -1, 51, 1.5, "5", True, HUGE],
    "platform": ["", "PUMP", "Pump Fun", "x" * 33, 5, "pump\n", []],
    "socketUserId": ["", "a b", "a/b", 9, "x" * 65],
    "slippageBps": [-1, 10_001, 1.5, "5", True, math.nan],
    "unexpected": [1, None],
    "token_address": [MINT],
    "TokenAddress": [MINT],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_wrong_value_is_refused_by_name(name, value):
    with pytest.raises(InvalidRequestError) as refusal:
        parse_request(BODY | {name: value})
    assert list(refusal.value.fields) == [name]


def test_a_number_without_a_fraction_is_whole():
    request = parse_request(BODY | {"walletCount": 3.0, "userChatId": 42.0})
    assert json.dumps([request.wallet_count, request.user_chat_id]) == "[3, 42]"


@pytest.mark.parametrize("name", sorted(BODY))
def test_a_missing_field_is_refused_by_name(name):
    with pytest.raises(InvalidRequestError) as refusal:
        parse_request({key: value for key, value in BODY.items() if key != name})
    assert list(refusal.value.fields) == [name]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("wallet_count", "walletCount"),
        ("user-id", "userId"),
        ("Slippage_Bps", "slippageBps"),
        ("walletcount", "walletCount"),
    ],
)
def test_the_message_about_a_misspelt_field_suggests_a_field(name, meant):
    with pytest.raises(InvalidRequestError) as refusal:
        parse_request(BODY | {name: 1})
    assert refusal.value.fields == {name: [f"Unknown field: did you mean {meant}?"]}


def test_a_platform_that_the_market_does_not_know_is_refused_with_the_list():
    assert parse_request(BODY | {"platform": "bonk"}, PLATFORMS).platform == "bonk"
    with pytest.raises(InvalidRequestError) as refusal:
        parse_request(BODY | {"platform": "uniswap", "userId": ""}, PLATFORMS)
    known = "Unknown platform: must be one of pumpfun, bonk, raydium."
    assert refusal.value.fields["platform"] == [known]
    assert set(refusal.value.fields) == {"platform", "userId"}, "with all others"


def test_the_messages_about_wallets_name_them():
    with pytest.raises(InvalidRequestError) as refusal:
        parse_request(BODY | {"wallets": [WALLETS[0], MINT, MINT]})
    assert refusal.value.fields == {
        "wallets": [f"Contains the wallet {MINT} 2 times: name each wallet once."]
    }
    with pytest.raises(InvalidRequestError) as refusal:
        parse_request(BODY | {"walletCount": 1, "buyAmount": 1e-9})
    assert refusal.value.fields == {"buyAmount": ["Must be at least 0.00001 SOL for 1 wallet."]}


def test_wallets_and_their_count_exclude_each_other():
    with pytest.raises(InvalidRequestError) as refusal:
        parse_request(BODY | {"wallets": WALLETS[:2], "walletCount": 2})
    assert list(refusal.value.fields) == ["walletCount"]


@pytest.mark.parametrize("document", [None, [], "x", 3, True, [BODY]])
def test_a_document_that_is_not_an_object_is_refused(document):
    with pytest.raises(InvalidRequestError):
        parse_request(document)


def test_a_refused_request_keeps_its_valid_fields():
    request = refused_request(BODY | {"buyAmount": -1, "nonsense": 1})
    assert (request.user_id, request.user_chat_id, request.buy_amount) == ("7", 42, 0)
    assert refused_request(None).user_id == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*WRONG, "extra"]), json_values) | json_values)
def test_no_other_error_is_raised_for_any_document(document):
    fields = None
    try:
        request = parse_request(document)
    except InvalidRequestError as refusal:
        fields = refusal.fields
        refused_request(document)
    else:
        assert recorded_request(dumps(request.to_document())) == request
    assert fields is None or json.dumps(fields) != "{}"

"""Malformed requests are refused with a 4xx, a code and the invalid field, and write nothing to the store."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.samples import MINT

URL = "/api/cto/jobs"


@pytest.fixture(autouse=True)
def nothing_is_stored(store):
    yield
    assert store.keys() == []


def refused(response, status, code):
    assert response.status_code == status, response.text
    error = response.get_json()["error"]
    assert error["code"] == code
    return error


def raw(body, **changes):
    """Return the body as JSON text in which the values of ``changes`` are raw text."""
    text = json.dumps(body | dict.fromkeys(changes, "@@"))
    for value in changes.values():
        text = text.replace('"@@"', value, 1)
    return text


# tests/unit/domain/test_operation_request.py has every wrong value of each field. Here is one of each kind.
WRONG = {
    "wrong type": ("buyAmount", '"0.5"'),
    "null": ("userId", "null"),
    "out of range": ("buyAmount", "1e308"),
    "beyond a float": ("buyAmount", "1e400"),
    "invalid characters": ("userId", '"user\\u0000"'),
    "invalid address": ("tokenAddress", '"abc"'),
    "unknown choice": ("mode", '"both"'),
    "repeated item": ("wallets", f'["{MINT}", "{MINT}"]'),
    "unknown field": ("unknownField", "1"),
}
FIELDS = [
    "buyAmount", "userChatId", "tokenAddress", "userId", "mode", "wallets", "walletCount", "platform",
    "socketUserId", "slippageBps", "unknownField", "TokenAddress",
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_names_its_field(rest, body, field, value):
    response = rest.post(URL, data=raw(body, **{field: value}), content_type="application/json")
    error = refused(response, 400, "invalid_request")
    assert list(error["details"]["fields"]) == [field]


# Python's parser accepts the first three, which JSON does not have. The integer is longer than Python reads.
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1" * 5_000])
def test_a_number_that_cannot_be_read_is_refused(rest, body, value):
    response = rest.post(URL, data=raw(body, buyAmount=value), content_type="application/json")
    refused(response, 400, "invalid_json")


def test_every_missing_field_is_named(rest, body):
    required = {"tokenAddress", "userId", "userChatId", "mode", "buyAmount"}
    rest_of_body = {name: value for name, value in body.items() if name not in required}
    error = refused(rest.post(URL, json=rest_of_body), 400, "invalid_request")
    assert set(error["details"]["fields"]) == required


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", b"{", b"null", b"[]", b"3", b'"x"', b"{}x", b'{"a": 1, "a": 2}', b"\xff\xfe{}",
        b'{"userId": "\\ud800"}', b"[" * 10_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"\xef\xbb\xbf{}",
    ],
)  # fmt: skip
def test_a_body_that_is_not_a_json_object_is_refused(rest, text):
    refused(rest.post(URL, data=text, content_type="application/json"), 400, "invalid_json")


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_another_content_type_is_refused(rest, body, kind):
    refused(rest.post(URL, data=json.dumps(body), content_type=kind), 415, "unsupported_media_type")


@pytest.mark.parametrize("size", [40_000, 10_000_000])
def test_a_body_too_large_is_refused(rest, body, size):
    text = json.dumps(body | {"unknown": "x" * size})
    refused(rest.post(URL, data=text, content_type="application/json"), 413, "body_too_large")


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "ключ", "a\tb"])
def test_a_malformed_idempotency_key_is_refused(rest, body, key):
    headers = {"Idempotency-Key": key.encode().decode("latin-1")}
    refused(rest.post(URL, json=body, headers=headers), 400, "invalid_idempotency_key")


JOB_IDS = ["x" * 129, "a b", "a%00b", "é", "a.b", "%2e%2e", "a:b", "*", "a'b", "<script>", "a\\b", "%0a"]


@pytest.mark.parametrize("job_id", JOB_IDS)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "status"), ("GET", "latest"), ("GET", "events"), ("POST", "cancel")]
)
def test_a_malformed_job_id_is_refused(rest, method, path, job_id):
    error = refused(rest.open(f"/api/cto/job/{job_id}/{path}", method=method), 400, "invalid_job_id")
    assert list(error["details"]["fields"]) == ["jobId"]


QUERIES = {
    "/api/cto/jobs": {
        "limit": ["0", "101", "-1", "x", "", "1.0", "1e1", "٣", " 5", "9" * 30],
        "cursor": ["0", "-1", "x", "", "1.5", "9" * 30, "*"],
        "status": ["", "Waiting", "queued", "all", "*", "waiting,active", "review", "NEEDS_REVIEW"],
        "userId": ["", "a b", "*", "x" * 65],
        "page": ["2"],
    },
    "/api/cto/jobs/stats": {
        "jobIds": ["", ",", "a,", "a b", "a,,b", "*", "x" * 129, ",".join(f"j{n}" for n in range(501))],
        "ids": ["a"],
    },
    "/api/cto/job/j1/events": {"after": ["-1", "x", "", "1.5", "9" * 30, "²", "0x1"], "before": ["3"]},
    "/api/cto/job/j1/status": {"verbose": ["1"]},
    "/api/cto/job/j1/latest": {"after": ["1"]},
}


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [(path, name, value) for path in QUERIES for name in QUERIES[path] for value in QUERIES[path][name]],
)
def test_a_malformed_query_names_its_parameter(rest, path, name, value):
    error = refused(rest.get(path, query_string={name: value}), 400, "invalid_query")
    assert list(error["details"]["fields"]) == [name]


def test_statistics_without_ids_are_refused(rest):
    error = refused(rest.get("/api/cto/jobs/stats"), 400, "invalid_query")
    assert list(error["details"]["fields"]) == ["jobIds"]


def test_a_repeated_parameter_is_refused(rest):
    error = refused(rest.get("/api/cto/jobs?limit=1&limit=2"), 400, "invalid_query")
    assert list(error["details"]["fields"]) == ["limit"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@given(changes=st.dictionaries(st.sampled_from(FIELDS), json_values, min_size=1))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_json_never_breaks_a_view(rest, store, body, changes):
    response = rest.post(URL, json=body | changes)
    assert response.status_code in {202, 400, 413}
    if response.status_code != 202:
        assert store.keys() == []
    store.flushall()


@given(body=st.binary(max_size=300))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_bytes_never_break_a_view(rest, body):
    assert rest.post(URL, data=body, content_type="application/json").status_code == 400

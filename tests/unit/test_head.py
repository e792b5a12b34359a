"""The head of an HTTP request: what is read, and what is refused before anybody can misread it."""

from __future__ import annotations

import pytest

from api.head import MAX_FIELDS, HeadError, fields, request_line


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"GET / HTTP/1.1\r\n", ("GET", "/", "HTTP/1.1")),
        (b"POST /a?b=c%20d HTTP/1.0\n", ("POST", "/a?b=c%20d", "HTTP/1.0")),
        (b"OPTIONS * HTTP/1.1\r\n", ("OPTIONS", "*", "HTTP/1.1")),
        (b"GET /\xe4 HTTP/1.1\r\n", ("GET", "/\xe4", "HTTP/1.1")),
    ],
)
def test_a_request_line_has_three_parts(line, parts):
    assert request_line(line) == parts


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r\n",
        b"GET /\r\n",
        b"GET / HTTP/1.1 \r\n",
        b"GET  / HTTP/1.1\r\n",
        b"GET / HTTP/2.0\r\n",
        b"GET / HTTP/1.10\r\n",
        b"GET /a b HTTP/1.1\r\n",
        b"G{T / HTTP/1.1\r\n",
        b"GET /\0 HTTP/1.1\r\n",
        b"GET /\rX: y HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
    ],
)
def test_what_is_no_request_line_is_refused(line):
    with pytest.raises(HeadError):
        request_line(line)


def read(*lines):
    return fields(iter([*lines, b"\r\n", b"the body"]))


def test_fields_are_found_whatever_the_case_of_their_names_and_in_their_order():
    found = read(
        b"Host: a:80\r\n", b"x-empty:\r\n", b"COOKIE: \t one\t \r\n", b"Cookie: two\n", b"X: \xe4 b\r\n"
    )
    assert found.get("host") == found.get("Host") == "a:80"
    assert found.get("Cookie") == "one", "the first, as eventlet expects"
    assert found.get("x-empty") == ""
    assert found.get("X") == "\xe4 b"
    assert found.get("absent") is None
    assert found.get("absent", "") == ""
    assert [name for name, _ in found._headers] == ["Host", "x-empty", "COOKIE", "Cookie", "X"]


@pytest.mark.parametrize(
    "line",
    [
        b"no field\r\n",
        b": nameless\r\n",
        b"Content-Length : 1\r\n",
        b" Host: folded\r\n",
        b"\tfolded\r\n",
        b"A: b\rC: d\r\n",
        b"A: b\0\r\n",
        b"A\xe4: b\r\n",
        b"A(: b\r\n",
    ],
)
def test_what_is_no_field_is_refused(line):
    """A proxy may have read it otherwise: that is how one request is smuggled in another."""
    with pytest.raises(HeadError):
        read(b"Host: a\r\n", line)


def test_a_head_without_an_end_or_with_too_many_fields_is_refused():
    assert read(*[b"A: b\r\n"] * MAX_FIELDS).get("a") == "b"
    with pytest.raises(HeadError):
        read(*[b"A: b\r\n"] * (MAX_FIELDS + 1))
    with pytest.raises(HeadError):
        fields(iter([b"Host: a\r\n"]))

"""The head of an HTTP request: valid heads are parsed, and ambiguous ones are refused."""

from __future__ import annotations

import json
import time

import pytest

from api.errors import HeadError
from api.server.http_head_parser import (
    MAX_FIELDS,
    error_response,
    parse_fields,
    parse_request_line,
    read_head,
)
from api.server.security_headers import SECURITY_HEADERS


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"GET / HTTP/1.1\r\n", ("GET", "/", "HTTP/1.1")),
        (b"POST /a?b=c%20d HTTP/1.0\n", ("POST", "/a?b=c%20d", "HTTP/1.0")),
        (b"OPTIONS * HTTP/1.1\r\n", ("OPTIONS", "*", "HTTP/1.1")),
        (b"GET / HTTP/1.7\r\n", ("GET", "/", "HTTP/1.1")),
        (b"GET /\xe4 HTTP/1.1\r\n", ("GET", "/\xe4", "HTTP/1.1")),
    ],
)
def test_a_request_line_has_three_parts(line, parts):
    assert parse_request_line(line) == parts


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r\n",
        b"GET /\r\n",
        b"GET / HTTP/1.1 \r\n",
        b"GET  / HTTP/1.1\r\n",
        b"GET / HTTP/2.0\r\n",
        b"get / HTTP/1.1\r\n",
        b"GET /#a HTTP/1.1\r\n",
        b"GET / HTTP/1.10\r\n",
        b"GET /a b HTTP/1.1\r\n",
        b"G{T / HTTP/1.1\r\n",
        b"GET /\0 HTTP/1.1\r\n",
        b"GET /\rX: y HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
    ],
)
def test_an_invalid_request_line_is_refused(line):
    with pytest.raises(HeadError):
        parse_request_line(line)


def read(*lines):
    return parse_fields(iter([*lines, b"\r\n", b"the body"]))


def test_field_names_ignore_case_and_fields_keep_their_order():
    found = read(
        b"Host: a:80\r\n", b"x-empty:\r\n", b"COOKIE: \t one\t \r\n", b"Cookie: two\n", b"X: \xe4 b\r\n"
    )
    assert found.get("host") == found.get("Host") == "a:80"
    assert found.get("Cookie") == "one", "the first one"
    assert found.get("x-empty") == ""
    assert found.get("X") == "\xe4 b"
    assert found.get("absent") is None
    assert found.get("absent", "") == ""
    assert [name for name, _ in found._headers] == ["Host", "x-empty", "COOKIE", "Cookie", "X"]


def test_fields_become_variables_of_the_environment():
    found = read(
        b"Host: a\r\n",
        b"X-A: 1\r\n",
        b"x-a: 2\r\n",
        b"X_A: forged\r\n",
        b"Content-Type: text/html\r\n",
        b"content-type: text/plain\r\n",
        b"Content-Length: 3\r\n",
    )
    assert found.variables() == {
        "HTTP_HOST": "a",
        "HTTP_X_A": "1,2",
        "CONTENT_TYPE": "text/html",
        "CONTENT_LENGTH": "3",
    }


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
        b"A: \x1b[31m\r\n",
        b"A\xe4: b\r\n",
        b"A(: b\r\n",
    ],
)
def test_an_invalid_field_is_refused(line):
    """A proxy may parse it differently, which makes request smuggling possible."""
    with pytest.raises(HeadError):
        read(b"Host: a\r\n", line)


CONNECTIONS = {
    ("HTTP/1.1",): (False, None),
    ("HTTP/1.1", "close"): (True, "close"),
    ("HTTP/1.1", "TE , CLOSE"): (True, "close"),
    ("HTTP/1.1", "TE", "close"): (True, "close"),
    ("HTTP/1.1", "TE", "Keep-Alive"): (False, "keep-alive"),
    ("HTTP/1.1", "TE"): (False, ""),
    ("HTTP/1.0",): (True, None),
    ("HTTP/1.0", "TE"): (True, "close"),
    ("HTTP/1.0", "TE", "keep-alive"): (False, "keep-alive"),
    ("HTTP/1.0", "close", "keep-alive"): (True, "close"),
}


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_the_end_of_a_connection_follows_from_all_connection_fields(connection):
    version, *values = connection
    lines = [b"Host: a\r\n", *(f"Connection: {value}\r\n".encode() for value in values), b"\r\n"]
    head = read_head(f"GET / {version}\r\n".encode(), lines)
    assert (head.closes, head.fields.get("Connection")) == CONNECTIONS[connection]
    assert [value for name, value in head.fields._headers if name == "Connection"] == values


def test_the_host_of_an_absolute_target_replaces_the_field():
    lines = [b"A: b\r\n", b"host: evil.example\r\n", b"\r\n"]
    head = read_head(b"GET http://a:80//b?c HTTP/1.1\r\n", lines)
    assert head.target == "/b?c"
    assert head.fields.get("Host") == "a:80"
    assert head.fields._headers == [("A", "b"), ("Host", "a:80")]


def test_a_long_line_is_matched_in_linear_time():
    """A pattern that backtracks at each character takes a tenth of a second for such a line."""
    begun_s = time.process_time()
    for _ in range(100):
        with pytest.raises(HeadError):
            read(b"X: " + b" " * 8_000 + b"\0\r\n")
    assert time.process_time() - begun_s < 5


def test_the_response_to_a_refused_head_is_json_and_has_no_body_for_head():
    error = HeadError("too long: 'é\r\n'", 414)
    head, body = error_response(error, b"GET / HTTP/1.1\r\n").split(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "HTTP/1.1 414 URI Too Long"
    own = {"Date", "Content-Type", "Content-Length", "Connection", "Cache-Control"}
    assert {line.split(":")[0] for line in lines} == own | {name for name, _ in SECURITY_HEADERS}
    assert f"Content-Length: {len(body)}" in lines
    assert json.loads(body) == {"success": False, "error": {"code": "uri_too_long", "message": str(error)}}
    assert error_response(error, b"HEAD / HTTP/1.1\r\n").endswith(b"\r\n\r\n")


def test_a_head_without_an_end_or_with_too_many_fields_is_refused():
    assert read(*[b"A: b\r\n"] * MAX_FIELDS).get("a") == "b"
    with pytest.raises(HeadError):
        read(*[b"A: b\r\n"] * (MAX_FIELDS + 1))
    with pytest.raises(HeadError):
        parse_fields(iter([b"Host: a\r\n"]))

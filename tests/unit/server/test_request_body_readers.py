"""A chunked body is decoded whatever its chunks, and an early end is an error."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.server.request_body_readers import ChunkError, Chunks

AFTER = b"GET / HTTP/1.1\r\n"


def chunked(parts):
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@given(parts=st.lists(st.binary(min_size=1, max_size=40)), size=st.integers(1, 100))
def test_a_body_is_decoded_and_nothing_after_it_is_read(parts, size):
    file = io.BytesIO(chunked(parts) + AFTER)
    body = io.BufferedReader(Chunks(file), buffer_size=size)
    assert b"".join(iter(lambda: body.read(size), b"")) == b"".join(parts)
    assert body.read(size) == b"", "again"
    assert file.read() == AFTER


@given(parts=st.lists(st.binary(min_size=1, max_size=40)), data=st.data())
def test_a_body_that_is_cut_off_is_an_error(parts, data):
    whole = chunked(parts)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ChunkError):
        io.BufferedReader(Chunks(io.BytesIO(whole[:cut]))).read()


def test_lines_are_read_across_chunks():
    body = io.BufferedReader(Chunks(io.BytesIO(chunked([b"a", b"b\nc", b"d"]))))
    assert body.readlines() == [b"ab\n", b"cd"]


def test_an_invalid_body_stays_invalid():
    body = Chunks(io.BytesIO(b"3\r\nabc\r\nno size\r\n2\r\n{}\r\n0\r\n\r\n"))
    assert body.read(3) == b"abc"
    for _ in range(2):
        with pytest.raises(ChunkError):
            body.read(10)

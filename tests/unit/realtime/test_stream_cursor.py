"""The id of a user's stream: what it says, and that it stays small."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.samples import FIRST_EVENT

from api.realtime.stream_cursor import MAX_JOBS, StreamCursor
from api.relay.encoded_event import EncodedEvent
from cto_worker.domain.events import Status, encode


def frame(job_id, seq, status=Status.IN_PROGRESS):
    return EncodedEvent(encode(replace(FIRST_EVENT, job_id=job_id, seq=seq, status=status)))


def test_it_names_the_open_jobs_and_the_newest_last():
    position = StreamCursor()
    assert str(position) == "-"
    for one in [frame("a", 1), frame("b", 1), frame("a", 2), frame("c", 1)]:
        assert position.move(one)
    assert str(position) == "a:2,b:1,c:1"
    position.move(frame("b", 2, Status.COMPLETED))
    assert str(position) == "a:2,c:1", "what has ended has no place in it"
    position.move(frame("c", 2, Status.COMPLETED))
    assert str(position) == "a:2,c:2", "but the newest, which says what is newer"
    position.move(frame("d", 1))
    assert str(position) == "a:2,d:1"


def test_what_comes_again_is_not_new_even_after_the_end():
    position = StreamCursor([("a", 3)])
    assert not position.move(frame("a", 3))
    assert position.move(frame("a", 4, Status.FAILED))
    assert not position.move(frame("a", 2))
    assert not position.move(frame("a", 4, Status.FAILED))


@pytest.mark.parametrize("text", ["-", "a:1", "a:2,b-_9:13", "x" * 128 + ":999999999999999"])
def test_a_text_is_read_as_it_was_written(text):
    assert str(StreamCursor.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "7", "a", "a:", ":1", "a:-1", "a:1,", "a:1, b:2", "a:1\n", "ä:1", "a:١", "a:1;b:2"]
)
def test_what_is_none_is_refused(text):
    assert StreamCursor.parse(text) is None


def test_it_fits_into_a_header_whatever_a_user_has_open():
    position = StreamCursor()
    for number in range(3 * MAX_JOBS):
        position.move(frame(f"{number:0128}", 10**6))
    assert len(str(position)) < 8_000
    assert str(position).endswith(f"{3 * MAX_JOBS - 1:0128}:1000000")
    assert StreamCursor.parse(str(position))
    assert StreamCursor.parse(",".join(["a:1"] * (MAX_JOBS + 1))) is None

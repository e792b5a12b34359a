"""The id of a user's stream: its content, and its maximum size."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.samples import FIRST_EVENT

from api.realtime.user_stream_cursor import MAX_JOBS, UserStreamCursor
from api.relay.encoded_event import EncodedEvent
from cto_worker.domain.progress_event import Status, encode


def make_event(job_id, seq, status=Status.IN_PROGRESS):
    return EncodedEvent(encode(replace(FIRST_EVENT, job_id=job_id, seq=seq, status=status)))


def test_it_names_the_unfinished_jobs_and_the_newest_last():
    cursor = UserStreamCursor()
    assert str(cursor) == "-"
    for event in [make_event("a", 1), make_event("b", 1), make_event("a", 2), make_event("c", 1)]:
        assert cursor.advance(event)
    assert str(cursor) == "a:2,b:1,c:1"
    cursor.advance(make_event("b", 2, Status.COMPLETED))
    assert str(cursor) == "a:2,c:1", "ended jobs are omitted"
    cursor.advance(make_event("c", 2, Status.COMPLETED))
    assert str(cursor) == "a:2,c:2", "except the newest job, which the next jobs are newer than"
    cursor.advance(make_event("d", 1))
    assert str(cursor) == "a:2,d:1"


def test_a_repeated_event_is_not_new_even_after_the_end():
    cursor = UserStreamCursor([("a", 3)])
    assert not cursor.advance(make_event("a", 3))
    assert cursor.advance(make_event("a", 4, Status.FAILED))
    assert not cursor.advance(make_event("a", 2))
    assert not cursor.advance(make_event("a", 4, Status.FAILED))


@pytest.mark.parametrize("text", ["-", "a:1", "a:2,b-_9:13", "x" * 128 + ":999999999999999"])
def test_a_text_is_parsed_to_the_same_cursor(text):
    assert str(UserStreamCursor.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "7", "a", "a:", ":1", "a:-1", "a:1,", "a:1, b:2", "a:1\n", "ä:1", "a:١", "a:1;b:2"]
)
def test_an_invalid_text_is_refused(text):
    assert UserStreamCursor.parse(text) is None


def test_it_fits_into_a_header_however_many_jobs_a_user_has():
    cursor = UserStreamCursor()
    for number in range(3 * MAX_JOBS):
        cursor.advance(make_event(f"{number:0128}", 10**6))
    assert len(str(cursor)) < 8_000
    assert str(cursor).endswith(f"{3 * MAX_JOBS - 1:0128}:1000000")
    assert UserStreamCursor.parse(str(cursor))
    assert UserStreamCursor.parse(",".join(["a:1"] * (MAX_JOBS + 1))) is None

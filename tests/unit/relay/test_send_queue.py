"""What waits for a client: in order, bounded, and merged before it is dropped."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest
from support.samples import FIRST_EVENT
from support.waiting import wait_until

from api.relay.encoded_event import (
    EncodedEvent,
    server_sent_event,
    socketio_message,
    text_frame,
    websocket_message,
)
from api.relay.send_queue import MAX_BYTES, WRITE_BYTES, SendQueue, flush
from cto_worker.domain.events import Details, Status, encode
from cto_worker.observability.metrics import REGISTRY


def frame(seq, phase=4, job_id="j1", status=Status.IN_PROGRESS, bulk=0):
    details = Details(current_operation="x" * bulk)
    return EncodedEvent(
        encode(replace(FIRST_EVENT, job_id=job_id, seq=seq, phase=phase, status=status, details=details))
    )


def drained(send_queue):
    flush()
    taken = []
    while items := send_queue.take():
        taken += items
    return taken


def test_what_is_put_is_taken_in_order_and_once():
    send_queue, frames = SendQueue(), [frame(seq) for seq in range(1, 50)]
    for one in frames:
        send_queue.put_frame(one)
    assert drained(send_queue) == frames
    assert send_queue.take() == []


def test_nothing_is_taken_beyond_the_end():
    send_queue = SendQueue()
    send_queue.put("a")
    send_queue.put(None)
    send_queue.put("b")
    assert send_queue.take() == ["a"]
    assert send_queue.take() == []
    assert send_queue.ends_now()


def test_one_write_takes_so_many_items_or_bytes_at_most():
    send_queue = SendQueue()
    for seq in range(1, 21):
        send_queue.put_frame(frame(seq, bulk=WRITE_BYTES // 10))
    assert len(send_queue.take(3)) == 3
    assert len(send_queue.take()) == 10


def test_a_reader_that_waits_is_woken():
    send_queue, taken = SendQueue(), []
    subscriber = threading.Thread(target=lambda: send_queue.wait() and taken.extend(send_queue.take()))
    subscriber.start()
    send_queue.put("a")
    subscriber.join(5)
    assert taken == ["a"]


def test_waiting_ends_in_time_with_nothing():
    assert not SendQueue().wait(0.01)


def test_a_full_outbox_merges_what_is_between_the_first_and_the_last_of_a_phase():
    before = REGISTRY.get_sample_value("cto_gateway_events_merged_total")
    send_queue = SendQueue(pytest.fail)
    bulk = MAX_BYTES // 100
    reporter = [frame(1, 1), frame(2, 2), frame(3, 3), *(frame(seq, bulk=bulk) for seq in range(4, 120))]
    reporter.append(frame(120, 5, status=Status.COMPLETED))
    other = [frame(1, 1, "j2"), frame(2, 5, "j2", Status.FAILED)]
    for one in [other[0], *reporter, other[1]]:
        send_queue.put_frame(one)
    taken = drained(send_queue)
    left = [one.seq for one in taken if one.job_id == "j1"]
    assert left == sorted(left)
    assert {1, 2, 3, 4, 119, 120} <= set(left), "no phase is skipped, and the latest is there"
    assert [one.seq for one in taken if one.job_id == "j2"] == [1, 2]
    assert REGISTRY.get_sample_value("cto_gateway_events_merged_total") - before == 122 - len(taken) > 50


def test_an_outbox_that_cannot_be_merged_drops_its_client_once_and_keeps_nothing():
    dropped, before = [], REGISTRY.get_sample_value("cto_gateway_clients_dropped_total")
    send_queue = SendQueue(lambda: dropped.append(1))
    for number in range(300):
        send_queue.put_frame(frame(1, job_id=f"j{number}", bulk=MAX_BYTES // 100))
    assert dropped == [1]
    assert send_queue.take() == []
    assert REGISTRY.get_sample_value("cto_gateway_clients_dropped_total") == before + 1
    send_queue.put(None)
    assert send_queue.ends_now(), "its writer still learns that it is over"


def test_a_form_is_made_once():
    one, made = frame(1), []

    def render(frame):
        made.append(frame)
        return b"form"

    assert one.form(render) == one.form(render) == b"form"
    assert made == [one]


@pytest.mark.parametrize(("size", "head"), [(1, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_a_text_frame_tells_its_length(size, head):
    framed = text_frame(b"x" * size)
    assert len(framed) == head + size
    assert framed[0] == 0x81
    told = framed[1] if head == 2 else int.from_bytes(framed[2:head], "big")
    assert told == size


def test_every_form_holds_the_event_as_the_worker_wrote_it():
    one = frame(7)
    event = json.loads(one.payload)
    assert json.loads(one.form(socketio_message).partition(b"42")[2]) == ["worker_progress", event]
    plain = one.form(websocket_message)
    assert json.loads(plain[plain.index(b"{") :]) == {"type": "worker_progress", "event": event}
    lines = server_sent_event(one).decode().split("\n")
    assert lines[:2] == ["event: worker_progress", f"data: {one.payload.decode()}"]
    assert lines[2:] == ["", ""]


def test_long_answers_to_a_client_that_reads_nothing_are_bounded_too():
    drops = []
    send_queue = SendQueue(lambda: drops.append(1))
    for _ in range(MAX_BYTES // 100_000 + 2):
        send_queue.put(b"x" * 100_000)
    assert drops == [1]
    assert drained(send_queue) == []


class Pipe:
    """A connection that takes so many bytes at once, and a reader that is started when it takes no more."""

    def __init__(self, room):
        self.room, self.written, self.started = room, b"", 0
        self.send_queue = SendQueue(pytest.fail)
        self.send_queue.begin(self.write_now, self.start)

    def write_now(self):
        waiting = b"".join(
            item if isinstance(item, bytes) else item.form(socketio_message)
            for item in self.send_queue.take()
        )
        taken, left = waiting[: self.room], waiting[self.room :]
        self.room -= len(taken)
        self.written += taken
        return left

    def start(self):
        self.started += 1


def test_what_a_connection_takes_at_once_wakes_nobody():
    pipe = Pipe(10**9)
    for seq in range(1, 11):
        pipe.send_queue.put_frame(frame(seq))
    flush()
    assert pipe.written == b"".join(frame(seq).form(socketio_message) for seq in range(1, 11))
    assert pipe.started == 0


def test_what_it_does_not_take_is_left_in_order_for_a_reader_that_is_started_once():
    pipe, whole = Pipe(100), b"".join(frame(seq).form(socketio_message) for seq in (1, 2, 3))
    for seq in (1, 2, 3):
        pipe.send_queue.put_frame(frame(seq))
        flush()
    assert pipe.started == 1
    pipe.room = 10**9
    assert pipe.write_now() == b""
    assert pipe.written == whole


def test_partial_writes_do_not_lift_the_bound():
    for _ in range(20):
        pipe = Pipe(10_000)
        pipe.send_queue.put_frame(frame(1, bulk=100_000))
        flush()
        pipe.room = 10**9
        pipe.write_now()
        assert pipe.send_queue._bytes == 0


def test_many_flushes_wake_a_reader_once():
    """Else a lock would be released that nobody has taken, and whoever comes after it stay unserved."""
    send_queue, other, woken = SendQueue(), SendQueue(), []
    subscribers = [
        threading.Thread(target=lambda one=one: woken.append(one.wait())) for one in (send_queue, other)
    ]
    for subscriber in subscribers:
        subscriber.start()
    wait_until(lambda: send_queue.sleeps and other.sleeps)
    for one in (send_queue, other, send_queue):
        one.put_frame(frame(1))
        one.flush()
    flush()
    for subscriber in subscribers:
        subscriber.join(5)
    assert woken == [True, True]


def test_one_that_cannot_be_sent_to_keeps_nobody_from_the_others(caplog):
    def broken():
        raise KeyError("nobody foresaw it")

    fine = Pipe(10**9)
    bad = SendQueue()
    bad.begin(broken, broken)
    for send_queue in (bad, fine.send_queue, bad):
        send_queue.put_frame(frame(1))
    flush()
    assert fine.written
    assert "could not be sent" in caplog.text

"""The send queue keeps the order, is bounded, and merges events before it drops its client."""

from __future__ import annotations

import json
import threading

import pytest
from msgspec.structs import replace
from support.samples import FIRST_EVENT
from support.waiting import wait_until

from api.relay.encoded_event import (
    EncodedEvent,
    server_sent_event,
    socketio_message,
    websocket_message,
)
from api.relay.send_queue import MAX_BYTES, MAX_WRITE_BYTES, SendQueue, flush
from api.relay.websocket_frame_encoder import text_frame
from cto_worker.domain.progress_event import Details, Status, encode
from cto_worker.observability.metric_definitions import REGISTRY


def make_event(seq, phase=4, job_id="j1", status=Status.IN_PROGRESS, bulk=0):
    details = Details(current_operation="x" * bulk)
    return EncodedEvent(
        encode(replace(FIRST_EVENT, job_id=job_id, seq=seq, phase=phase, status=status, details=details))
    )


def drained(send_queue):
    flush()
    drained = []
    while items := send_queue.dequeue():
        drained += items
    return drained


def test_items_are_dequeued_once_and_in_order():
    send_queue, events = SendQueue(), [make_event(seq) for seq in range(1, 50)]
    for event in events:
        send_queue.put_event(event)
    assert drained(send_queue) == events
    assert send_queue.dequeue() == []


def test_items_after_the_end_are_not_dequeued():
    send_queue = SendQueue()
    send_queue.put("a")
    send_queue.put(None)
    send_queue.put("b")
    assert send_queue.dequeue() == ["a"]
    assert send_queue.dequeue() == []
    assert send_queue.drained_to_end()


def test_one_write_is_limited_in_items_and_bytes():
    send_queue = SendQueue()
    for seq in range(1, 21):
        send_queue.put_event(make_event(seq, bulk=MAX_WRITE_BYTES // 10))
    assert len(send_queue.dequeue(3)) == 3
    assert len(send_queue.dequeue()) == 10


def test_a_waiting_consumer_is_woken():
    send_queue, items = SendQueue(), []
    consumer = threading.Thread(target=lambda: send_queue.wait() and items.extend(send_queue.dequeue()))
    consumer.start()
    send_queue.put("a")
    consumer.join(5)
    assert items == ["a"]


def test_wait_returns_after_its_timeout():
    assert not SendQueue().wait(0.01)


def test_a_full_queue_merges_the_events_between_the_first_and_the_last_of_a_phase():
    before = REGISTRY.get_sample_value("cto_gateway_events_merged_total")
    send_queue = SendQueue(pytest.fail)
    bulk = MAX_BYTES // 100
    events = [
        make_event(1, 1),
        make_event(2, 2),
        make_event(3, 3),
        *(make_event(seq, bulk=bulk) for seq in range(4, 120)),
    ]
    events.append(make_event(120, 5, status=Status.COMPLETED))
    other = [make_event(1, 1, "j2"), make_event(2, 5, "j2", Status.FAILED)]
    for event in [other[0], *events, other[1]]:
        send_queue.put_event(event)
    kept = drained(send_queue)
    seqs = [event.seq for event in kept if event.job_id == "j1"]
    assert seqs == sorted(seqs)
    assert {1, 2, 3, 4, 119, 120} <= set(seqs), "no phase is skipped, and the latest event is kept"
    assert [event.seq for event in kept if event.job_id == "j2"] == [1, 2]
    assert REGISTRY.get_sample_value("cto_gateway_events_merged_total") - before == 122 - len(kept) > 50


def test_a_queue_that_stays_too_large_drops_its_client_once_and_keeps_no_item():
    dropped, before = [], REGISTRY.get_sample_value("cto_gateway_clients_dropped_total")
    send_queue = SendQueue(lambda: dropped.append(1))
    for number in range(300):
        send_queue.put_event(make_event(1, job_id=f"j{number}", bulk=MAX_BYTES // 100))
    assert dropped == [1]
    assert send_queue.dequeue() == []
    assert REGISTRY.get_sample_value("cto_gateway_clients_dropped_total") == before + 1
    send_queue.put(None)
    assert send_queue.drained_to_end(), "the writer still sees the end"


def test_a_wire_format_is_rendered_once():
    event, calls = make_event(1), []

    def render(event):
        calls.append(event)
        return b"text"

    assert event.rendered(render) == event.rendered(render) == b"text"
    assert calls == [event]


@pytest.mark.parametrize(("size", "head"), [(1, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_a_text_frame_contains_its_length(size, head):
    framed = text_frame(b"x" * size)
    assert len(framed) == head + size
    assert framed[0] == 0x81
    length = framed[1] if head == 2 else int.from_bytes(framed[2:head], "big")
    assert length == size


def test_every_wire_format_contains_the_event_as_the_worker_encoded_it():
    event = make_event(7)
    fields = json.loads(event.payload)
    assert json.loads(event.rendered(socketio_message).partition(b"42")[2]) == ["worker_progress", fields]
    plain = event.rendered(websocket_message)
    assert json.loads(plain[plain.index(b"{") :]) == {"type": "worker_progress", "event": fields}
    lines = server_sent_event(event).decode().split("\n")
    assert lines[:2] == ["event: worker_progress", f"data: {event.payload.decode()}"]
    assert lines[2:] == ["", ""]


def test_long_answers_to_a_client_that_does_not_read_are_bounded_too():
    drops = []
    send_queue = SendQueue(lambda: drops.append(1))
    for _ in range(MAX_BYTES // 100_000 + 2):
        send_queue.put(b"x" * 100_000)
    assert drops == [1]
    assert drained(send_queue) == []


class Pipe:
    """A connection whose buffer has ``space`` bytes left. It counts the starts of a writer."""

    def __init__(self, space):
        self.space, self.written, self.started = space, b"", 0
        self.send_queue = SendQueue(pytest.fail)
        self.send_queue.switch_to_direct_writes(self.write_now, self.start)

    def write_now(self):
        data = b"".join(
            item if isinstance(item, bytes) else item.rendered(socketio_message)
            for item in self.send_queue.dequeue()
        )
        written, left = data[: self.space], data[self.space :]
        self.space -= len(written)
        self.written += written
        return left

    def start(self):
        self.started += 1


def test_a_direct_write_starts_no_writer():
    pipe = Pipe(10**9)
    for seq in range(1, 11):
        pipe.send_queue.put_event(make_event(seq))
    flush()
    assert pipe.written == b"".join(make_event(seq).rendered(socketio_message) for seq in range(1, 11))
    assert pipe.started == 0


def test_bytes_that_do_not_fit_are_left_in_order_for_a_writer_that_is_started_once():
    pipe, whole = Pipe(100), b"".join(make_event(seq).rendered(socketio_message) for seq in (1, 2, 3))
    for seq in (1, 2, 3):
        pipe.send_queue.put_event(make_event(seq))
        flush()
    assert pipe.started == 1
    pipe.space = 10**9
    assert pipe.write_now() == b""
    assert pipe.written == whole


def test_partial_writes_do_not_lift_the_bound():
    for _ in range(20):
        pipe = Pipe(10_000)
        pipe.send_queue.put_event(make_event(1, bulk=100_000))
        flush()
        pipe.space = 10**9
        pipe.write_now()
        assert pipe.send_queue._bytes == 0


def test_many_flushes_wake_a_consumer_once():
    """A second release of the lock would raise an error, and the queues after it would not be flushed."""
    send_queue, other, woken = SendQueue(), SendQueue(), []
    consumers = [
        threading.Thread(target=lambda waiting=waiting: woken.append(waiting.wait()))
        for waiting in (send_queue, other)
    ]
    for consumer in consumers:
        consumer.start()
    wait_until(lambda: send_queue.has_waiter and other.has_waiter)
    for flushed in (send_queue, other, send_queue):
        flushed.put_event(make_event(1))
        flushed.flush()
    flush()
    for consumer in consumers:
        consumer.join(5)
    assert woken == [True, True]


def test_an_error_of_one_queue_does_not_affect_the_others(caplog):
    def broken():
        raise KeyError("unexpected")

    fine = Pipe(10**9)
    bad = SendQueue()
    bad.switch_to_direct_writes(broken, broken)
    for send_queue in (bad, fine.send_queue, bad):
        send_queue.put_event(make_event(1))
    flush()
    assert fine.written
    assert "could not be sent" in caplog.text

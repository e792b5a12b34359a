"""The queue that Engine.IO is given for each client."""

from __future__ import annotations

import queue
import threading

import pytest
from examples import FIRST_EVENT
from waiting import wait_until

from api.engine import PacketQueue
from api.frames import Frame
from api.outbox import flush
from cto_worker.events import encode

FRAME = Frame(encode(FIRST_EVENT))


def test_a_writer_may_sleep_longer_than_a_poll_while_writes_are_done_for_it():
    """Engine.IO takes an empty queue for a client that is gone, and closes its connection."""
    packets, got, written = PacketQueue(), [], []
    packets.begin(lambda: written.extend(packets.take()) or b"", pytest.fail)

    def writer():
        try:
            got.append(packets.get(timeout=0.1))
        except queue.Empty:
            got.append("closed")

    thread = threading.Thread(target=writer)
    thread.start()
    wait_until(lambda: packets.sleeps)
    for _ in range(3):
        packets.put_frame(FRAME)
        flush()
        thread.join(0.1)
    assert written == [FRAME] * 3
    assert got == []
    packets._write_now = packets._start = None
    packets.put(None)
    thread.join(5)
    assert got == [None]


def test_a_poll_that_nothing_comes_for_ends():
    with pytest.raises(queue.Empty):
        PacketQueue().get(timeout=0.01)


def test_a_second_poll_beside_a_first_is_refused():
    packets, got = PacketQueue(), []
    first = threading.Thread(target=lambda: got.append(packets.get(timeout=5)))
    first.start()
    wait_until(lambda: packets.sleeps)
    with pytest.raises(queue.Empty):
        packets.get(timeout=5)
    packets.put(None)
    first.join(5)
    assert got == [None]

"""The queue that Engine.IO is given for each client."""

from __future__ import annotations

import queue
import threading

import pytest
from waiting import wait_until

from api.engine import PacketQueue


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

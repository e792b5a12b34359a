"""The semaphore serves waiting threads in the order of their arrival."""

from __future__ import annotations

import threading

import pytest
from support.waiting import wait_until

from api.errors import RoomError
from api.limits.fifo_semaphore import FifoSemaphore


def test_slots_are_limited_and_given_in_order():
    slots, leave = FifoSemaphore(2, timeout_s=30), [threading.Event() for _ in range(8)]
    inside, order = set(), []

    def visit(number):
        with slots.slot():
            inside.add(number)
            order.append(number)
            leave[number].wait(30)
            inside.discard(number)

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=visit, args=[number]))
        threads[-1].start()
        wait_until(lambda number=number: number in inside if number < 2 else waiting(slots) == number - 1)
    for number in range(8):
        assert inside <= set(order[-2:])
        assert len(inside) == min(2, 8 - number)
        leave[number].set()
        wait_until(lambda number=number: number not in inside and len(order) == min(8, number + 3))
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def waiting(slots):
    return len(slots._waiting)


def test_a_thread_that_waits_too_long_fails_and_keeps_no_slot():
    slots = FifoSemaphore(1, timeout_s=0.01)
    with slots.slot():
        for _ in range(3):
            with pytest.raises(RoomError) as refusal, slots.slot():
                pass
            assert refusal.value.code == "busy"
    with slots.slot(), pytest.raises(RoomError), slots.slot():
        pass


def test_a_slot_is_free_after_an_error():
    slots = FifoSemaphore(1, timeout_s=0)
    with pytest.raises(ValueError, match="no"), slots.slot():
        raise ValueError("no")
    with slots.slot():
        pass

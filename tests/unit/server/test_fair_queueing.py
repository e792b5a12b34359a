"""Pacing: the requests of one caller keep their order, and are interleaved with those of others."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

from support.waiting import wait_until

from api.server import fair_queueing
from api.server.fair_queueing import FairQueue

QUANTUM = 4


def test_a_caller_that_sends_few_requests_never_waits():
    queue = FairQueue(QUANTUM)
    for _ in range(QUANTUM):
        queue.wait("user:A")
    for number in range(100):
        queue.wait(f"user:{number}")
    assert not queue._waiting


def test_a_flood_is_served_in_order_and_does_not_delay_others(monkeypatch):
    monkeypatch.setattr(fair_queueing, "TICK_S", 60)
    round_ends, rounds = threading.Semaphore(0), []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: round_ends.acquire(timeout=30))
    monkeypatch.setattr(fair_queueing, "time", clock)
    queue, started = FairQueue(QUANTUM), []
    threading.Thread(target=queue.run, daemon=True).start()
    for _ in range(QUANTUM):
        queue.wait("user:A")
    threads = []
    for number in range(3 * QUANTUM):
        threads.append(threading.Thread(target=lambda n=number: (queue.wait("user:A"), started.append(n))))
        threads[-1].start()
        wait_until(lambda number=number: len(queue._waiting.get("user:A", ())) == number + 1)
    queue.wait("user:B")
    assert not started
    while queue._waiting:
        round_ends.release()
        rounds.append(len(rounds))
        wait_until(lambda: len(started) == QUANTUM * len(rounds))

    for thread in threads:
        thread.join()
    assert len(rounds) == 3
    for each in range(3):
        part = started[each * QUANTUM : (each + 1) * QUANTUM]
        assert sorted(part) == list(range(each * QUANTUM, (each + 1) * QUANTUM))

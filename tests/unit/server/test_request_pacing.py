"""Pacing: the requests of one caller keep their order, and are interleaved with those of others."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

from support.waiting import wait_until

from api.server import request_pacing
from api.server.request_pacing import Pacer

QUANTUM = 4


def test_a_caller_that_sends_few_requests_never_waits():
    pacer = Pacer(QUANTUM)
    for _ in range(QUANTUM):
        pacer.wait("user:A")
    for number in range(100):
        pacer.wait(f"user:{number}")
    assert not pacer._waiting


def test_a_flood_is_served_in_order_and_does_not_delay_others(monkeypatch):
    monkeypatch.setattr(request_pacing, "TICK_S", 60)
    round_ends, rounds = threading.Semaphore(0), []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: round_ends.acquire(timeout=30))
    monkeypatch.setattr(request_pacing, "time", clock)
    pacer, started = Pacer(QUANTUM), []
    threading.Thread(target=pacer.run, daemon=True).start()
    for _ in range(QUANTUM):
        pacer.wait("user:A")
    threads = []
    for number in range(3 * QUANTUM):
        threads.append(threading.Thread(target=lambda n=number: (pacer.wait("user:A"), started.append(n))))
        threads[-1].start()
        wait_until(lambda number=number: len(pacer._waiting.get("user:A", ())) == number + 1)
    pacer.wait("user:B")
    assert not started
    while pacer._waiting:
        round_ends.release()
        rounds.append(len(rounds))
        wait_until(lambda: len(started) == QUANTUM * len(rounds))

    for thread in threads:
        thread.join()
    assert len(rounds) == 3
    for each in range(3):
        part = started[each * QUANTUM : (each + 1) * QUANTUM]
        assert sorted(part) == list(range(each * QUANTUM, (each + 1) * QUANTUM))

"""Requests in flight: how many, of whom, and in which order they are worked on."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
from support.waiting import wait_until

from api.errors import RateLimitedError
from api.rest import in_flight
from api.rest.in_flight import AT_ONCE, EACH_AT_ONCE, EACH_IN_FLIGHT, SERVICE_AT_ONCE, InFlight


def test_each_caller_has_so_many_in_flight_and_no_more():
    tested = InFlight()
    with ExitStack() as requests:
        for _ in range(EACH_IN_FLIGHT):
            requests.enter_context(tested.admitted("user:A"))
        with pytest.raises(RateLimitedError, match=str(EACH_IN_FLIGHT)), tested.admitted("user:A"):
            pass
        with tested.admitted("user:B"):
            pass
        for _ in range(2 * EACH_IN_FLIGHT):
            requests.enter_context(tested.admitted("service", service=True))
    assert not tested._callers, "it forgets who has none"
    with tested.admitted("user:A"):
        pass


class Crowd:
    """Requests of one caller, each in a thread, that are worked on until they may end."""

    def __init__(self, tested, name, count, *, service=False):
        self.working, self.ends = [], threading.Event()
        self.threads = [
            threading.Thread(target=self.work, args=[tested, name, service]) for _ in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def work(self, tested, name, service):
        with tested.admitted(name, service=service), tested.turn(name):
            self.working.append(name)
            self.ends.wait(30)

    def end(self):
        self.ends.set()
        for thread in self.threads:
            thread.join()


def test_one_caller_keeps_nobody_else_waiting():
    tested = InFlight()
    crowds = [
        Crowd(tested, "user:A", EACH_IN_FLIGHT),
        Crowd(tested, "service", EACH_IN_FLIGHT, service=True),
    ]
    try:
        wait_until(lambda: [len(crowd.working) for crowd in crowds] == [EACH_AT_ONCE, SERVICE_AT_ONCE])
        with tested.admitted("user:B"), tested.turn("user:B"):
            assert [len(crowd.working) for crowd in crowds] == [EACH_AT_ONCE, SERVICE_AT_ONCE]
    finally:
        for crowd in crowds:
            crowd.end()
    assert [len(crowd.working) for crowd in crowds] == [EACH_IN_FLIGHT] * 2


def test_all_callers_together_are_bounded(monkeypatch):
    monkeypatch.setattr(in_flight, "EACH_AT_ONCE", AT_ONCE // 2)
    tested = InFlight()
    crowds = [Crowd(tested, f"user:{number}", AT_ONCE // 2) for number in range(3)]
    try:
        wait_until(lambda: sum(len(crowd.working) for crowd in crowds) == AT_ONCE)
        wait_until(lambda: len(tested._all._waiting) == AT_ONCE // 2)
        assert sum(len(crowd.working) for crowd in crowds) == AT_ONCE
    finally:
        for crowd in crowds:
            crowd.end()

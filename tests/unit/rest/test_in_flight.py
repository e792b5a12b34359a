"""Requests in flight: their number per caller, and the order in which they run."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
from support.waiting import wait_until

from api.errors import RateLimitedError
from api.rest import in_flight
from api.rest.in_flight import AT_ONCE, EACH_AT_ONCE, EACH_IN_FLIGHT, SERVICE_AT_ONCE, InFlight
from cto_worker.observability.metrics import REGISTRY


def test_the_requests_in_flight_of_each_caller_are_limited():
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
    assert not tested._callers, "callers without requests are removed"
    with tested.admitted("user:A"):
        pass


class Crowd:
    """Requests of one caller, each in a thread, that run until :meth:`end`."""

    def __init__(self, tested, name, count, *, service=False):
        self.running, self.may_end = [], threading.Event()
        self.threads = [
            threading.Thread(target=self.work, args=[tested, name, service]) for _ in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def work(self, tested, name, service):
        with tested.admitted(name, service=service), tested.slot(name):
            self.running.append(name)
            self.may_end.wait(30)

    def end(self):
        self.may_end.set()
        for thread in self.threads:
            thread.join()


def test_one_caller_does_not_delay_another():
    tested = InFlight()
    crowds = [
        Crowd(tested, "user:A", EACH_IN_FLIGHT),
        Crowd(tested, "service", EACH_IN_FLIGHT, service=True),
    ]
    try:
        wait_until(lambda: [len(crowd.running) for crowd in crowds] == [EACH_AT_ONCE, SERVICE_AT_ONCE])
        with tested.admitted("user:B"), tested.slot("user:B"):
            assert [len(crowd.running) for crowd in crowds] == [EACH_AT_ONCE, SERVICE_AT_ONCE]
    finally:
        for crowd in crowds:
            crowd.end()
    assert [len(crowd.running) for crowd in crowds] == [EACH_IN_FLIGHT] * 2


def test_a_caller_whose_own_requests_are_slow_is_rate_limited(monkeypatch):
    monkeypatch.setattr(in_flight, "SLOT_TIMEOUT_S", 0.01)
    refused = REGISTRY.get_sample_value("cto_gateway_refused_total", {"reason": "busy"})
    tested = InFlight()
    crowd = Crowd(tested, "user:A", EACH_AT_ONCE)
    try:
        wait_until(lambda: len(crowd.running) == EACH_AT_ONCE)
        with (
            tested.admitted("user:A"),
            pytest.raises(RateLimitedError, match="send fewer") as limited,
            tested.slot("user:A"),
        ):
            pass
    finally:
        crowd.end()
    assert limited.value.retry_after_s == in_flight.RETRY_AFTER_S
    assert REGISTRY.get_sample_value("cto_gateway_refused_total", {"reason": "busy"}) == refused


def test_all_callers_together_are_bounded(monkeypatch):
    monkeypatch.setattr(in_flight, "EACH_AT_ONCE", AT_ONCE // 2)
    tested = InFlight()
    crowds = [Crowd(tested, f"user:{number}", AT_ONCE // 2) for number in range(3)]
    try:
        wait_until(lambda: sum(len(crowd.running) for crowd in crowds) == AT_ONCE)
        wait_until(lambda: len(tested._all._waiting) == AT_ONCE // 2)
        assert sum(len(crowd.running) for crowd in crowds) == AT_ONCE
    finally:
        for crowd in crowds:
            crowd.end()

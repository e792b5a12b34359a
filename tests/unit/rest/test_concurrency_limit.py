"""The REST requests that run at the same time, of each caller and of all."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from support.waiting import wait_until

from api.errors import RateLimitedError
from api.rest import concurrency_limit
from api.rest.concurrency_limit import (
    MAX_RUNNING,
    MAX_RUNNING_OF_SERVICE,
    MAX_RUNNING_PER_CALLER,
    ConcurrencyLimit,
)


def test_a_caller_is_asked_to_send_fewer_requests_when_its_own_take_too_long(monkeypatch):
    monkeypatch.setattr(concurrency_limit, "WAIT_S", 0.01)
    tested = ConcurrencyLimit()
    crowd = Crowd(tested, "user:A", MAX_RUNNING_PER_CALLER)
    try:
        wait_until(lambda: len(crowd.running) == MAX_RUNNING_PER_CALLER)
        with pytest.raises(RateLimitedError, match="send fewer"), slot(tested, "user:A"):
            pass
        with slot(tested, "user:B"):
            pass
    finally:
        crowd.end()
    assert not tested._callers, "callers without requests are removed"


MANY = 100


@contextmanager
def slot(tested, name, **options):
    release = tested.acquire(name, **options)
    try:
        yield
    finally:
        release()


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
        with slot(tested, name, service=service):
            self.running.append(name)
            self.may_end.wait(30)

    def end(self):
        self.may_end.set()
        for thread in self.threads:
            thread.join()


def test_one_caller_does_not_delay_another():
    tested = ConcurrencyLimit()
    crowds = [Crowd(tested, "user:A", MANY), Crowd(tested, "service", MANY, service=True)]
    full = [MAX_RUNNING_PER_CALLER, MAX_RUNNING_OF_SERVICE]
    try:
        wait_until(lambda: [len(crowd.running) for crowd in crowds] == full)
        with slot(tested, "user:B"):
            assert [len(crowd.running) for crowd in crowds] == full
    finally:
        for crowd in crowds:
            crowd.end()
    assert [len(crowd.running) for crowd in crowds] == [MANY] * 2


def test_all_callers_together_are_bounded():
    tested = ConcurrencyLimit(each=MAX_RUNNING // 2)
    crowds = [Crowd(tested, f"user:{number}", MAX_RUNNING // 2) for number in range(3)]
    try:
        wait_until(lambda: sum(len(crowd.running) for crowd in crowds) == MAX_RUNNING)
        wait_until(lambda: len(tested._all._waiting) == MAX_RUNNING // 2)
        assert sum(len(crowd.running) for crowd in crowds) == MAX_RUNNING
    finally:
        for crowd in crowds:
            crowd.end()

"""What many connections send, and nobody waits for."""

from __future__ import annotations

import select
import socket
from functools import partial

import pytest

from api.server.poller import Poller


@pytest.fixture
def poller():
    with select.epoll() as epoll:
        yield Poller(epoll, lambda answer: answer())


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_it_calls_as_long_as_something_is_there_and_not_once_it_is_told_not_to(poller, pair):
    (ours, theirs), rung = pair, []
    poller.watch(ours.fileno(), lambda: rung.append(1))
    poller.ring()
    assert rung == []
    theirs.send(b"x")
    poller.ring()
    poller.ring()
    assert len(rung) == 2
    poller.unwatch(ours.fileno())
    poller.ring()
    assert len(rung) == 2
    poller.watch(ours.fileno(), lambda: rung.append(1))
    poller.ring()
    assert len(rung) == 3


def test_it_tells_an_end(poller, pair):
    (ours, theirs), read = pair, []
    poller.watch(ours.fileno(), lambda: read.append(ours.recv(10)))
    theirs.close()
    poller.ring()
    assert read == [b""]


def test_one_that_breaks_is_left_alone_and_the_others_are_served(poller, pair, caplog):
    (ours, theirs), served = pair, []

    def breaks():
        raise KeyError("nobody foresaw it")

    poller.watch(ours.fileno(), breaks)
    poller.watch(theirs.fileno(), partial(served.append, 1))
    for one in (ours, theirs):
        one.send(b"x")
    poller.ring()
    poller.ring()
    assert caplog.text.count("a connection broke") == 1
    assert len(served) == 2

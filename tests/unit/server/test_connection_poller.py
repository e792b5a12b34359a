"""The poller calls back when connections can be read."""

from __future__ import annotations

import select
import socket
from functools import partial

import pytest

from api.server.connection_poller import ConnectionPoller


@pytest.fixture
def poller():
    with select.epoll() as epoll:
        yield ConnectionPoller(epoll, lambda callback: callback())


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_it_calls_while_bytes_are_unread_and_not_after_unwatch(poller, pair):
    (ours, theirs), calls = pair, []
    poller.watch(ours.fileno(), lambda: calls.append(1))
    poller.poll()
    assert calls == []
    theirs.send(b"x")
    poller.poll()
    poller.poll()
    assert len(calls) == 2
    poller.unwatch(ours.fileno())
    poller.poll()
    assert len(calls) == 2
    poller.watch(ours.fileno(), lambda: calls.append(1))
    poller.poll()
    assert len(calls) == 3


def test_it_calls_at_the_end_of_a_connection(poller, pair):
    (ours, theirs), read = pair, []
    poller.watch(ours.fileno(), lambda: read.append(ours.recv(10)))
    theirs.close()
    poller.poll()
    assert read == [b""]


def test_an_error_of_one_callback_stops_only_that_callback(poller, pair, caplog):
    (ours, theirs), served = pair, []

    def fail():
        raise KeyError("unexpected")

    poller.watch(ours.fileno(), fail)
    poller.watch(theirs.fileno(), partial(served.append, 1))
    for connection in (ours, theirs):
        connection.send(b"x")
    poller.poll()
    poller.poll()
    assert caplog.text.count("unexpected error in a connection's callback") == 1
    assert len(served) == 2

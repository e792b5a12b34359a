"""The front, with gateways that do nothing but take connections."""

from __future__ import annotations

import socket
import tempfile
import threading
from pathlib import Path

import pytest
from waiting import assert_stays, wait_until

from api import front as front_module
from api.front import FIRST_LINE_BYTES, Front, open_door
from api.listeners import HandedListener


@pytest.fixture
def door():
    with tempfile.TemporaryDirectory(prefix="cto-") as directory:
        yield Path(directory) / "front.sock"


@pytest.fixture
def front(door):
    """A front that runs; its address."""
    listener, opened = socket.create_server(("127.0.0.1", 0)), open_door(door)
    running, ends = Front(listener, opened), threading.Event()

    def run():
        while not ends.is_set():
            running.run_once(0.02)

    thread = threading.Thread(target=run)
    thread.start()
    yield listener.getsockname()
    ends.set()
    thread.join()
    running.close()


class Gateway:
    """Takes what it is handed, and answers with its number."""

    def __init__(self, door, number):
        self.number, self.load = number, 0
        self.listener = HandedListener(door, number, lambda: self.load)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setblocking(True)
            with connection:
                connection.recv(100_000)
                connection.sendall(b"%d" % self.number)

    def close(self):
        self.listener.close()
        self.thread.join(5)


@pytest.fixture
def gateways(door, front):
    """Start gateways: ``gateways(1, 2)``; wait until the front knows them."""
    started = []

    def start(*numbers):
        for number in numbers:
            started.append(Gateway(door, number))
            wait_until(lambda number=number: ask(front, sid(number)) == number)
        return started[-len(numbers) :]

    yield start
    for gateway in started:
        gateway.close()


def sid(number):
    return f"GET /socket.io/?EIO=4&transport=polling&sid={number}.abc HTTP/1.1\r\n"


def ask(address, *parts):
    """Send a request, part by part, and return the number of the gateway that answers."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part.encode())
            threading.Event().wait(0.05 if len(parts) > 1 else 0)
        answer = connection.recv(10)
    return int(answer) if answer else None


def test_a_session_is_found_and_the_rest_is_shared(front, gateways):
    gateways(1, 2)
    for number in (1, 2, 2, 1):
        assert ask(front, sid(number)) == number
    assert {ask(front, "GET / HTTP/1.1\r\n") for _ in range(6)} == {1, 2}


def test_a_first_line_may_come_in_parts(front, gateways):
    gateways(1, 2)
    for number in (2, 1, 2):
        line = sid(number)
        assert ask(front, line[:30], line[30:-8], line[-8:]) == number


def test_a_first_line_without_an_end_is_given_to_somebody(front, gateways):
    gateways(1)
    assert ask(front, "GET /?" + "a" * FIRST_LINE_BYTES) == 1


def test_sessions_of_a_gateway_that_is_gone_are_told_so_by_another(front, gateways):
    first, _ = gateways(1, 2)
    first.close()
    wait_until(lambda: ask(front, sid(1)) == 2)
    assert {ask(front, "GET / HTTP/1.1\r\n") for _ in range(6)} == {2}


def test_new_sessions_go_to_whom_has_least(front, gateways):
    busy, _ = gateways(1, 2)
    busy.load = 1_000
    wait_until(lambda: {ask(front, "GET / HTTP/1.1\r\n") for _ in range(6)} == {2})
    assert ask(front, sid(1)) == 1


def test_who_comes_before_any_gateway_waits_for_it(front, door, gateways):
    answers = []
    early = threading.Thread(target=lambda: answers.append(ask(front, "GET / HTTP/1.1\r\n")))
    early.start()
    assert_stays(lambda: not answers, 0.2)
    gateways(1)
    early.join()
    assert answers == [1]


def test_who_says_nothing_is_let_go(front, gateways, monkeypatch):
    monkeypatch.setattr(front_module, "FIRST_LINE_S", 0.2)
    gateways(1)
    with socket.create_connection(front, timeout=5) as silent:
        assert silent.recv(1) == b""


def test_too_many_who_say_nothing_push_each_other_out(front, gateways, monkeypatch):
    monkeypatch.setattr(front_module, "MOST_WAITING", 20)
    gateways(1)
    silent = [socket.create_connection(front, timeout=5) for _ in range(60)]
    assert silent[0].recv(1) == b""
    assert ask(front, "GET / HTTP/1.1\r\n") == 1
    for connection in silent:
        connection.close()


def test_the_door_is_for_this_user_only(door, front):
    assert door.stat().st_mode & 0o077 == 0

"""The front, with gateways that do nothing but take connections."""

from __future__ import annotations

import os
import resource
import socket
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.waiting import assert_stays, wait_until

from api.server import dispatcher as front_module
from api.server.dispatcher import FIRST_LINE_BYTES, ConnectionDispatcher, open_door
from api.server.listeners import REPORT, DispatchedListener


@pytest.fixture
def door():
    with tempfile.TemporaryDirectory(prefix="cto-") as directory:
        yield Path(directory) / "front.sock"


@pytest.fixture
def most_waiting():
    return 4_000


@pytest.fixture
def front(door, most_waiting):
    """A front that runs; its address."""
    listener, opened = socket.create_server(("127.0.0.1", 0), backlog=1_000), open_door(door)
    running, ends = ConnectionDispatcher(listener, opened, most_waiting), threading.Event()

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
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.listener = DispatchedListener(door, number, lambda: self.load)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.goes_on.wait(20)
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


@pytest.fixture
def clients(front):
    """Connect so many clients, which send the same: ``clients(10, "GET / ")``."""
    made = []

    def clients(count, text):
        made.extend(socket.create_connection(front, timeout=20) for _ in range(count))
        for client in made[-count:]:
            client.sendall(text.encode())
        return made[-count:]

    yield clients
    for client in made:
        client.close()


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


def test_an_empty_line_before_the_first_is_skipped(front, gateways):
    gateways(1, 2)
    for number in (2, 1, 2):
        assert ask(front, "\r\n" + sid(number)) == number
        assert ask(front, "\r", "\n", sid(number)) == number


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


def test_a_gateway_that_takes_nothing_in_gets_the_rest_when_it_does(gateways, clients):
    """Its link holds fewer than 300 connections."""
    (stuck,) = gateways(1)
    stuck.goes_on.clear()
    asking = clients(400, "GET / HTTP/1.1\r\n")
    with idle():
        threading.Event().wait(1)
    stuck.goes_on.set()
    assert {client.recv(10) for client in asking} == {b"1"}


@contextmanager
def idle():
    """The processor time that everything here takes in the block must be next to nothing."""
    before_s, began_s = time.process_time(), time.monotonic()
    yield
    assert time.process_time() - before_s < (time.monotonic() - began_s) / 10


def test_who_waits_costs_nothing(gateways, clients):
    """Half first lines, and whole ones for which no gateway is there."""
    slow, ready = clients(200, "GET / "), clients(50, "GET / HTTP/1.1\r\n")
    with idle():
        threading.Event().wait(1)
    gateways(1)
    for client in slow:
        client.sendall(b"HTTP/1.1\r\n")
    assert {client.recv(10) for client in slow + ready} == {b"1"}


def test_who_ends_within_its_first_line_is_let_go(gateways, clients):
    gateways(1)
    (client,) = clients(1, "GET / ")
    threading.Event().wait(0.1)
    client.shutdown(socket.SHUT_WR)
    assert_ends(client)


def assert_ends(client):
    """Its first line was not read, of which it may be told, too."""
    client.settimeout(3)
    with suppress(ConnectionResetError):
        assert client.recv(1) == b""


def test_a_gateway_gets_a_connection_as_if_it_had_accepted_it(door, clients):
    """The front changes when a first line in parts wakes it."""
    listener = DispatchedListener(door, 1, lambda: 0)
    (client,) = clients(1, "GET / ")
    threading.Event().wait(0.1)
    client.sendall(b"HTTP/1.1\r\n")
    connection, _ = listener.accept()
    with connection:
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1
    listener.close()
    with pytest.raises(OSError, match="closed"):
        listener.accept()


@contextmanager
def no_descriptors():
    """Leave this process no file descriptor for the length of the block."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.dup(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe + 20, before[1]))
    taken = [probe]
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_without_descriptors_the_front_goes_on_and_does_not_spin(front, door):
    client, gateway = socket.socket(), socket.socket(socket.AF_UNIX)
    with client, gateway, no_descriptors():
        client.connect(front)
        gateway.connect(str(door))
        client.sendall(b"GET / HTTP/1.1\r\n")
        gateway.sendall(REPORT.pack(1))
        with idle():
            threading.Event().wait(0.5)
    with socket.create_connection(front) as client, socket.socket(socket.AF_UNIX) as gateway:
        gateway.connect(str(door))
        gateway.sendall(REPORT.pack(1))
        client.sendall(b"GET / HTTP/1.1\r\n")
        sign, descriptors, _, _ = socket.recv_fds(gateway, 1, 1)
        os.close(*descriptors)
        assert sign == b"+"


def test_without_descriptors_who_waits_longest_makes_room(front, door):
    silent, late = socket.socket(), socket.socket()
    with silent, late:
        silent.connect(front)
        silent.sendall(b"GET / ")
        threading.Event().wait(0.1)
        with no_descriptors():
            late.connect(front)
            assert_ends(silent)


def test_who_says_nothing_is_let_go(front, gateways, monkeypatch):
    monkeypatch.setattr(front_module, "FIRST_LINE_S", 0.2)
    gateways(1)
    with socket.create_connection(front, timeout=5) as silent:
        assert silent.recv(1) == b""


@pytest.mark.parametrize("most_waiting", [20])
def test_too_many_who_say_nothing_push_each_other_out(front, gateways):
    gateways(1)
    silent = [socket.create_connection(front, timeout=5) for _ in range(60)]
    assert silent[0].recv(1) == b""
    assert ask(front, "GET / HTTP/1.1\r\n") == 1
    for connection in silent:
        connection.close()


def test_the_door_is_for_this_user_only(door, front):
    assert door.stat().st_mode & 0o077 == 0

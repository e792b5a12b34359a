"""The dispatcher, with gateways that only accept connections."""

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

from api.server import dispatcher as dispatcher_module
from api.server.connection_sources import REPORT, DispatchedListener
from api.server.dispatcher import FIRST_LINE_BYTES, ConnectionDispatcher, listen_for_gateways


@pytest.fixture
def path():
    with tempfile.TemporaryDirectory(prefix="cto-") as directory:
        yield Path(directory) / "dispatcher.sock"


@pytest.fixture
def max_waiting():
    return 4_000


@pytest.fixture
def dispatcher(path, max_waiting):
    """The address of a running dispatcher."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1_000)
    dispatcher, stop = (
        ConnectionDispatcher(listener, listen_for_gateways(path), max_waiting),
        threading.Event(),
    )

    def run():
        while not stop.is_set():
            dispatcher.run_once(0.02)

    thread = threading.Thread(target=run)
    thread.start()
    yield listener.getsockname()
    stop.set()
    thread.join()
    dispatcher.close()


class Gateway:
    """Accepts connections, and answers with its number."""

    def __init__(self, path, number):
        self.number, self.load = number, 0
        self.may_serve = threading.Event()
        self.may_serve.set()
        self.listener = DispatchedListener(path, number, lambda: self.load)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.may_serve.wait(20)
            connection.setblocking(True)
            with connection:
                connection.recv(100_000)
                connection.sendall(b"%d" % self.number)

    def close(self):
        self.listener.close()
        self.thread.join(5)


@pytest.fixture
def gateways(path, dispatcher):
    """Start gateways, such as ``gateways(1, 2)``, and wait until they are connected to the dispatcher."""
    started = []

    def start(*numbers):
        for number in numbers:
            started.append(Gateway(path, number))
            wait_until(lambda number=number: request(dispatcher, sid(number)) == number)
        return started[-len(numbers) :]

    yield start
    for gateway in started:
        gateway.close()


@pytest.fixture
def clients(dispatcher):
    """Connect clients that all send the same text, such as ``clients(10, "GET / ")``."""
    connected = []

    def clients(count, text):
        connected.extend(socket.create_connection(dispatcher, timeout=20) for _ in range(count))
        for client in connected[-count:]:
            client.sendall(text.encode())
        return connected[-count:]

    yield clients
    for client in connected:
        client.close()


def sid(number):
    return f"GET /socket.io/?EIO=4&transport=polling&sid={number}.abc HTTP/1.1\r\n"


def request(address, *parts):
    """Send a request, part by part. Return the number of the gateway that answers."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part.encode())
            threading.Event().wait(0.05 if len(parts) > 1 else 0)
        answer = connection.recv(10)
    return int(answer) if answer else None


def test_a_session_is_found_and_other_requests_are_distributed(dispatcher, gateways):
    gateways(1, 2)
    for number in (1, 2, 2, 1):
        assert request(dispatcher, sid(number)) == number
    assert {request(dispatcher, "GET / HTTP/1.1\r\n") for _ in range(6)} == {1, 2}


def test_a_first_line_may_come_in_parts(dispatcher, gateways):
    gateways(1, 2)
    for number in (2, 1, 2):
        line = sid(number)
        assert request(dispatcher, line[:30], line[30:-8], line[-8:]) == number


def test_an_empty_line_before_the_first_is_skipped(dispatcher, gateways):
    gateways(1, 2)
    for number in (2, 1, 2):
        assert request(dispatcher, "\r\n" + sid(number)) == number
        assert request(dispatcher, "\r", "\n", sid(number)) == number


def test_a_first_line_without_an_end_goes_to_any_gateway(dispatcher, gateways):
    gateways(1)
    assert request(dispatcher, "GET /?" + "a" * FIRST_LINE_BYTES) == 1


def test_sessions_of_a_stopped_gateway_go_to_another(dispatcher, gateways):
    first, _ = gateways(1, 2)
    first.close()
    wait_until(lambda: request(dispatcher, sid(1)) == 2)
    assert {request(dispatcher, "GET / HTTP/1.1\r\n") for _ in range(6)} == {2}


def test_new_sessions_go_to_the_gateway_with_the_lowest_load(dispatcher, gateways):
    busy, _ = gateways(1, 2)
    busy.load = 1_000
    wait_until(lambda: {request(dispatcher, "GET / HTTP/1.1\r\n") for _ in range(6)} == {2})
    assert request(dispatcher, sid(1)) == 1


def test_a_connection_waits_for_the_first_gateway(dispatcher, gateways):
    answers = []
    early = threading.Thread(target=lambda: answers.append(request(dispatcher, "GET / HTTP/1.1\r\n")))
    early.start()
    assert_stays(lambda: not answers, 0.2)
    gateways(1)
    early.join()
    assert answers == [1]


def test_a_gateway_that_accepts_slowly_gets_the_connections_later(gateways, clients):
    """The buffer of its link has space for fewer than 300 connections."""
    (stuck,) = gateways(1)
    stuck.may_serve.clear()
    waiting = clients(400, "GET / HTTP/1.1\r\n")
    with idle():
        threading.Event().wait(1)
    stuck.may_serve.set()
    assert {client.recv(10) for client in waiting} == {b"1"}


@contextmanager
def idle():
    """Assert that this process uses almost no processor time in the block."""
    before_s, start_s = time.process_time(), time.monotonic()
    yield
    assert time.process_time() - before_s < (time.monotonic() - start_s) / 10


def test_waiting_connections_cost_no_processor_time(gateways, clients):
    """Some have sent half of a first line, others all of it while no gateway is connected."""
    slow, ready = clients(200, "GET / "), clients(50, "GET / HTTP/1.1\r\n")
    with idle():
        threading.Event().wait(1)
    gateways(1)
    for client in slow:
        client.sendall(b"HTTP/1.1\r\n")
    assert {client.recv(10) for client in slow + ready} == {b"1"}


def test_a_connection_that_ends_within_its_first_line_is_closed(gateways, clients):
    gateways(1)
    (client,) = clients(1, "GET / ")
    threading.Event().wait(0.1)
    client.shutdown(socket.SHUT_WR)
    assert_ends(client)


def assert_ends(client):
    """Assert that a connection ends. A reset is possible, for its first line was not read."""
    client.settimeout(3)
    with suppress(ConnectionResetError):
        assert client.recv(1) == b""


def test_a_gateway_gets_a_connection_as_if_it_had_accepted_it(path, clients):
    """The dispatcher changes an option of the socket while a first line is incomplete."""
    listener = DispatchedListener(path, 1, lambda: 0)
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
    """Use up the file descriptors of this process during the block."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.dup(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe + 20, before[1]))
    used = [probe]
    try:
        while True:
            used.append(os.dup(0))
    except OSError:
        yield
    finally:
        for descriptor in used:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_without_descriptors_the_front_continues_and_does_not_spin(dispatcher, path):
    client, gateway = socket.socket(), socket.socket(socket.AF_UNIX)
    with client, gateway, no_descriptors():
        client.connect(dispatcher)
        gateway.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\n")
        gateway.sendall(REPORT.pack(1))
        with idle():
            threading.Event().wait(0.5)
    with socket.create_connection(dispatcher) as client, socket.socket(socket.AF_UNIX) as gateway:
        gateway.connect(str(path))
        gateway.sendall(REPORT.pack(1))
        client.sendall(b"GET / HTTP/1.1\r\n")
        data, descriptors, _, _ = socket.recv_fds(gateway, 1, 1)
        os.close(*descriptors)
        assert data == b"+"


def test_without_descriptors_the_oldest_connection_is_closed(dispatcher):
    silent, late = socket.socket(), socket.socket()
    with silent, late:
        silent.connect(dispatcher)
        silent.sendall(b"GET / ")
        threading.Event().wait(0.1)
        with no_descriptors():
            late.connect(dispatcher)
            assert_ends(silent)


def test_a_silent_connection_is_closed(dispatcher, gateways, monkeypatch):
    monkeypatch.setattr(dispatcher_module, "FIRST_LINE_S", 0.2)
    gateways(1)
    with socket.create_connection(dispatcher, timeout=5) as silent:
        assert silent.recv(1) == b""


@pytest.mark.parametrize("max_waiting", [20])
def test_with_too_many_silent_connections_the_oldest_are_closed(dispatcher, gateways):
    gateways(1)
    silent = [socket.create_connection(dispatcher, timeout=5) for _ in range(60)]
    assert silent[0].recv(1) == b""
    assert request(dispatcher, "GET / HTTP/1.1\r\n") == 1
    for connection in silent:
        connection.close()


def test_only_this_user_can_open_the_socket(path, dispatcher):
    assert path.stat().st_mode & 0o077 == 0

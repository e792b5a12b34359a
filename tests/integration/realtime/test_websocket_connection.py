"""Clients of ``/ws`` on real sockets, a real poller and a real relay. Threads stand for green threads."""

from __future__ import annotations

import select
import socket
import threading
import time

import pytest
from flask import Flask
from support.waiting import wait_until

from api.auth.caller import Caller, Role
from api.auth.tokens import EXPIRED
from api.realtime.websocket_connection import PING_INTERVAL_S, SILENCE_TIMEOUT_S, WebSocketClients
from api.realtime.websocket_route import _Upgraded
from api.relay.send_queue import MAX_WRITE_BYTES
from api.relay.websocket_frame_encoder import text_frame
from api.server.connection_poller import ConnectionPoller
from api.server.websocket_transport import WebSocketEngine

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
PING, PONG, CLOSE_1008 = b"\x89\x00", b"\x8a\x80\0\0\0\0", b"\x88\x0f\x03\xf0token_expired"
LONG = text_frame(b"x" * MAX_WRITE_BYTES)


class Connection:
    """A connection like eventlet's: it waits for a limited time, and its ``fd`` does not wait."""

    def __init__(self, waiting):
        self._waiting, self.fd = waiting, waiting.dup()
        self.fd.setblocking(False)

    def __getattr__(self, name):
        return getattr(self._waiting, name)

    def close(self):
        self._waiting.close()
        self.fd.close()


class Served:
    """The clients of a gateway, and the far ends of their connections."""

    def __init__(self, service, epoll):
        self.threads, self.theirs = [], []
        self.poller = ConnectionPoller(epoll, lambda callback: callback())
        self.clients = WebSocketClients(
            service, WebSocketEngine(self._detach, self.poller, self._spawn), 32_768
        )

    def _detach(self, _):
        ours, theirs = socket.socketpair()
        theirs.settimeout(20)
        self.theirs.append(theirs)
        return Connection(ours)

    def _spawn(self, function):
        self.threads.append(threading.Thread(target=function, daemon=True))
        self.threads[-1].start()

    def connect(self):
        return self.clients.connect(Caller(Role.USER, "7"))

    def open(self):
        """Return a new client, and the far end of its connection after the handshake."""
        client = self.connect()
        client.open({}, ANSWER)
        assert self.theirs[-1].recv(len(ANSWER)) == ANSWER
        return client, self.theirs[-1]

    def running(self):
        return [thread for thread in self.threads if thread.is_alive()]


@pytest.fixture
def served(service):
    with select.epoll() as epoll:
        served = Served(service, epoll)
        yield served
        for theirs in served.theirs:
            theirs.close()
        served.poller.poll()
        wait_until(lambda: not served.running())
        assert len(served.clients) == 0


def send_text(theirs, text):
    theirs.sendall(b"\x81" + bytes((0x80 | len(text),)) + bytes(4) + text)


def read(theirs, size):
    """Read this number of bytes, or to the end of the connection."""
    data = b""
    while len(data) < size and (more := theirs.recv(size - len(data))):
        data += more
    return data


def test_an_idle_client_needs_no_thread(served):
    client, theirs = served.open()
    send_text(theirs, b'{"type":"join","room":"user_7"}')
    served.poller.poll()
    joined = text_frame(b'{"type":"joined","room":"user_7"}')
    assert read(theirs, len(joined)) == joined
    assert client.rooms
    assert served.threads == []


def test_a_client_that_was_slow_once_needs_no_thread_later(served):
    client, theirs = served.open()
    for _ in range(2):
        for _ in range(8):
            client.put(LONG)
        assert served.running(), "the socket is full"
        assert read(theirs, 8 * len(LONG)) == 8 * LONG
        wait_until(lambda: not served.running())
    assert len(served.threads) == 2
    client.put(b"later")
    assert read(theirs, 5) == b"later"
    assert len(served.threads) == 2


def test_a_client_is_pinged_and_stays_connected_while_it_answers(served):
    client, theirs = served.open()
    opened_s = time.monotonic()
    assert not client.keep_alive(opened_s + PING_INTERVAL_S - 1)
    assert client.keep_alive(opened_s + PING_INTERVAL_S)
    assert not client.keep_alive(opened_s + PING_INTERVAL_S + 1), "it has been pinged"
    assert read(theirs, 2) == PING
    wait_until(lambda: time.monotonic() > opened_s + 0.1)
    theirs.sendall(PONG)
    served.poller.poll()
    client.keep_alive(opened_s + 0.1 + SILENCE_TIMEOUT_S)
    served.poller.poll()
    assert len(served.clients) == 1
    client.keep_alive(time.monotonic() + SILENCE_TIMEOUT_S)
    served.poller.poll()
    wait_until(lambda: len(served.clients) == 0)


def test_a_client_is_not_disconnected_while_its_message_is_handled(served):
    client, theirs = served.open()
    late = []

    def answer(*_):
        late.append(client.keep_alive(time.monotonic() + SILENCE_TIMEOUT_S))

    client.handle_message = answer
    send_text(theirs, b"{}")
    served.poller.poll()
    assert late
    served.poller.poll()
    assert len(served.clients) == 1


def test_a_ping_does_not_wait_behind_all_queued_items(served):
    client, theirs = served.open()
    for _ in range(10):
        client.put(LONG)
    assert client.has_items
    assert client.keep_alive(time.monotonic() + PING_INTERVAL_S)
    sent = read(theirs, 10 * len(LONG) + len(PING))
    assert sent.replace(PING, b"", 1) == 10 * LONG
    assert sent.index(PING) < 9 * len(LONG)


def test_a_client_whose_token_ends_before_its_handshake_is_answered_is_closed(served):
    client = served.connect()
    client.close(EXPIRED)
    client.open({}, ANSWER)
    (theirs,) = served.theirs
    sent = read(theirs, 10_000)
    assert sent.startswith(ANSWER)
    assert sent.endswith(CLOSE_1008)


def test_a_connection_that_cannot_be_opened_does_not_count(served, service):
    def fail(_):
        raise OSError("unexpected")

    served.clients.engine = WebSocketEngine(fail, served.poller, served._spawn)
    client = served.connect()
    assert service.connections._by_user
    with Flask("api").app_context(), pytest.raises(OSError, match="unexpected"):
        _Upgraded(client, ANSWER)({}, None)
    assert not service.connections._by_user


def test_bytes_of_the_client_do_not_delay_the_close_frame(served):
    """A client that still sends gets everything, the close frame included, and not a reset."""
    client, theirs = served.open()
    client.close(EXPIRED)
    theirs.sendall(b"unread" * 1_000)
    assert read(theirs, 10_000).endswith(CLOSE_1008)
    assert len(served.clients) == 1, "until the client closes"

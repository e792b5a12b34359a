"""Who is let in, and when, without a server."""

from __future__ import annotations

import threading

import pytest
from support.waiting import wait_until

from api.errors import RoomError
from api.limits.fair_semaphore import FairSemaphore
from api.realtime.connection_limits import (
    MAX_ADDRESSES,
    SILENT_TICKS,
    AddressRateLimiter,
    ConnectionLimitMiddleware,
    UnjoinedSessionReaper,
)
from cto_worker.observability.metrics import REGISTRY


def test_turns_are_bounded_and_taken_in_order():
    turns, leave = FairSemaphore(2), [threading.Event() for _ in range(8)]
    inside, order = set(), []

    def visit(number):
        with turns.slot(timeout_s=30):
            inside.add(number)
            order.append(number)
            leave[number].wait(30)
            inside.discard(number)

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=visit, args=[number]))
        threads[-1].start()
        wait_until(lambda number=number: number in inside if number < 2 else waiting(turns) == number - 1)
    for number in range(8):
        assert inside <= set(order[-2:])
        assert len(inside) == min(2, 8 - number)
        leave[number].set()
        wait_until(lambda number=number: number not in inside and len(order) == min(8, number + 3))
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def waiting(turns):
    return len(turns._waiting)


def test_who_waits_too_long_is_told_so_and_takes_no_turn_with_him():
    turns = FairSemaphore(1)
    with turns.slot():
        for _ in range(3):
            with pytest.raises(RoomError) as refusal, turns.slot(timeout_s=0.01):
                pass
            assert refusal.value.code == "busy"
    with turns.slot(timeout_s=0), pytest.raises(RoomError), turns.slot(timeout_s=0.01):
        pass


def test_a_turn_that_fails_is_over():
    turns = FairSemaphore(1)
    with pytest.raises(ValueError, match="no"), turns.slot():
        raise ValueError("no")
    with turns.slot(timeout_s=0):
        pass


class Session:
    """An Engine.IO session, as far as the watch knows it."""

    def __init__(self):
        self.closed = self.dropped = False
        self.queue = self

    def drop(self):
        self.dropped = True

    def close(self, *, wait, abort):
        self.closed = abort and not wait


class Engine:
    """An Engine.IO server, as far as the watch knows it."""

    def __init__(self):
        self.sockets = {}
        self.handlers = {"connect": self.sockets.setdefault}

    def on(self, name, handler):
        self.handlers[name] = handler


class Server:
    """A Socket.IO server and its manager."""

    def __init__(self):
        self.eio, self.manager, self.joined, self.environ = Engine(), self, set(), {}

    def sid_from_eio_sid(self, eio_sid, namespace):
        return eio_sid if (eio_sid, namespace) in self.joined else None


def test_only_sessions_that_are_never_used_are_closed():
    server = Server()
    watch, before = (
        UnjoinedSessionReaper(server, "/"),
        REGISTRY.get_sample_value("cto_gateway_refused_total", {"reason": "silent"}),
    )
    used, silent, late = Session(), Session(), Session()
    server.eio.handlers["connect"]("used", used)
    server.eio.handlers["connect"]("silent", silent)
    for tick in range(SILENT_TICKS):
        watch.tick()
        assert not silent.closed
        if tick == 3:
            server.joined.add(("used", "/"))
            server.eio.handlers["connect"]("late", late)
    watch.tick()
    assert (used.closed, silent.closed, late.closed) == (False, True, False)
    assert silent.dropped, "its connection too"
    assert REGISTRY.get_sample_value("cto_gateway_refused_total", {"reason": "silent"}) == before + 1


def test_a_session_that_has_left_is_closed_too():
    server = Server()
    watch, left = UnjoinedSessionReaper(server, "/"), Session()
    server.eio.handlers["connect"]("left", left)
    server.joined.add(("left", "/"))
    for _ in range(SILENT_TICKS + 1):
        watch.tick()
    server.joined.clear()
    watch.note("left")
    for _ in range(SILENT_TICKS + 1):
        assert not left.closed
        watch.tick()
    assert left.closed


def ask(capacity, path, query=""):
    """Open something; what was answered, and the body, which is still open."""
    said = []
    body = capacity({"PATH_INFO": path, "QUERY_STRING": query}, lambda *start: said.append(start[0]))
    return (said or [None])[0], body


def test_streams_and_sessions_share_one_limit():
    sessions, before = 0, REGISTRY.get_sample_value("cto_gateway_refused_total", {"reason": "full"})
    capacity = ConnectionLimitMiddleware(lambda *_: iter([b""]), lambda: sessions, 2)
    status, stream = ask(capacity, "/api/cto/stream")
    assert status is None
    sessions = 1
    for path in ("/ws", "/api/cto/job/7/stream", "/socket.io/"):
        assert ask(capacity, path)[0] == "503 Service Unavailable"
    assert REGISTRY.get_sample_value("cto_gateway_refused_total", {"reason": "full"}) == before + 3
    assert capacity.open() == {"socketio": 1, "stream": 1, "websocket": 0}
    assert ask(capacity, "/socket.io/", "EIO=4&sid=1")[0] is None, "a session that is there"
    assert ask(capacity, "/api/cto/jobs")[0] is None
    stream.close()
    assert capacity.open()["stream"] == 0
    assert ask(capacity, "/socket.io/")[0] is None


def test_no_address_takes_up_all_the_room():
    knocks = AddressRateLimiter(40)
    capacity = ConnectionLimitMiddleware(lambda *_: iter([b""]), lambda: 0, 40, knocks.spend)

    def statuses(address, count):
        told = []
        environ = {"PATH_INFO": "/socket.io/", "QUERY_STRING": "EIO=4", "REMOTE_ADDR": address}
        for _ in range(count):
            if b"".join(capacity(environ, lambda status, _: told.append(status))) == b"":
                told.append("opened")
        return told

    first = statuses("10.0.0.1", 15)
    assert first[:10] == ["opened"] * 10
    assert set(first[10:]) <= {"opened", "429 Too Many Requests"}
    assert "429 Too Many Requests" in first
    assert statuses("10.0.0.2", 10) == ["opened"] * 10


def test_a_client_that_chooses_its_address_out_of_a_network_has_one_measure():
    knocks = AddressRateLimiter(4)
    assert knocks.spend("2001:db8:0:1::1")
    assert not knocks.spend("2001:db8:0:1:ffff::2")
    assert knocks.spend("2001:db8:0:2::1")
    assert knocks.spend("::ffff:10.0.0.1")
    assert knocks.spend("::ffff:10.0.0.2"), "which are of IPv4"
    assert not knocks.spend("10.0.0.1")


def test_addresses_are_forgotten_in_the_order_in_which_they_were_last_heard_of():
    knocks = AddressRateLimiter(4)
    assert knocks.spend("10.0.0.1")
    for number in range(MAX_ADDRESSES + 10):
        knocks.spend(str(number))
    assert len(knocks._addresses) == MAX_ADDRESSES
    assert "10.0.0.1" not in knocks._addresses

"""Connection limits, without a server."""

from __future__ import annotations

import threading

import pytest
from support.waiting import wait_until

from api.errors import RoomError
from api.limits.fair_semaphore import FairSemaphore
from api.realtime.connection_limits import (
    MAX_ADDRESSES,
    MAX_UNJOINED_TICKS,
    AddressRateLimiter,
    ConnectionLimitMiddleware,
    UnjoinedSessionReaper,
)
from cto_worker.observability.metric_definitions import REGISTRY


def test_slots_are_limited_and_given_in_order():
    slots, leave = FairSemaphore(2, timeout_s=30), [threading.Event() for _ in range(8)]
    inside, order = set(), []

    def visit(number):
        with slots.slot():
            inside.add(number)
            order.append(number)
            leave[number].wait(30)
            inside.discard(number)

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=visit, args=[number]))
        threads[-1].start()
        wait_until(lambda number=number: number in inside if number < 2 else waiting(slots) == number - 1)
    for number in range(8):
        assert inside <= set(order[-2:])
        assert len(inside) == min(2, 8 - number)
        leave[number].set()
        wait_until(lambda number=number: number not in inside and len(order) == min(8, number + 3))
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def waiting(slots):
    return len(slots._waiting)


def test_a_thread_that_waits_too_long_fails_and_keeps_no_slot():
    slots = FairSemaphore(1, timeout_s=0.01)
    with slots.slot():
        for _ in range(3):
            with pytest.raises(RoomError) as refusal, slots.slot():
                pass
            assert refusal.value.code == "busy"
    with slots.slot(), pytest.raises(RoomError), slots.slot():
        pass


def test_a_slot_is_free_after_an_error():
    slots = FairSemaphore(1, timeout_s=0)
    with pytest.raises(ValueError, match="no"), slots.slot():
        raise ValueError("no")
    with slots.slot():
        pass


class Session:
    """An Engine.IO session, as far as the reaper uses it."""

    def __init__(self):
        self.closed = self.dropped = False
        self.queue = self

    def drop(self):
        self.dropped = True

    def close(self, *, wait, abort):
        self.closed = abort and not wait


class Server:
    """A Socket.IO server, its Engine.IO server, and its manager."""

    def __init__(self):
        self.eio = self.manager = self
        self.sockets, self.joined, self.environ = {}, set(), {}

    def sid_from_eio_sid(self, eio_sid, namespace):
        return eio_sid if (eio_sid, namespace) in self.joined else None


def opened(reaper, server, eio_sid):
    server.sockets[eio_sid] = session = Session()
    reaper.note(eio_sid)
    return session


def test_only_sessions_that_never_join_are_closed():
    server = Server()
    reaper, before = (
        UnjoinedSessionReaper(server, "/"),
        REGISTRY.get_sample_value("cto_gateway_refused_total", {"reason": "silent"}),
    )
    used, silent = (opened(reaper, server, eio_sid) for eio_sid in ("used", "silent"))
    for tick in range(MAX_UNJOINED_TICKS):
        reaper.tick()
        assert not silent.closed
        if tick == 3:
            server.joined.add(("used", "/"))
            late = opened(reaper, server, "late")
    reaper.tick()
    assert (used.closed, silent.closed, late.closed) == (False, True, False)
    assert silent.dropped, "its connection too"
    assert REGISTRY.get_sample_value("cto_gateway_refused_total", {"reason": "silent"}) == before + 1


def test_a_session_that_has_left_is_closed_too():
    server = Server()
    reaper = UnjoinedSessionReaper(server, "/")
    left = opened(reaper, server, "left")
    server.joined.add(("left", "/"))
    for _ in range(MAX_UNJOINED_TICKS + 1):
        reaper.tick()
    server.joined.clear()
    reaper.note("left")
    for _ in range(MAX_UNJOINED_TICKS + 1):
        assert not left.closed
        reaper.tick()
    assert left.closed


def request(limits, path, query=""):
    """Send a request. Return the status of a refusal, and the body, which is still open."""
    statuses = []
    body = limits({"PATH_INFO": path, "QUERY_STRING": query}, lambda *start: statuses.append(start[0]))
    return (statuses or [None])[0], body


def test_streams_and_sessions_share_one_limit():
    sessions, before = 0, REGISTRY.get_sample_value("cto_gateway_refused_total", {"reason": "full"})
    limits = ConnectionLimitMiddleware(lambda *_: iter([b""]), lambda: sessions, 2)
    status, stream = request(limits, "/api/cto/stream")
    assert status is None
    sessions = 1
    for path in ("/ws", "/api/cto/job/7/stream", "/socket.io/"):
        assert request(limits, path)[0] == "503 Service Unavailable"
    assert REGISTRY.get_sample_value("cto_gateway_refused_total", {"reason": "full"}) == before + 3
    assert limits.counts() == {"socketio": 1, "stream": 1, "websocket": 0}
    assert request(limits, "/socket.io/", "EIO=4&sid=1")[0] is None, "the session exists"
    assert request(limits, "/api/cto/jobs")[0] is None
    stream.close()
    assert limits.counts()["stream"] == 0
    assert request(limits, "/socket.io/")[0] is None


def test_one_address_cannot_use_up_the_limit():
    addresses = AddressRateLimiter(40)
    limits = ConnectionLimitMiddleware(lambda *_: iter([b""]), lambda: 0, 40, addresses.spend)

    def statuses(address, count):
        statuses = []
        environ = {"PATH_INFO": "/socket.io/", "QUERY_STRING": "EIO=4", "REMOTE_ADDR": address}
        for _ in range(count):
            if b"".join(limits(environ, lambda status, _: statuses.append(status))) == b"":
                statuses.append("opened")
        return statuses

    first = statuses("10.0.0.1", 15)
    assert first[:10] == ["opened"] * 10
    assert set(first[10:]) <= {"opened", "429 Too Many Requests"}
    assert "429 Too Many Requests" in first
    assert statuses("10.0.0.2", 10) == ["opened"] * 10


def test_the_addresses_of_one_network_share_a_limit():
    addresses = AddressRateLimiter(4)
    assert addresses.spend("2001:db8:0:1::1")
    assert not addresses.spend("2001:db8:0:1:ffff::2")
    assert addresses.spend("2001:db8:0:2::1")
    assert addresses.spend("::ffff:10.0.0.1")
    assert addresses.spend("::ffff:10.0.0.2"), "a mapped IPv4 address has no network"
    assert not addresses.spend("10.0.0.1")


def test_the_least_recently_used_addresses_are_forgotten():
    addresses = AddressRateLimiter(4)
    assert addresses.spend("10.0.0.1")
    for number in range(MAX_ADDRESSES + 10):
        addresses.spend(str(number))
    assert len(addresses._buckets) == MAX_ADDRESSES
    assert "10.0.0.1" not in addresses._buckets

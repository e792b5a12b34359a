"""Connection limits, without a server."""

from __future__ import annotations

from api.realtime.connection_limit_middleware import (
    MAX_ADDRESSES,
    AddressRateLimiter,
    ConnectionLimitMiddleware,
)
from cto_worker.observability.metric_definitions import REGISTRY


def request(limits, path, query=""):
    """Send a request. Return the status of a refusal, and the body, which is still open."""
    statuses = []
    body = limits({"PATH_INFO": path, "QUERY_STRING": query}, lambda *start: statuses.append(start[0]))
    return (statuses or [None])[0], body


def test_streams_and_sessions_share_one_limit():
    sessions, detached = 0, {"socketio": lambda: sessions}
    before = REGISTRY.get_sample_value("cto_gateway_refused_total", {"reason": "full"})
    limits = ConnectionLimitMiddleware(lambda *_: iter([b""]), detached, 2)
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
    limits = ConnectionLimitMiddleware(lambda *_: iter([b""]), {}, 40, addresses.spend)

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

"""Sessions that do not join the namespace are closed."""

from __future__ import annotations

from api.realtime.namespace_timeout import MAX_UNJOINED_TICKS, NamespaceTimeout
from cto_worker.observability.metric_definitions import REGISTRY


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
        NamespaceTimeout(server, "/"),
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
    reaper = NamespaceTimeout(server, "/")
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

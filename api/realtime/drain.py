"""Closes all connections for events when a gateway stops."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from api.server.engineio_overrides import end_session

if TYPE_CHECKING:
    from api.realtime.connection_limit_middleware import ConnectionLimitMiddleware
    from api.realtime.connection_registry import ConnectionRegistry

CHECK_INTERVAL_S = 0.05


def drain(
    server: Any, connections: ConnectionRegistry, limits: ConnectionLimitMiddleware, within_s: float
) -> None:
    """Close all connections for events. Queued items are sent first, for ``within_s`` seconds at most.

    Engine.IO sessions end like a broken connection, so stock clients reconnect. After Socket.IO's
    ``disconnect`` packet no stock client reconnects. After Engine.IO's close packet stock Python clients do
    not reconnect.
    """
    ending: set[Any] = set()
    ends_s = time.monotonic() + within_s
    while True:  # repeated, because clients may be connecting meanwhile
        connections.close_all()
        sessions = set(server.eio.sockets.values())
        for session in sessions & ending:
            if not (session.upgraded or session.queue.has_waiter):  # its last poll has been answered
                end_session(session)
        for session in sessions - ending:
            session.queue.put(None)
        ending |= sessions
        if not any(limits.counts().values()) or time.monotonic() > ends_s:
            break
        time.sleep(CHECK_INTERVAL_S)
    connections.abort_remaining()
    for session in sessions:
        session.queue.drop()

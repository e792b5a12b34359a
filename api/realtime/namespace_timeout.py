"""Closes Socket.IO sessions that do not join the namespace: they receive nothing, and use a connection."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from api import metric_definitions
from api.limits.refusal_log import refusals
from api.realtime.socketio_packet_guard import address_of
from api.server.engineio_overrides import end_session

MAX_UNJOINED_TICKS, TICK_S = 8, 0.5  # 4 to 4.5 s; the documented limit is 5 s


class NamespaceTimeout:
    """Closes sessions that do not join the namespace within 5 s.

    Time is counted in iterations of this thread. A gateway that is too busy to read its clients' packets
    counts slowly as well.
    """

    def __init__(self, server: Any, namespace: str) -> None:
        """``server`` is python-socketio's, which has no such limit."""
        self._server, self._namespace = server, namespace
        self._ticks = 0
        self._unjoined: deque[tuple[int, str]] = deque()  # tick and session, oldest first

    def note(self, eio_sid: str) -> None:
        """Watch a session that is in no namespace: a new one, or one that has left it."""
        self._unjoined.append((self._ticks, eio_sid))

    def run(self) -> None:
        """Call :meth:`tick` until the process ends."""
        while True:
            time.sleep(TICK_S)
            self.tick()

    def tick(self) -> None:
        """Count one iteration, and close the sessions that have been unjoined for too many."""
        self._ticks += 1
        while self._unjoined and self._ticks - self._unjoined[0][0] > MAX_UNJOINED_TICKS:
            eio_sid = self._unjoined.popleft()[1]
            session = self._server.eio.sockets.get(eio_sid)
            if session and not self._server.manager.sid_from_eio_sid(eio_sid, self._namespace):
                metric_definitions.REFUSED.labels("silent").inc()
                refusals.note("closed a session", address_of(self._server, eio_sid), "never joined")
                end_session(session)

"""Who is let in, when, and who has to go: so that many clients harm neither the store nor each other."""

from __future__ import annotations

import json
import re
import time
from collections import Counter, deque
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from werkzeug.wsgi import ClosingIterator

from api import metrics
from api.limits.addresses import network_of
from api.limits.refusal_log import refusals
from api.limits.token_bucket import TokenBucket
from api.server.session_guard import address_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.realtime.connections import Connections

SILENT_TICKS, TICK_S = 8, 0.5  # 4 s at least, 4.5 s at most, and 5 s are promised
RETRY_AFTER_S = 5
_SESSION = re.compile(r"(?:^|&)sid=[^&]")  # as parse_qs finds it, with which Engine.IO looks for it


class UnjoinedSessionReaper:
    """Closes the sessions that do not ask to be let into the namespace within 5 s, which nobody can use.

    Time is counted in turns of this thread: a gateway that is too busy to read what its clients have sent in
    time is slow at counting too.
    """

    def __init__(self, server: Any, namespace: str) -> None:
        """``server`` is python-socketio's, which has no limit of its own."""
        self._server, self._namespace = server, namespace
        self._ticks = 0
        self._new: deque[tuple[int, str]] = deque()  # tick and session, oldest first
        connect = server.eio.handlers["connect"]

        def note_and_connect(eio_sid: str, environ: dict[str, Any]) -> Any:
            self.note(eio_sid)
            return connect(eio_sid, environ)

        server.eio.on("connect", note_and_connect)

    def note(self, eio_sid: str) -> None:
        """Watch a session that is in no namespace: a new one, or one that has left it."""
        self._new.append((self._ticks, eio_sid))

    def run(self) -> None:
        """Watch until the process ends."""
        while True:
            time.sleep(TICK_S)
            self.tick()

    def tick(self) -> None:
        """Count one turn, and close what has been silent for too many of them."""
        self._ticks += 1
        while self._new and self._ticks - self._new[0][0] > SILENT_TICKS:
            eio_sid = self._new.popleft()[1]
            session = self._server.eio.sockets.get(eio_sid)
            if session and not self._server.manager.sid_from_eio_sid(eio_sid, self._namespace):
                metrics.REFUSED.labels("silent").inc()
                refusals.note("closed a session", address_of(self._server, eio_sid), "never joined")
                _close(session)


class ConnectionLimitMiddleware:
    """Refuses to open more for events than a limit, whatever the transport. REST is not limited.

    ``sessions`` tells how many Engine.IO has; streams and plain WebSockets are counted here. ``may_open``
    tells whether an address may open one more.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        sessions: Callable[[], int],
        limit: int,
        may_open: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._app, self._sessions, self._limit, self._may_open = app, sessions, limit, may_open
        self._streams: Counter[str] = Counter()  # by door

    def open(self) -> dict[str, int]:
        """How many there are, by the door they came through."""
        return {
            "socketio": self._sessions(),
            **{door: self._streams[door] for door in ("stream", "websocket")},
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve, as WSGI has it."""
        path: str = environ.get("PATH_INFO", "")
        door = "websocket" if path == "/ws" else "stream" if path.endswith("/stream") else None
        if door or _opens_session(path, environ):
            if self._sessions() + self._streams.total() >= self._limit:
                metrics.REFUSED.labels("full").inc()
                return _refuse(
                    start_response,
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "this gateway has no room for more: try again",
                )
            if not self._may_open(environ.get("REMOTE_ADDR", "")):
                metrics.REFUSED.labels("address").inc()
                return _refuse(
                    start_response, HTTPStatus.TOO_MANY_REQUESTS, "too many come from your address: try again"
                )
        if door is None:
            return self._app(environ, start_response)
        self._streams[door] += 1
        body: Iterable[bytes] = ()
        try:
            body = self._app(environ, start_response)
        finally:
            if not body:
                self._end(door)
        return ClosingIterator(body, [partial(self._end, door)]) if body else body

    def _end(self, door: str) -> None:
        self._streams[door] -= 1


def _opens_session(path: str, environ: dict[str, Any]) -> bool:
    return path.startswith("/socket.io/") and not _SESSION.search(environ.get("QUERY_STRING", ""))


def _refuse(start_response: Callable[..., Any], status: HTTPStatus, message: str) -> Iterable[bytes]:
    error = {"code": "too_many_connections", "message": message}
    headers = [("Content-Type", "application/json"), ("Retry-After", str(RETRY_AFTER_S))]
    start_response(f"{status} {status.phrase}", headers)
    return [json.dumps({"success": False, "error": error}).encode()]


def drain(
    server: Any, connections: Connections, capacity: ConnectionLimitMiddleware, within_s: float
) -> None:
    """Send everybody away who gets events. What waits for a client is sent first, if it takes it in time.

    Sessions end as if the connection had broken: then stock clients come back by themselves. They would not
    after a ``disconnect`` packet of Socket.IO's, and stock Python clients not after a closing packet of
    Engine.IO's either.
    """
    told: set[Any] = set()
    ends_s = time.monotonic() + within_s
    while True:  # some may be coming in just now
        connections.close_all_connections()
        sessions = set(server.eio.sockets.values())
        for session in sessions & told:
            if not (session.upgraded or session.queue.sleeps):  # its poll is answered, and no other one comes
                _close(session)
        for session in sessions - told:
            session.queue.put(None)
        told |= sessions
        if not any(capacity.open().values()) or time.monotonic() > ends_s:
            break
        time.sleep(TICK_S / 10)
    connections.abort_remaining()
    for session in sessions:
        session.queue.drop()


def _close(session: Any) -> None:
    """End an Engine.IO session without waiting for its client."""
    session.close(wait=False, abort=True)
    session.queue.drop()


MAX_ADDRESSES = 10_000  # that are remembered


class AddressRateLimiter:
    """How often each address may open connections for events: none may take up a gateway's whole room.

    A stranger's connection lasts 5 s, so that one address has less than half of it. All who are behind one
    proxy still come back within a minute.
    """

    def __init__(self, room: int) -> None:
        self._burst = max(room / 4, 1)
        self._addresses: dict[str, TokenBucket] = {}

    def spend(self, address: str) -> bool:
        """Take one off; return whether there was one left."""
        place = network_of(address)
        allowance = self._addresses.pop(place, None) or TokenBucket(self._burst, self._burst / 10)
        self._addresses[place] = allowance  # the last to be forgotten
        if len(self._addresses) > MAX_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]
        return allowance.spend()

"""Limits on connections for events, so that many clients harm neither the store nor each other."""

from __future__ import annotations

import json
import re
import time
from collections import Counter, deque
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from werkzeug.wsgi import ClosingIterator

from api import metric_definitions
from api.limits.client_network import network_of
from api.limits.refusal_log import refusals
from api.limits.token_bucket import TokenBucket
from api.server.message_limits import address_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.realtime.connections import Connections

MAX_UNJOINED_TICKS, TICK_S = 8, 0.5  # 4 to 4.5 s; the documented limit is 5 s
RETRY_AFTER_S = 5
MAX_ADDRESSES = 10_000  # whose token buckets are kept
_SESSION = re.compile(r"(?:^|&)sid=[^&]")  # matches what parse_qs finds, which Engine.IO uses


class UnjoinedSessionReaper:
    """Closes sessions that do not join the namespace within 5 s, for they are of no use.

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
                _close(session)


class ConnectionLimitMiddleware:
    """WSGI middleware that limits the connections for events, on all transports together, but not REST.

    ``sessions`` returns the number of Engine.IO sessions; SSE streams and ``/ws`` are counted here.
    ``may_open`` returns whether an address may open one more connection.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        sessions: Callable[[], int],
        limit: int,
        may_open: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._app, self._sessions, self._limit, self._may_open = app, sessions, limit, may_open
        self._streams: Counter[str] = Counter()  # by transport

    def counts(self) -> dict[str, int]:
        """Return the number of connections on each transport."""
        return {
            "socketio": self._sessions(),
            **{transport: self._streams[transport] for transport in ("stream", "websocket")},
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request, or refuse it."""
        path: str = environ.get("PATH_INFO", "")
        transport = "websocket" if path == "/ws" else "stream" if path.endswith("/stream") else None
        if transport or _opens_session(path, environ):
            if self._sessions() + self._streams.total() >= self._limit:
                metric_definitions.REFUSED.labels("full").inc()
                message = "this gateway has reached its connection limit: try again later"
                return _refuse(start_response, HTTPStatus.SERVICE_UNAVAILABLE, message)
            if not self._may_open(environ.get("REMOTE_ADDR", "")):
                metric_definitions.REFUSED.labels("address").inc()
                message = "too many new connections from your address: try again later"
                return _refuse(start_response, HTTPStatus.TOO_MANY_REQUESTS, message)
        if transport is None:
            return self._app(environ, start_response)
        self._streams[transport] += 1
        body: Iterable[bytes] = ()
        try:
            body = self._app(environ, start_response)
        finally:
            if not body:
                self._end(transport)
        return ClosingIterator(body, [partial(self._end, transport)]) if body else body

    def _end(self, transport: str) -> None:
        self._streams[transport] -= 1


class AddressRateLimiter:
    """Limits how often each address may open connections, so that one address cannot use up the limit of all.

    A connection that does not join lasts 5 s, so one address has less than half of ``max_connections``.
    Clients behind one proxy can still all reconnect within a minute.
    """

    def __init__(self, max_connections: int) -> None:
        self._burst = max(max_connections / 4, 1)
        self._buckets: dict[str, TokenBucket] = {}  # by network; the least recently used first

    def spend(self, address: str) -> bool:
        """Take a token from the address's bucket. Return whether there was one."""
        network = network_of(address)
        bucket = self._buckets.pop(network, None) or TokenBucket(self._burst, self._burst / 10)
        self._buckets[network] = bucket
        if len(self._buckets) > MAX_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        return bucket.spend()


def drain(server: Any, connections: Connections, limits: ConnectionLimitMiddleware, within_s: float) -> None:
    """Close all connections for events. Queued items are sent first, for ``within_s`` seconds at most.

    Engine.IO sessions end like a broken connection, upon which stock clients reconnect. They would not
    reconnect after Socket.IO's ``disconnect`` packet, and stock Python clients not after Engine.IO's close
    packet either.
    """
    ending: set[Any] = set()
    ends_s = time.monotonic() + within_s
    while True:  # again, for clients may be connecting
        connections.close_all()
        sessions = set(server.eio.sockets.values())
        for session in sessions & ending:
            if not (session.upgraded or session.queue.has_waiter):  # its last poll has been answered
                _close(session)
        for session in sessions - ending:
            session.queue.put(None)
        ending |= sessions
        if not any(limits.counts().values()) or time.monotonic() > ends_s:
            break
        time.sleep(TICK_S / 10)
    connections.abort_remaining()
    for session in sessions:
        session.queue.drop()


def _opens_session(path: str, environ: dict[str, Any]) -> bool:
    return path.startswith("/socket.io/") and not _SESSION.search(environ.get("QUERY_STRING", ""))


def _refuse(start_response: Callable[..., Any], status: HTTPStatus, message: str) -> Iterable[bytes]:
    error = {"code": "too_many_connections", "message": message}
    headers = [("Content-Type", "application/json"), ("Retry-After", str(RETRY_AFTER_S))]
    start_response(f"{status} {status.phrase}", headers)
    return [json.dumps({"success": False, "error": error}).encode()]


def _close(session: Any) -> None:
    """End an Engine.IO session without waiting for its client."""
    session.close(wait=False, abort=True)
    session.queue.drop()

"""Fair queueing: requests of a caller that sends many at once are interleaved with those of other callers.

All green threads of a gateway share one OS thread. Without this module it would answer requests in the order
of arrival: two thousand requests of one user before the first request of the next. A request waits twice for
a turn: before the server parses its head (:data:`HEADS`), and before it reaches the application
(:data:`REQUESTS`, see :func:`queued_fairly`).
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from itertools import cycle
from typing import TYPE_CHECKING, Any

from api.limits.client_address_prefix import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.auth.authentication import Authenticator

HEADS = 16  # heads of requests that are parsed for a caller before other threads run
REQUESTS = 4  # requests of a caller that start before other threads run
TICK_S = 0.005  # a caller that starts no more than a quantum in this time never waits
CALLER = "gateway.caller"  # the key of the caller's name in a request's environment
_NOT_QUEUED = ("/socket.io/", "/ws")  # long connections, which have limits of their own


def newest_and_oldest() -> Callable[[deque[Any]], Any]:
    """Return a function that alternately removes the newest and the oldest item of a queue.

    The newest: a client behind a burst from its own address is served soon. The oldest: no client waits for
    ever.
    """
    ends = cycle((deque.pop, deque.popleft))

    def take(waiting: deque[Any]) -> Any:
        return next(ends)(waiting)

    return take


class FairQueue:
    """Gives each caller at most ``quantum`` turns in each round of the gateway's event loop.

    ``take`` removes the request with the next turn from a caller's queue; by default, the oldest.
    """

    def __init__(self, quantum: int, take: Callable[[deque[Any]], Any] = deque.popleft) -> None:
        self._quantum, self._take = quantum, take
        self._started: Counter[str] = Counter()
        self._since_s = 0.0
        self._waiting: dict[str, deque[threading.Event]] = {}
        self._lock = threading.Lock()  # never held while another thread runs
        self._has_waiting = threading.Event()

    def wait(self, name: str) -> None:
        """Wait until it is this caller's turn."""
        with self._lock:
            self._reset_after_tick()
            if name not in self._waiting and self._started[name] < self._quantum:
                self._started[name] += 1
                return
            may_start = threading.Event()
            self._waiting.setdefault(name, deque()).append(may_start)
            self._has_waiting.set()
        may_start.wait()

    def start(self) -> FairQueue:
        """Start the thread that gives the turns. Return this queue."""
        threading.Thread(target=self.run, name="fair-queue", daemon=True).start()
        return self

    def run(self) -> None:
        """Give turns, some to each caller in each round, until the process ends."""
        while True:
            self._has_waiting.wait()
            time.sleep(0)  # other threads run
            with self._lock:
                for name in list(self._waiting):
                    self._start_some(name)
                if not self._waiting:
                    self._has_waiting.clear()

    def _reset_after_tick(self) -> None:
        now_s = time.monotonic()
        if now_s - self._since_s > TICK_S:
            self._started.clear()
            self._since_s = now_s

    def _start_some(self, name: str) -> None:
        waiting = self._waiting[name]
        for _ in range(min(self._quantum, len(waiting))):
            self._take(waiting).set()
        if not waiting:
            del self._waiting[name]


def queued_fairly(
    app: Callable[..., Iterable[bytes]], authenticator: Authenticator
) -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application with its REST requests queued by user, or by address without a user."""
    queue = FairQueue(REQUESTS).start()

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith(_NOT_QUEUED):
            name = authenticator.user_of(environ) or caller_of(environ.get("REMOTE_ADDR", ""))
            environ[CALLER] = name
            queue.wait(name)
        return app(environ, start_response)

    return serve

"""Pacing: a caller that sends many requests at once lets other callers' requests come between its own.

The gateway has one thread. Without this, it would answer all requests that have come in their order, and
one user's two thousand before the next user's one.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from api.limits.addresses import network_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.auth.authentication import Authenticator

QUANTUM = 4  # requests that a caller may begin before everybody else is looked at
TICK_S = 0.005  # a caller that begins no more in this time never waits
_OTHERS = ("/socket.io/", "/ws")  # long connections, which have limits of their own


class Pacer:
    """Lets each name begin :data:`QUANTUM` requests for each round of the gateway's event loop."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()
        self._since_s = 0.0
        self._waiting: dict[str, deque[threading.Event]] = {}
        self._lock = threading.Lock()  # is never held while another thread runs: waiters would queue for it
        self._has_waiting = threading.Event()

    def wait(self, name: str) -> None:
        """Return when a request of this name may begin. Requests of one name begin in their order."""
        with self._lock:
            self._forget_earlier()
            if name not in self._waiting and self._begun[name] < QUANTUM:
                self._begun[name] += 1
                return
            called = threading.Event()
            self._waiting.setdefault(name, deque()).append(called)
            self._has_waiting.set()
        called.wait()

    def run(self) -> None:
        """Let waiting requests begin, some of each name in each round, until the process ends."""
        while True:
            self._has_waiting.wait()
            time.sleep(0)  # other threads run
            with self._lock:
                for name in list(self._waiting):
                    self._call_some(name)
                if not self._waiting:
                    self._has_waiting.clear()

    def _forget_earlier(self) -> None:
        now_s = time.monotonic()
        if now_s - self._since_s > TICK_S:
            self._begun.clear()
            self._since_s = now_s

    def _call_some(self, name: str) -> None:
        waiting = self._waiting[name]
        for _ in range(min(QUANTUM, len(waiting))):
            waiting.popleft().set()
        if not waiting:
            del self._waiting[name]


def paced(
    app: Callable[..., Iterable[bytes]], authenticator: Authenticator
) -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application with its REST requests paced by user, or by address without one."""
    pacer = Pacer()
    threading.Thread(target=pacer.run, name="pacer", daemon=True).start()

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith(_OTHERS):
            pacer.wait(authenticator.user_of(environ) or network_of(environ.get("REMOTE_ADDR", "")))
        return app(environ, start_response)

    return serve

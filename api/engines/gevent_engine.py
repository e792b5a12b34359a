"""The engine gevent, and the only module that uses it (docs/decisions/0017)."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

# Everything below must be imported after the patch.
import logging  # noqa: E402
import socket  # noqa: E402
import time  # noqa: E402
from select import POLLIN  # noqa: E402
from types import SimpleNamespace  # noqa: E402
from typing import TYPE_CHECKING, Any, TypeVar  # noqa: E402

import gevent  # noqa: E402
from gevent.threadpool import ThreadPool  # noqa: E402
from greenlet import getcurrent, greenlet  # noqa: E402

from api import library_patches  # noqa: E402
from api.engines.callback_threads import CallbackThreads  # noqa: E402
from api.relay.pubsub_socket_reader import BlockingReader  # noqa: E402
from api.server.connection_poller import ConnectionPoller  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

ASYNC_MODE = "gevent"
BLOCKING_SELECT = SimpleNamespace(
    POLLIN=POLLIN, poll=monkey.get_original("select", "poll"), epoll=monkey.get_original("select", "epoll")
)
READ = 1  # the event of a watcher
NEXT_ROUND_S = 1e-6

T = TypeVar("T")

_os_thread = ThreadPool(1)
spawn = gevent.spawn_raw
socket_reader = BlockingReader

log = logging.getLogger(__name__)

library_patches.expose_plain_socket(socket.socket)


def _sleep(seconds: Any) -> None:
    """Sleep for a round of the event loop at least.

    After ``gevent.sleep(0)`` up to a thousand callbacks run before the loop looks at sockets: a thread that
    yields often would delay all clients.
    """
    gevent.sleep(max(seconds, NEXT_ROUND_S))


time.sleep = _sleep


def call_in_os_thread(function: Callable[[], T], timeout_s: float, /) -> T:
    """See :meth:`api.engines.engine.Engine.call_in_os_thread`."""
    with gevent.Timeout(timeout_s, TimeoutError()):
        return _os_thread.apply(function)  # type: ignore[no-any-return]


def poller() -> ConnectionPoller:
    """Return a poller that gevent's hub calls. The hub watches one file that stands for all connections."""
    epoll = BLOCKING_SELECT.epoll()
    hub = gevent.get_hub()
    connections = ConnectionPoller(epoll, CallbackThreads(hub, greenlet, getcurrent).run)
    watcher = hub.loop.io(epoll.fileno(), READ)
    watcher.start(connections.poll)
    return connections


def clear_dns_cache() -> None:
    """Do nothing: gevent asks the operating system each time."""


def log_failures() -> None:
    """Make gevent log the exceptions that end green threads, instead of printing them."""
    library_patches.log_failures_of(
        gevent.get_hub(), lambda failure: log.error("unexpected error in a green thread", exc_info=failure)
    )

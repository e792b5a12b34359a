"""The engine eventlet, and the only module that uses it (docs/decisions/0017)."""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore", "\nEventlet is deprecated")  # see docs/decisions/0017
import eventlet  # noqa: E402

eventlet.monkey_patch()

# Everything below must be imported after the patch.
import logging  # noqa: E402
import ssl  # noqa: E402
from contextlib import suppress  # noqa: E402
from typing import TYPE_CHECKING, Any, TypeVar  # noqa: E402

from dns.exception import DNSException  # noqa: E402
from eventlet import tpool  # noqa: E402
from eventlet.hubs import get_hub  # noqa: E402
from eventlet.support import greendns  # noqa: E402
from eventlet.support.greenlets import getcurrent, greenlet  # noqa: E402

from api import library_patches  # noqa: E402
from api.engines.callback_threads import CallbackThreads  # noqa: E402
from api.relay.pubsub_socket_reader import BlockingReader, HubReader  # noqa: E402
from api.server.connection_poller import ConnectionPoller  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.relay.pubsub_socket_reader import SocketReader

ASYNC_MODE = "eventlet"
BLOCKING_SELECT = eventlet.patcher.original("select")

T = TypeVar("T")

spawn = eventlet.spawn_n
tpool.set_num_threads(1)

log = logging.getLogger(__name__)


def call_in_os_thread(function: Callable[[], T], timeout_s: float, /) -> T:
    """See :meth:`api.engines.engine.Engine.call_in_os_thread`."""
    with eventlet.Timeout(timeout_s, TimeoutError()):
        return tpool.execute(function)  # type: ignore[no-any-return]


def poller() -> ConnectionPoller:
    """Return a poller that eventlet's hub calls.

    For each wait the hub makes one system call to watch its file and another one after it. So the hub watches
    one file that stands for all connections. Callbacks run at once, like green threads that wait for the hub.
    """
    epoll = BLOCKING_SELECT.epoll()
    hub = get_hub()
    connections = ConnectionPoller(epoll, CallbackThreads(hub, greenlet, getcurrent).run)
    hub.add(hub.READ, epoll.fileno(), lambda _: connections.poll(), None, None)
    return connections


def socket_reader(sock: Any) -> SocketReader:
    """Return the cheapest reader of a socket. TLS may have decrypted bytes, which the hub would not see."""
    return BlockingReader(sock) if isinstance(sock, ssl.SSLSocket) else HubReader(sock, get_hub(), getcurrent)


def clear_dns_cache() -> None:
    """Clear eventlet's DNS cache. With Docker it keeps an answer for ten minutes: a store may have moved."""
    with suppress(DNSException):  # no name server is configured
        greendns.resolver.clear()


def log_failures() -> None:
    """Make eventlet log the exceptions that end green threads, instead of printing them."""
    library_patches.report_failures(
        get_hub(), lambda failure: log.error("unexpected error in a green thread", exc_info=failure)
    )

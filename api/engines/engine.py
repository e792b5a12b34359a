"""The Protocol that the gateway needs from an event loop. A module that implements it is an engine.

An engine replaces the standard library's blocking functions when it is imported. From then on threads are
green: a thread runs until it blocks or calls ``time.sleep``, and only then does another one run. The gateway
changes shared values between two such points without locks, which threads of the operating system would need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.relay.pubsub_socket_reader import SocketReader
    from api.server.connection_poller import ConnectionPoller

T = TypeVar("T")


class Engine(Protocol):
    """An event loop with green threads.

    Sockets of the patched module :mod:`socket` have the attribute ``fd``: the socket without the patch, which
    never blocks.
    """

    @property
    def ASYNC_MODE(self) -> str:  # noqa: N802 - a constant of a module
        """Flask-SocketIO's name of the engine."""

    @property
    def BLOCKING_SELECT(self) -> Any:  # noqa: N802 - the same
        """The names ``poll``, ``epoll`` and ``POLLIN`` of :mod:`select` as they were before the patch."""

    def spawn(self, function: Callable[..., object], *arguments: object) -> object:
        """Call the function in a green thread, which costs less than a :class:`threading.Thread`."""

    def call_in_os_thread(self, function: Callable[[], T], timeout_s: float, /) -> T:
        """Call a function that may block, and return its result. Other green threads run meanwhile.

        One thread of the operating system runs all these calls, one after another. Raises the function's
        error, or :class:`TimeoutError`; the function may then still run.
        """

    def poller(self) -> ConnectionPoller:
        """Return a poller that the event loop calls. Its callbacks run at once, each in a green thread."""

    def socket_reader(self, sock: Any) -> SocketReader:
        """Return the cheapest reader of a socket, with or without TLS."""

    def clear_dns_cache(self) -> None:
        """Forget the addresses of host names, because a store may have moved."""

    def log_failures(self) -> None:
        """Log the exceptions that end green threads and callbacks, instead of printing them."""

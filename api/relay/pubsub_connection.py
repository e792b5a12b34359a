"""A connection to the store's pub/sub that returns all buffered messages at once.

redis-py's ``PubSub`` takes more time per message than the rest of the relay. The connection itself is
redis-py's: its pool knows the address and the credentials of the store.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import hiredis
from redis.exceptions import ConnectionError as StoreConnectionError

from api import library_patches
from api.relay.pubsub_socket_reader import BlockingReader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType

    from redis import Redis

    from api.relay.pubsub_socket_reader import SocketReader

_PING = b"*1\r\n$4\r\nPING\r\n"
_PARTS = 3  # of a message and of a confirmation: kind, channel and payload; a PONG has fewer


class PubSubConnection:
    """Use as a context manager. Errors are ``redis.exceptions.RedisError`` and ``OSError``."""

    def __init__(self, store: Redis, make_reader: Callable[[Any], SocketReader] = BlockingReader) -> None:
        """``make_reader`` returns the reader of a socket."""
        self._pool, self._make_reader = store.connection_pool, make_reader
        self._replies = hiredis.Reader()
        self._write_lock = threading.Lock()
        self._channels: set[bytes] = set()
        self.confirmed: set[bytes] = set()  # the channels whose subscription the store has confirmed
        self._unconfirmed: Counter[bytes] = Counter()  # SUBSCRIBE commands without a reply yet

    def __enter__(self) -> Self:
        self._connection: Any = self._pool.get_connection()
        self._socket = library_patches.socket_of(self._connection)
        self._reader = self._make_reader(self._socket)  # reads many replies at once
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._connection.disconnect()  # the pool must not hand out a subscribed connection
        self._pool.release(self._connection)

    def set_channels(self, channels: set[bytes], last: bytes) -> None:
        """Subscribe to these channels and no others. A reply confirms each new one, ``last`` at the end."""
        wanted = {*channels, last}
        gone, new = self._channels - wanted, wanted - self._channels
        self._channels = wanted
        self.confirmed -= gone
        self._unconfirmed.update(new)
        self._send("UNSUBSCRIBE", gone)
        self._send("SUBSCRIBE", sorted(new, key=lambda channel: channel == last))

    def add_channels(self, channels: set[bytes]) -> None:
        """Subscribe to these channels as well."""
        new = channels - self._channels
        self._channels |= new
        self._unconfirmed.update(new)
        self._send("SUBSCRIBE", new)

    def confirm(self, channel: bytes) -> None:
        """Record a reply that confirms a subscription."""
        self._unconfirmed[channel] -= 1
        if self._unconfirmed[channel] <= 0:  # else it was unsubscribed and subscribed again meanwhile
            del self._unconfirmed[channel]
            self.confirmed.add(channel)

    def _send(self, command: str, channels: Collection[bytes]) -> None:
        if channels:
            with self._write_lock:
                self._connection.send_command(command, *channels, check_health=False)

    def wake(self) -> None:
        """Make :meth:`receive` return, also when another thread waits in it: the store answers a PING."""
        with self._write_lock:
            self._socket.sendall(_PING)

    def receive(self, timeout_s: float, before_wait: Callable[[], object] = lambda: None) -> list[Any]:
        """Return the replies that have arrived, each as ``[kind, channel, payload]``.

        If there are none, call ``before_wait``, and wait at most ``timeout_s`` seconds for some.
        """
        read = self._reader.read(timeout_s, before_wait)
        if read is None:
            return []
        if not read:
            raise StoreConnectionError("the store closed the subscription")
        self._replies.feed(read)
        replies: list[Any] = []
        while (reply := self._replies.gets()) is not False:
            if len(reply) == _PARTS:
                replies.append(reply)
        return replies

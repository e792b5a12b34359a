"""A connection to the store's pub/sub that hands out messages by the hundred.

redis-py's own ``PubSub`` takes more time for each message than the relay needs for all the rest of it. The
connection is redis-py's all the same: how to reach the store, and who we are, is settled there.
"""

from __future__ import annotations

import fcntl
import struct
import termios
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import hiredis
from redis.exceptions import ConnectionError as StoreConnectionError

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

    from redis import Redis

READ_BYTES = 256 * 1024
_PING = b"*1\r\n$4\r\nPING\r\n"
_REPLY = 3  # parts of one that says something: kind, channel and payload


class PubSubConnection:
    """Use as a context manager. Errors are ``redis.exceptions.RedisError`` and ``OSError``."""

    def __init__(self, store: Redis) -> None:
        self._pool = store.connection_pool
        self._replies = hiredis.Reader()
        self._writing = threading.Lock()
        self._channels: set[bytes] = set()
        self.confirmed: set[bytes] = set()  # by the store, of the channels
        self._unconfirmed: Counter[bytes] = Counter()  # SUBSCRIBE commands without an answer yet

    def __enter__(self) -> Self:
        self._connection: Any = self._pool.get_connection()
        self._socket: Any = self._connection._sock  # noqa: SLF001 - no public method reads more than one reply
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.disconnect()  # nobody else must get a connection that is subscribed
        self._pool.release(self._connection)

    def carry(self, channels: set[bytes], last: bytes) -> None:
        """Ask for these channels and no others. A reply confirms each new one, ``last`` at the end."""
        wanted = {*channels, last}
        gone, new = self._channels - wanted, wanted - self._channels
        self._channels = wanted
        self.confirmed -= gone
        self._unconfirmed.update(new)
        self._send("UNSUBSCRIBE", gone)
        self._send("SUBSCRIBE", sorted(new, key=lambda channel: channel == last))

    def add(self, channels: set[bytes]) -> None:
        """Ask for these channels, too."""
        new = channels - self._channels
        self._channels |= new
        self._unconfirmed.update(new)
        self._send("SUBSCRIBE", new)

    def confirm(self, channel: bytes) -> None:
        """Take note of a reply that confirms."""
        self._unconfirmed[channel] -= 1
        if self._unconfirmed[channel] <= 0:  # else it was given up and asked for again meanwhile
            del self._unconfirmed[channel]
            self.confirmed.add(channel)

    def _send(self, command: str, channels: Collection[bytes]) -> None:
        if channels:
            with self._writing:
                self._connection.send_command(command, *channels, check_health=False)

    def wake(self) -> None:
        """Have :meth:`receive` return, in whichever thread it waits, for the store answers."""
        with self._writing:
            self._socket.sendall(_PING)

    def receive(self, timeout_s: float) -> list[Any]:
        """Wait for replies; return all that have come, each as ``[kind, channel, payload]``."""
        self._socket.settimeout(timeout_s)
        try:
            read = self._socket.recv(READ_BYTES)
        except TimeoutError:
            return []
        if not read:
            raise StoreConnectionError("the store closed the subscription")
        self._replies.feed(read)
        replies: list[Any] = []
        while (reply := self._replies.gets()) is not False:
            if len(reply) == _REPLY:
                replies.append(reply)
        return replies

    def pending(self) -> bool:
        """Whether more has come already."""
        (waiting,) = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.FIONREAD, bytes(4)))
        return bool(waiting)

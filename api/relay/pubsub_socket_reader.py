"""Two ways to wait for bytes on the store's pub/sub socket: a portable one, and a cheaper one on eventlet."""

from __future__ import annotations

import fcntl
import struct
import termios
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES = 256 * 1024


class SocketReader(Protocol):
    """Reads from one socket, in one thread."""

    def read(self, timeout_s: float, before_wait: Callable[[], object]) -> bytes | None:
        """Return the bytes that have arrived, ``b""`` at the end, or ``None`` if none arrive in time.

        Calls ``before_wait`` first if it has to wait.
        """

    def close(self) -> None:
        """End reading. Required before the socket is closed."""


class BlockingReader:
    """Reads from any socket, also with TLS."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    def read(self, timeout_s: float, before_wait: Callable[[], object]) -> bytes | None:
        """Read: see :class:`SocketReader`."""
        if not self._has_unread_data():
            before_wait()
        self._socket.settimeout(timeout_s)
        try:
            read: bytes = self._socket.recv(READ_BYTES)
        except TimeoutError:
            return None
        return read

    def close(self) -> None:
        """Do nothing."""

    def _has_unread_data(self) -> bool:
        (size,) = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.FIONREAD, bytes(4)))
        return bool(size)


class HubReader:
    """Reads from a socket of eventlet without TLS, which its hub watches all the time.

    eventlet's own sockets tell the kernel before and after each wait to watch the socket, and set a timer.
    """

    def __init__(self, socket: Any, hub: Any, current_thread: Callable[[], Any]) -> None:
        """``current_thread`` returns the green thread that runs."""
        self._socket, self._hub, self._current_thread = socket, hub, current_thread
        self._listener: Any = None
        self._timer: Any = None
        self._waiting: Any = None  # the green thread that waits

    def read(self, timeout_s: float, before_wait: Callable[[], object]) -> bytes | None:
        """Read: see :class:`SocketReader`. May return earlier without bytes."""
        read = self._read_now()
        if read is None:
            before_wait()
            self._wait(timeout_s)
            read = self._read_now()
        return read

    def close(self) -> None:
        """Stop watching the socket."""
        self._unwatch()
        if self._timer:
            self._timer.cancel()

    def _read_now(self) -> bytes | None:
        try:
            read: bytes = self._socket.fd.recv(READ_BYTES)
        except BlockingIOError:
            return None
        return read

    def _wait(self, timeout_s: float) -> None:
        if not self._listener:
            self._listener = self._hub.add(
                self._hub.READ, self._socket.fileno(), self._on_readable, self._resume, None
            )
        if not self._timer:
            self._timer = self._hub.schedule_call_global(timeout_s, self._on_timeout)
        self._waiting = self._current_thread()
        self._hub.switch()

    def _on_readable(self, _: int) -> None:
        if self._waiting:
            self._resume()
        else:  # the thread is busy: the hub would report the same bytes again and again
            self._unwatch()

    def _on_timeout(self) -> None:
        self._timer = None
        self._resume()

    def _resume(self, _: object = None) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting:
            waiting.switch()

    def _unwatch(self) -> None:
        if self._listener:
            listener, self._listener = self._listener, None
            self._hub.remove(listener)

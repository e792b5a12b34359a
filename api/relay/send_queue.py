"""What one connection has yet to be sent. It is bounded: a slow reader harms only itself."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any

from api import metrics
from api.relay.encoded_event import EncodedEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket

log = logging.getLogger(__name__)

MAX_BYTES = 4 * 1024 * 1024  # that one connection may be behind: more than the longest job's whole history
WRITE_BYTES = 256 * 1024  # what one write takes at most, so that no reader holds up the others
_OTHER_BYTES = 64  # what anything but an event counts for, beside its text


class SendQueue:
    """A queue with many writers, and one reader, which takes all that is there at once.

    A ``None`` that is put says that nothing follows.

    Above :data:`MAX_BYTES`, events between the first and the last of a phase are left out: what is told last
    holds all that was told before. When that does not help, ``drop`` is called, once, and nothing more is
    taken in: the client comes back and resumes by ``seq``.

    A connection that can be written to without waiting needs no reader most of the time: see :meth:`begin`.
    """

    __slots__ = (
        "_bytes", "_items", "_sleeps", "_start", "_touched", "_wake", "_write_now", "drop", "dropped",
    )  # fmt: skip

    def __init__(self, drop: Callable[[], object] = lambda: None) -> None:
        self.drop = drop
        self.dropped = False
        self._items: deque[Any] = deque()
        self._bytes = 0
        self._sleeps = False  # whether the reader waits for something to take
        self._touched = False  # whether it is in the list that flush() works off
        self._wake = threading.Lock()
        self._wake.acquire()
        self._write_now: Callable[[], bytes] | None = None
        self._start: Callable[[], object] | None = None

    def begin(self, write_now: Callable[[], bytes], start: Callable[[], object], first: bytes = b"") -> None:
        """Take a reader for asleep that is not even there yet, and send what waits, after what comes first.

        ``write_now`` takes and writes what it can without waiting, and returns what of it is left;
        ``start`` starts the reader, and is called once, when there is something left or nothing follows.
        """
        self._write_now, self._start = write_now, start
        if first:
            self._items.appendleft(first)
            self._bytes += _size(first)
        self.flush()

    def put(self, item: Any) -> None:
        """Add anything but an event. Never waits."""
        if self._bytes > MAX_BYTES:  # one answer alone may be larger
            self._make_room()
        if self.dropped and item is not None:
            return
        self._items.append(item)
        self._bytes += _size(item)
        self.flush()

    def put_frame(self, frame: EncodedEvent) -> None:
        """Add an event, to be sent at the next :func:`flush`. Never waits."""
        if self.dropped:
            return
        self._items.append(frame)
        self._bytes += len(frame.payload)
        if self._bytes > MAX_BYTES:
            self._make_room()
        if not self._touched:
            self._touched = True
            _touched.append(self)

    def flush(self) -> None:
        """Send what waits for a reader that sleeps, or wake it. One that is awake looks by itself."""
        self._touched = False
        if not self._items or not (self._sleeps or self._start):
            return
        if self._write_now and (left := self._write_now()):
            self._items.appendleft(left)
            self._bytes += _size(left)
        if not self._items:
            return
        if self._start:
            start, self._start = self._start, None
            start()
        else:
            self._sleeps = False  # woken once, however often this is called before it runs
            self._wake.release()

    @property
    def writes_at_once(self) -> bool:
        """Whether what is put goes out as it is, over a WebSocket; else somebody comes and takes it."""
        return self._write_now is not None

    @property
    def sleeps(self) -> bool:
        """Whether a reader waits already. There must be one only."""
        return self._sleeps

    @property
    def waits(self) -> bool:
        """Whether there is something to take."""
        return bool(self._items)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until there is something to take. Returns whether there is."""
        ends_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._items:
            self._sleeps = True
            # A wake-up may come together with the end of a wait, and be found by the next.
            woken = self._wake.acquire(timeout=-1 if ends_s is None else max(0.0, ends_s - time.monotonic()))
            self._sleeps = False
            if not woken:
                break
        return bool(self._items)

    def ends_now(self) -> bool:
        """Whether nothing but ``None`` is left to take; then it has been taken."""
        if self._items and self._items[0] is None:
            self._items.clear()
            return True
        return False

    def take(self, most: int | None = None) -> list[Any]:
        """Take what is there up to a ``None``: so many items at most, and as much as one write takes."""
        taken: list[Any] = []
        size = 0
        while self._items and self._items[0] is not None and size < WRITE_BYTES and len(taken) != most:
            item = self._items.popleft()
            size += _size(item)
            taken.append(item)
        self._bytes -= size
        return taken

    def _make_room(self) -> None:
        before = len(self._items)
        self._items = _merged(self._items)
        self._bytes = sum(map(_size, self._items))
        metrics.MERGED.inc(before - len(self._items))
        if self._bytes > MAX_BYTES // 2:
            metrics.EVENTS_DROPPED.inc(sum(isinstance(item, EncodedEvent) for item in self._items))
            self._items.clear()
            self._bytes = 0
            self.dropped = True
            metrics.DROPPED.inc()
            log.warning("dropped a client that does not read what it asked for")
            self.drop()


_touched: list[SendQueue] = []  # to which something was put since the last flush


def flush() -> None:
    """Send what has been put since the last time, each connection's in one write."""
    while _touched:
        try:
            _touched.pop().flush()
        except Exception:
            log.exception("a client's events could not be sent")  # one client's, and nobody else's


@contextmanager
def flushing() -> Iterator[None]:
    """Flush at the end of the block, however it ends."""
    try:
        yield
    finally:
        flush()


def cut_off(connection: socket) -> None:
    """End a connection at once: a closing message would wait behind all the others."""
    with suppress(OSError):
        connection.shutdown(SHUT_RDWR)


def _size(item: Any) -> int:
    if isinstance(item, EncodedEvent):
        return len(item.payload)
    text = item if isinstance(item, bytes) else getattr(item, "data", None)
    return len(text) + _OTHER_BYTES if isinstance(text, bytes | str) else _OTHER_BYTES


def _merged(items: deque[Any]) -> deque[Any]:
    """Leave out every event that has both an earlier and a later one of its job's phase beside it."""
    last = {_stretch(item): item for item in items if isinstance(item, EncodedEvent)}
    seen = set()
    kept: deque[Any] = deque()
    for item in items:
        if isinstance(item, EncodedEvent):
            stretch = _stretch(item)
            if stretch in seen and item is not last[stretch] and not item.terminal:
                continue
            seen.add(stretch)
        kept.append(item)
    return kept


def _stretch(frame: EncodedEvent) -> tuple[str, bytes]:
    return frame.job_id, frame.phase

"""The bounded send queue of one connection. A slow client affects only itself."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any

from api import metric_definitions
from api.relay.encoded_event import EncodedEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

log = logging.getLogger(__name__)

MAX_BYTES = 4 * 1024 * 1024  # queued for one connection: more than the whole history of the longest job
MAX_WRITE_BYTES = 256 * 1024  # of one write, so that one client does not delay the others
_ITEM_BYTES = 64  # memory of an item that is not an event, in addition to its text


class SendQueue:
    """A queue with many producers and one consumer, which takes all queued items at once.

    The item ``None`` marks the end: nothing after it is sent.

    Above :data:`MAX_BYTES` the queue removes the events between the first and the last of each phase,
    because a later event contains what the earlier ones reported. If that is not enough, it calls ``drop``
    once, and accepts no more items. The client then reconnects and resumes by ``seq``.

    A connection that can be written to without blocking rarely needs a thread as its consumer: see
    :meth:`switch_to_direct_writes`.
    """

    __slots__ = (
        "_bytes",
        "_dirty",
        "_has_waiter",
        "_items",
        "_start_writer",
        "_wake",
        "_write_now",
        "drop",
        "dropped",
    )

    def __init__(self, drop: Callable[[], object] = lambda: None) -> None:
        self.drop = drop
        self.dropped = False
        self._items: deque[Any] = deque()
        self._bytes = 0
        self._has_waiter = False
        self._dirty = False  # whether it is in the list that flush() works off
        self._wake = threading.Lock()
        self._wake.acquire()
        self._write_now: Callable[[], bytes] | None = None
        self._start_writer: Callable[[], object] | None = None

    def switch_to_direct_writes(
        self, write_now: Callable[[], bytes], start_writer: Callable[[], object], first: bytes = b""
    ) -> None:
        """Write ``first`` and the queued items now, and later items when they are put.

        ``write_now`` dequeues and writes without blocking, and returns the bytes that it could not write.
        ``start_writer`` starts a thread that consumes the queue. It is called when bytes are left or the
        queue ends, and then only after the next call of this method.
        """
        self._write_now, self._start_writer = write_now, start_writer
        if first:
            self._items.appendleft(first)
            self._bytes += _size(first)
        self.flush()

    def put(self, item: Any) -> None:
        """Add an item that is not an event, and flush. Never blocks."""
        if self._bytes > MAX_BYTES:  # checked before the item is added: one answer may be larger
            self._merge_or_drop()
        if self.dropped and item is not None:
            return
        self._items.append(item)
        self._bytes += _size(item)
        self.flush()

    def put_event(self, event: EncodedEvent) -> None:
        """Add an event, to be sent by the next :func:`flush`. Never blocks."""
        if self.dropped:
            return
        self._items.append(event)
        self._bytes += len(event.payload)
        if self._bytes > MAX_BYTES:
            self._merge_or_drop()
        if not self._dirty:
            self._dirty = True
            _dirty_queues.append(self)

    def flush(self) -> None:
        """Write the queued items, or wake the consumer that waits. A running consumer needs no wake-up."""
        self._dirty = False
        if not self._items or not (self._has_waiter or self._start_writer):
            return
        if self._write_now and (left := self._write_now()):
            self._items.appendleft(left)
            self._bytes += _size(left)
        if not self._items:
            return
        if self._start_writer:
            start_writer, self._start_writer = self._start_writer, None
            start_writer()
        else:
            self._has_waiter = False  # released once, however often this is called before the consumer runs
            self._wake.release()

    @property
    def is_direct(self) -> bool:
        """Whether items are written to a WebSocket when they are put. Otherwise a consumer takes them."""
        return self._write_now is not None

    @property
    def has_waiter(self) -> bool:
        """Whether a consumer waits for items. There must be only one."""
        return self._has_waiter

    @property
    def has_items(self) -> bool:
        """Whether items are queued."""
        return bool(self._items)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until items are queued, at most ``timeout_s`` seconds. Return whether there are any."""
        ends_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._items:
            self._has_waiter = True
            # A release may coincide with the timeout. Then the next wait finds it.
            woken = self._wake.acquire(timeout=-1 if ends_s is None else max(0.0, ends_s - time.monotonic()))
            self._has_waiter = False
            if not woken:
                break
        return bool(self._items)

    def drained_to_end(self) -> bool:
        """Whether the end is the next item. If so, the queue is emptied."""
        if self._items and self._items[0] is None:
            self._items.clear()
            return True
        return False

    def dequeue(self, max_items: int | None = None) -> list[Any]:
        """Remove and return items up to the end: ``max_items``, and the bytes of one write, at most."""
        items: list[Any] = []
        size = 0
        while (
            self._items and self._items[0] is not None and size < MAX_WRITE_BYTES and len(items) != max_items
        ):
            item = self._items.popleft()
            size += _size(item)
            items.append(item)
        self._bytes -= size
        return items

    def _merge_or_drop(self) -> None:
        before = len(self._items)
        self._items = _merged(self._items)
        self._bytes = sum(map(_size, self._items))
        metric_definitions.MERGED.inc(before - len(self._items))
        if self._bytes > MAX_BYTES // 2:
            metric_definitions.EVENTS_DROPPED.inc(sum(isinstance(item, EncodedEvent) for item in self._items))
            self._items.clear()
            self._bytes = 0
            self.dropped = True
            metric_definitions.DROPPED.inc()
            log.warning("dropped a client: its send queue is full, because it reads too slowly")
            self.drop()


_dirty_queues: list[SendQueue] = []  # the queues with events that were put since the last flush


def flush() -> None:
    """Send the events put since the last flush, each connection's in one write."""
    while _dirty_queues:
        try:
            _dirty_queues.pop().flush()
        except Exception:
            log.exception("a client's events could not be sent")  # the other clients' must be


def abort(connection: socket) -> None:
    """Shut a connection down at once: a close message would wait behind the queued items."""
    with suppress(OSError):
        connection.shutdown(SHUT_RDWR)


def _size(item: Any) -> int:
    if isinstance(item, EncodedEvent):
        return len(item.payload)
    text = item if isinstance(item, bytes) else getattr(item, "data", None)
    return len(text) + _ITEM_BYTES if isinstance(text, bytes | str) else _ITEM_BYTES


def _merged(items: deque[Any]) -> deque[Any]:
    """Return the items without the events between the first and the last of a job's phase."""
    last = {_phase_key(item): item for item in items if isinstance(item, EncodedEvent)}
    seen = set()
    kept: deque[Any] = deque()
    for item in items:
        if isinstance(item, EncodedEvent):
            key = _phase_key(item)
            if key in seen and item is not last[key] and not item.terminal:
                continue
            seen.add(key)
        kept.append(item)
    return kept


def _phase_key(event: EncodedEvent) -> tuple[str, bytes]:
    return event.job_id, event.phase

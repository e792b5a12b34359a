"""A connection as the relay sees it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.relay.encoded_event import EncodedEvent

ENDED = sys.maxsize  # as a cursor: no event can follow


@dataclass(eq=False, slots=True)
class Subscriber:
    """The rooms and cursors of one connection, and the callables that fill its send queue.

    ``put_event`` queues an event. ``put_gap`` queues a report that a job's events have expired: its arguments
    are the job id and the ``seq`` of the oldest event left, which is queued next. ``put_ping`` queues a ping
    of a WebSocket; it is ``None`` for other transports. They must not block.
    """

    put_event: Callable[[EncodedEvent], object]
    put_gap: Callable[[str, int], object]
    put_ping: Callable[[bytes], object] | None = None
    rooms: dict[str, int] = field(default_factory=dict)  # → serial of the newest job when it joined
    cursors: dict[str, int] = field(default_factory=dict)  # job → seq of the latest event queued
    # Unfinished job with a cursor → the job's rooms. `followed`: it is in one of them. `left`: it has left
    # them all, and the job that it left first comes first.
    followed: dict[str, frozenset[str]] = field(default_factory=dict)
    left: dict[str, frozenset[str]] = field(default_factory=dict)
    gone: bool = False

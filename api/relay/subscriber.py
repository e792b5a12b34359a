"""One connection, as the relay sees it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.relay.encoded_event import EncodedEvent

ENDED = sys.maxsize  # as a cursor: nothing can follow


@dataclass(eq=False, slots=True)
class Subscriber:
    """One connection. ``put`` queues an event for it; ``gap`` a word that events are gone.

    Of the latter, job and the ``seq`` of the oldest event left, which comes next. ``probe`` queues a
    WebSocket's ping, where there is one. None may wait for the client.
    """

    put: Callable[[EncodedEvent], object]
    gap: Callable[[str, int], object]
    probe: Callable[[bytes], object] | None = None
    rooms: dict[str, int] = field(default_factory=dict)  # → serial of the newest job when it joined
    cursors: dict[str, int] = field(default_factory=dict)  # job → seq of the latest event put
    gone: bool = False

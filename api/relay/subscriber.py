"""One connected client, on any transport."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from api.relay.send_queue import SendQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.auth.caller import Caller

ENDED = sys.maxsize  # as a cursor: no event can follow
GOING_AWAY = ("going_away", "this gateway is shutting down: reconnect")


class Subscriber(SendQueue):
    """A client with its caller, its rooms, its cursors, and its send queue. Each transport has a subclass.

    ``rooms`` maps a room to the serial of the newest job when the client joined. ``cursors`` maps a job to
    the ``seq`` of the latest event queued. ``followed`` and ``left`` map each unfinished job with a cursor to
    the job's rooms. The client is in at least one room of a followed job. It has left all rooms of the
    others, the earliest first. No method blocks.
    """

    __slots__ = ("caller", "cursors", "followed", "gone", "left", "rooms")

    caller: Caller  # set when it has connected
    answers_pings = False  # whether the client is a WebSocket, so that a ping may be put

    def __init__(self, drop: Callable[[], object] = lambda: None) -> None:
        super().__init__(drop)
        self.rooms: dict[str, int] = {}
        self.cursors: dict[str, int] = {}
        self.followed: dict[str, frozenset[str]] = {}
        self.left: dict[str, frozenset[str]] = {}
        self.gone = False

    def put_gap(self, job_id: str, oldest_seq: int) -> None:
        """Queue a report that a job's events before ``oldest_seq`` have expired."""
        raise NotImplementedError

    def close(self, reason: tuple[str, str]) -> None:
        """Report the code and message of the reason to the client, and close after the queued items."""
        raise NotImplementedError

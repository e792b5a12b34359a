"""Those who want to join a room or to resume a job, until the relay's loop has let them in."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.errors import RelayUnavailableError, TooManyRoomsError
from api.relay.encoded_event import frames_of
from api.relay.membership import channel_of, yield_to_others
from api.relay.subscriber import ENDED
from cto_worker.errors import EventsGoneError, JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from api.relay.encoded_event import EncodedEvent
    from api.relay.membership import RoomMembership
    from api.relay.subscriber import Subscriber
    from cto_worker.store.history import History, StoredEvent, StoredEvents

JOIN_TIMEOUT_S = 5.0
ADMITTED_AT_ONCE = 100  # readers, before events go out again


@dataclass(eq=False, slots=True)
class Request:
    """To join a room, or, with ``after``, to resume the job whose room it is.

    The room of an ``ended`` job gets no more events, so nobody is put into it.
    """

    subscriber: Subscriber
    room: str
    job_id: str = ""
    after: int | None = None
    ended: bool = False
    answer: Callable[[list[EncodedEvent]], object] = lambda _: None
    error: Exception | None = None
    given_up: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class JoinQueue:
    """The requests. All but :meth:`ask` is the loop's, which ``wake`` makes look at them."""

    def __init__(self, history: History, membership: RoomMembership, wake: Callable[[], object]) -> None:
        self._history, self._membership, self._wake = history, membership, wake
        self._asked: deque[Request] = deque()  # not yet seen by the loop
        self._waiting: list[Request] = []  # for their channel's confirmation
        self._woken = False  # whether somebody has woken the loop since it last looked

    def ask(self, request: Request) -> None:
        """Wait until a request is served. Raises what :meth:`api.relay.relay.Relay.resume` does."""
        self._asked.append(request)
        if not self._woken:
            self._woken = True
            self._wake()
        if not request.done.wait(JOIN_TIMEOUT_S):
            request.given_up = True
            raise RelayUnavailableError("the store did not confirm the subscription in time")
        if request.error:
            raise request.error

    def changed(self) -> bool:
        """Whether other channels may be needed since :meth:`channels` was asked."""
        return bool(self._asked)

    def channels(self) -> set[bytes]:
        """What must be subscribed to for those who have asked so far."""
        self._woken = False
        while self._asked:
            self._waiting.append(self._asked.popleft())
        self._waiting = [request for request in self._waiting if not request.given_up]
        return {channel_of(request.room) for request in self._waiting}

    def admit(self, confirmed: Collection[bytes]) -> None:
        """Serve those whose channels are confirmed, with one question to the journal for many."""
        ready = [request for request in self._waiting if channel_of(request.room) in confirmed]
        for first in range(0, len(ready), ADMITTED_AT_ONCE):
            if first:
                yield_to_others()
            try:
                self._serve(ready[first : first + ADMITTED_AT_ONCE])
            finally:  # what is served must not be served again after an error
                self._waiting = [request for request in self._waiting if not request.done.is_set()]

    def _serve(self, requests: list[Request]) -> None:
        joining = [request for request in requests if request.after is None]
        resuming = [request for request in requests if request.after is not None]
        # Asked for first: whatever job is newer and not among those shown now comes after joining.
        latest_serial = self._history.latest_serial() if joining else 0
        opened = self._history.unfinished_jobs_of_rooms([request.room for request in joining])
        missed = self._history.events_of([(request.job_id, request.after or 0) for request in resuming])
        for request, jobs in zip(joining, opened, strict=True):
            self._show(request, jobs, latest_serial)
            request.done.set()
        for request, stored in zip(resuming, missed, strict=True):
            self._bring(request, stored)
            request.done.set()

    def _show(self, request: Request, opened: list[StoredEvent], latest_serial: int) -> None:
        subscriber = request.subscriber
        if request.given_up or subscriber.gone or request.ended or not self._may_enter(request):
            return
        self._membership.enter(subscriber, request.room, latest_serial)
        for frame in frames_of(stored.event for stored in opened):
            if frame.job_id in subscriber.cursors:
                self._membership.replay(
                    {frame.job_id: [subscriber]}
                )  # it follows the job already, or once did
            else:
                subscriber.put(frame)
                subscriber.cursors[frame.job_id] = frame.seq

    def _bring(self, request: Request, stored: StoredEvents | None) -> None:
        if stored is None:
            request.error = JobNotFoundError(request.job_id)
            return
        frames, after, cursors = (
            list(frames_of(stored.events)),
            request.after or 0,
            request.subscriber.cursors,
        )
        if frames and frames[0].seq > after + 1:
            request.error = EventsGoneError(request.job_id, frames[0].seq)
        elif not (request.given_up or request.subscriber.gone) and self._may_enter(request):
            try:
                request.answer(frames)
            except Exception as error:  # noqa: BLE001 - whose answer it is gets it
                request.error = error
                return
            ended = request.ended or any(frame.terminal for frame in frames[-1:])
            reached = ENDED if ended else max((frame.seq for frame in frames[-1:]), default=0)
            before = cursors.get(request.job_id, 0)
            cursors[request.job_id] = max(after, before, reached)
            if not ended:
                self._membership.enter(request.subscriber, request.room)
            elif before != ENDED:
                self._membership.end(request.job_id, [request.subscriber])

    def _may_enter(self, request: Request) -> bool:
        """Whether the reader may be in the room, too; else the request fails."""
        if request.ended or self._membership.has_place(request.subscriber, request.room):
            return True
        request.error = TooManyRoomsError(self._membership.most_rooms)
        return False

"""Requests to join a room or to resume a job, until the relay's loop has served them."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.errors import RelayUnavailableError, TooManyRoomsError
from api.relay.encoded_event import valid_events
from api.relay.room_delivery import channel_of, yield_to_others
from api.relay.subscriber import ENDED
from cto_worker.errors import EventsGoneError, JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from api.relay.encoded_event import EncodedEvent
    from api.relay.room_delivery import RoomDelivery
    from api.relay.subscriber import Subscriber
    from cto_worker.store.journal_queries import JournalQueries, StoredEvent, StoredEvents

JOIN_TIMEOUT_S = 5.0
BATCH_SIZE = 100  # requests that are served before queued events are sent


@dataclass(eq=False, slots=True)
class JoinRequest:
    """A request to join a room. With ``after`` it is a request to resume the room's job.

    The room of an ``ended`` job gets no more events, so the subscriber is not added to it. ``archived`` has
    the events of a job that the store does not have any more.
    """

    subscriber: Subscriber
    room: str
    job_id: str = ""
    after: int | None = None
    ended: bool = False
    archived: StoredEvents | None = None
    answer: Callable[[list[EncodedEvent]], object] = lambda _: None
    error: Exception | None = None
    timed_out: bool = False
    served: bool = False
    _done: threading.Lock = field(init=False, default_factory=threading.Lock)  # an Event has three

    def __post_init__(self) -> None:
        self._done.acquire()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the request is served. Return whether it is. May be called once."""
        return self._done.acquire(timeout=timeout_s)

    def finish(self) -> None:
        """Wake the thread that waits. May be called once."""
        self.served = True
        self._done.release()


class JoinQueue:
    """The queue of join requests. Any thread calls :meth:`submit`; only the relay's loop calls the rest.

    ``wake`` makes the loop look at the queue.
    """

    def __init__(self, history: JournalQueries, delivery: RoomDelivery, wake: Callable[[], object]) -> None:
        self._history, self._delivery, self._wake = history, delivery, wake
        self._new: deque[JoinRequest] = deque()  # not yet seen by the loop
        self._waiting: list[JoinRequest] = []  # for the confirmation of their channel
        self._woken = False  # whether the loop has been woken since it last looked

    def submit(self, request: JoinRequest) -> None:
        """Wait until a request is served. Raises what :meth:`api.relay.relay.Relay.resume` does."""
        self._new.append(request)
        if not self._woken:
            self._woken = True
            self._wake()
        if not request.wait(JOIN_TIMEOUT_S):
            request.timed_out = True
            raise RelayUnavailableError("the store did not confirm the subscription in time: try again")
        if request.error:
            raise request.error

    def has_new_requests(self) -> bool:
        """Return whether requests were submitted since the last call of :meth:`channels`."""
        return bool(self._new)

    def channels(self) -> set[bytes]:
        """Return the channels that the requests submitted so far need."""
        self._woken = False
        while self._new:
            self._waiting.append(self._new.popleft())
        self._waiting = [request for request in self._waiting if not request.timed_out]
        return {channel_of(request.room) for request in self._waiting}

    def serve_confirmed(self, confirmed: Collection[bytes]) -> None:
        """Serve the requests whose channels are confirmed, with one journal query per batch."""
        ready = [request for request in self._waiting if channel_of(request.room) in confirmed]
        for first in range(0, len(ready), BATCH_SIZE):
            if first:
                yield_to_others()
            try:
                self._serve(ready[first : first + BATCH_SIZE])
            finally:  # a served request must not be served again after an error
                self._waiting = [request for request in self._waiting if not request.served]

    def _serve(self, requests: list[JoinRequest]) -> None:
        joining = [request for request in requests if request.after is None]
        archived = [request for request in requests if request.archived]
        resuming = [request for request in requests if request.after is not None and not request.archived]
        # Read the serial before the jobs. A job that is accepted between the two reads then has a higher
        # serial, and counts as accepted after the join.
        latest_serial = self._history.latest_serial() if joining else 0
        unfinished = self._history.unfinished_jobs_of_rooms([request.room for request in joining])
        missed = self._history.events_of_jobs([(request.job_id, request.after or 0) for request in resuming])
        for request, jobs in zip(joining, unfinished, strict=True):
            self._serve_join(request, jobs, latest_serial)
            request.finish()
        found = [*zip(resuming, missed, strict=True), *((request, request.archived) for request in archived)]
        for request, stored in found:
            self._serve_resume(request, stored)
            request.finish()

    def _serve_join(self, request: JoinRequest, latest: list[StoredEvent], latest_serial: int) -> None:
        subscriber = request.subscriber
        if request.timed_out or subscriber.gone or request.ended or not self._check_room_limit(request):
            return
        self._delivery.add(subscriber, request.room, latest_serial)
        for event in valid_events(stored.event for stored in latest):
            if event.job_id in subscriber.cursors:  # it follows the job, or followed it before
                self._delivery.replay({event.job_id: [subscriber]})
            else:
                subscriber.put_event(event)
                subscriber.cursors[event.job_id] = event.seq
                self._delivery.follow(subscriber, event.job_id, self._delivery.rooms_of(event))

    def _serve_resume(self, request: JoinRequest, stored: StoredEvents | None) -> None:
        if stored is None:
            request.error = JobNotFoundError(request.job_id)
            return
        events, after = list(valid_events(stored.events)), request.after or 0
        if events and events[0].seq > after + 1:
            request.error = EventsGoneError(request.job_id, events[0].seq)
        elif not (request.timed_out or request.subscriber.gone) and self._check_room_limit(request):
            try:
                request.answer(events)
            except Exception as error:  # noqa: BLE001 - raised to the thread that submitted the request
                request.error = error
                return
            self._advance(request, events, stored.rooms)

    def _advance(self, request: JoinRequest, events: list[EncodedEvent], rooms: list[str]) -> None:
        """Move the cursor to the last event of the answer, and follow the job unless it has ended."""
        cursors, job_id = request.subscriber.cursors, request.job_id
        ended = request.ended or any(event.terminal for event in events[-1:])
        reached = ENDED if ended else max((event.seq for event in events[-1:]), default=0)
        before = cursors.get(job_id, 0)
        cursors[job_id] = max(request.after or 0, before, reached)
        if not ended:
            self._delivery.add(request.subscriber, request.room)
            self._delivery.follow(request.subscriber, job_id, rooms)
        elif before != ENDED:
            self._delivery.end_job(job_id, [request.subscriber])

    def _check_room_limit(self, request: JoinRequest) -> bool:
        """Return whether the subscriber may be in the room. If not, the request fails."""
        rooms, max_rooms = request.subscriber.rooms, self._delivery.max_rooms
        if request.ended or request.room in rooms or len(rooms) < max_rooms:
            return True
        request.error = TooManyRoomsError(max_rooms)
        return False

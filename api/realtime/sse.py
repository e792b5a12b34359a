"""Server-Sent Events: the events of one job, or of all jobs of a user, for ``EventSource``.

A stream first joins its room, and then reads the missed events from the journal. Events that arrive both ways
are sent once. So no event is missed or repeated, and the two sources need no coordination.
"""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request
from redis.exceptions import RedisError

from api.auth.authentication import caller
from api.auth.caller import Action
from api.errors import RoomError
from api.realtime.room_access import MAX_SEQ
from api.realtime.user_stream_cursor import UserStreamCursor
from api.relay.encoded_event import EncodedEvent, gap, rooms_of, server_sent_event, valid_events
from api.relay.send_queue import abort
from api.relay.subscriber import GOING_AWAY, Subscriber
from api.rest.job_filter_parsing import check_user_id
from api.rest.request_parsing import integer, parse_job_id, query, wrong
from cto_worker.domain.ids_and_rooms import job_room, user_room
from cto_worker.domain.progress_event import dumps
from cto_worker.errors import ArchiveUnavailableError, JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from api.realtime.client_service import ClientService
    from cto_worker.store.journal_queries import JournalQueries

log = logging.getLogger(__name__)

# After a client closes, the first write causes a reset, and the second write fails.
HEARTBEAT_S = 7
HEARTBEAT = b": \n\n"
UNACKNOWLEDGED_MS = 15_000  # a client that acknowledges no bytes for this long is gone


def blueprint(service: ClientService) -> Blueprint:
    """Return the SSE routes of a job and of a user."""
    routes = Blueprint("streams", __name__, url_prefix="/api/cto")
    history = service.history

    @routes.get("/job/<job_id>/stream")
    def job_stream(job_id: str) -> Response:
        parameters = query(request, ["after", "token"])
        with service.lookup_slots.slot():
            latest = history.latest(parse_job_id(job_id))
        if latest is None or not caller().may(Action.READ, latest.user_id):
            raise JobNotFoundError(job_id)
        after = integer(parameters, "after", 0, MAX_SEQ - 1, latest.seq - 1)
        after = integer(_last_event_id(), "Last-Event-ID", 0, MAX_SEQ - 1, after)
        if after >= latest.seq and EncodedEvent(latest.event).terminal:
            return Response(status=204)  # the only answer after which an EventSource does not reconnect
        stream = _Stream(service, job_room(job_id), UserStreamCursor([(job_id, after)]), only=job_id)
        return stream.response(lambda: [job_id])

    @routes.get("/stream")
    def user_stream() -> Response:
        parameters = query(request, ["after", "token", "userId"])
        user_id = parameters.get("userId", caller().user_id)
        if user_id is None:
            raise wrong("userId", "Add ?userId=…: the request is not authenticated as a user.")
        check_user_id(caller(), user_id)
        room = user_room(user_id)
        cursor = None
        for name, text in [*parameters.items(), *_last_event_id().items()]:  # the header takes precedence
            if name in {"after", "Last-Event-ID"}:
                cursor = _parse_cursor(name, text)
        if cursor is None:
            with service.lookup_slots.slot():
                start = _start(history, user_id, room)
            return _Stream(service, room, start).response(list)
        return _Stream(service, room, cursor).response(lambda: _behind(history, user_id, room, cursor))

    return routes


def _last_event_id() -> dict[str, str]:
    """Return the header by which an ``EventSource`` resumes. An empty one counts as absent."""
    text = request.headers.get("Last-Event-ID")
    return {"Last-Event-ID": text} if text else {}


def _parse_cursor(name: str, text: str) -> UserStreamCursor:
    cursor = UserStreamCursor.parse(text)
    if cursor is None:
        raise wrong(name, "Must be the id of an event of this stream.")
    return cursor


def _start(history: JournalQueries, user_id: str, room: str) -> UserStreamCursor:
    """Return the start of a user's stream: the cursor before the latest event of each unfinished job."""
    seqs = {stored.job_id: stored.seq - 1 for stored in history.unfinished_jobs(room)}
    newest = next(iter(history.page(user_id, None, 1).jobs), None)
    if newest:  # it must be the last entry
        seqs[newest.job_id] = seqs.pop(newest.job_id, EncodedEvent(newest.event).seq)
    cursor = UserStreamCursor(seqs.items())
    if newest and EncodedEvent(newest.event).terminal:
        cursor.end(newest.job_id)
    return cursor


def _behind(history: JournalQueries, user_id: str, room: str, cursor: UserStreamCursor) -> list[str]:
    """Return the jobs whose events a client at this cursor may have missed."""
    newer = history.jobs_after(user_id, cursor.newest)
    # Includes the jobs of other owners, and those that the cursor's text omits.
    unfinished = [stored.job_id for stored in history.unfinished_jobs(room)]
    return list(dict.fromkeys([*cursor.jobs, *newer, *unfinished]))


class _Stream(Subscriber):
    """The client of one streaming response: the missed events, then the live ones."""

    def __init__(
        self, service: ClientService, room: str, cursor: UserStreamCursor, only: str | None = None
    ) -> None:
        super().__init__()
        self._service = service
        self._room = room
        self._cursor = cursor
        self._only = only  # the job whose last event ends the stream
        self._ended = False
        service.connect(self, caller())

    def response(self, behind: Callable[[], list[str]]) -> Response:
        """Join the room, read which jobs the client is ``behind`` on, and return the response."""
        self.drop = partial(self._drop, _connection())
        try:
            self._service.relay.join(self, self._room)
            with self._service.lookup_slots.slot():
                jobs = behind()
            response = Response(self._events(jobs), mimetype="text/event-stream")
        except BaseException:
            self._leave()
            raise
        response.call_on_close(self._leave)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"  # nginx would buffer the events
        return response

    def _events(self, behind: Iterable[str]) -> Iterator[bytes]:
        # The first bytes send the headers. A user's stream has an id before it has an event.
        yield HEARTBEAT if self._only else b"id: %b\n\n" % str(self._cursor).encode()
        try:
            for job_id in behind:
                yield from self._catch_up(job_id)
        except (RedisError, RoomError, ArchiveUnavailableError) as error:
            log.warning("ended a stream, which its client will resume: %s", error)
            return
        while not self._ended:
            if not self.wait(HEARTBEAT_S):
                yield HEARTBEAT
            elif self.drained_to_end():
                return
            else:
                yield b"".join(map(self._encoded, self.dequeue()))

    def _catch_up(self, job_id: str) -> Iterator[bytes]:
        """Yield the events of a job that the journal has and the client lacks."""
        # The last event that the client has is read again: it may be the job's last.
        with self._service.lookup_slots.slot():
            stored = self._service.history.events(job_id, max(0, self._cursor.seq(job_id) - 1))
        events = list(valid_events(stored.events)) if stored else []
        if not events or self._room not in rooms_of(events[0]):  # expired, or not a job of this room
            self._cursor.end(job_id)
            return
        yield self._gap(job_id, events[0].seq)
        for event in events:
            yield self._entry(event)

    def _gap(self, job_id: str, oldest_seq: int) -> bytes:
        if oldest_seq <= self._cursor.seq(job_id) + 1:
            return b""
        return b"event: gap\ndata: %b\n\n" % gap(job_id, oldest_seq)

    def _encoded(self, item: EncodedEvent | bytes | tuple[str, int]) -> bytes:
        if isinstance(item, bytes):
            return item
        return self._entry(item) if isinstance(item, EncodedEvent) else self._gap(*item)

    def _entry(self, event: EncodedEvent) -> bytes:
        if not self._cursor.advance(event):
            return b""
        self._ended = event.terminal and self._only is not None
        entry_id = event.seq if self._only else self._cursor
        return b"id: %b\n" % str(entry_id).encode() + event.rendered(server_sent_event)

    def _leave(self) -> None:
        self._service.disconnect(self)

    def put_gap(self, job_id: str, oldest_seq: int) -> None:
        """Queue a gap. It is omitted if the client has received these events meanwhile."""
        self.put((job_id, oldest_seq))

    def close(self, reason: tuple[str, str]) -> None:
        """End the stream after the queued items."""
        if reason is not GOING_AWAY:
            error = dumps(dict(zip(("code", "message"), reason, strict=True)))
            self.put(b"event: auth_expired\ndata: %b\n\n" % error)
        self._leave()
        self.put(None)

    def _drop(self, connection: socket.socket | None) -> None:
        if connection:
            abort(connection)
        self.put(None)


def _connection() -> socket.socket | None:
    """Return the client's connection if the server provides it, with a timeout for clients that are gone."""
    connection: socket.socket | None = request.environ.get("werkzeug.socket")
    if connection and hasattr(socket, "TCP_USER_TIMEOUT"):
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
    return connection

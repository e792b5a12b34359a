"""Server-Sent Events: the events of one job, or of all jobs of a user, for ``EventSource``.

A stream joins its room first, and then reads what the client misses from the journal; what comes by both ways
is sent once. So nothing is missing and nothing comes twice, without the two having to be kept apart.
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
from api.auth.policy import Action
from api.errors import RoomError
from api.realtime.connections import CloseReason
from api.realtime.room_access import MAX_SEQ
from api.realtime.stream_cursor import StreamCursor
from api.relay.encoded_event import EncodedEvent, frames_of, gap, rooms_of, server_sent_event
from api.relay.send_queue import SendQueue, cut_off
from api.relay.subscriber import Subscriber
from api.rest.jobs import check_user_id
from api.rest.request_parsing import integer, parse_job_id, query, wrong
from cto_worker.domain.events import dumps
from cto_worker.domain.ids import job_room, user_room
from cto_worker.errors import JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from api.realtime.sessions import SessionService
    from cto_worker.store.history import History

log = logging.getLogger(__name__)

# To a client that has closed, the first write is answered by a reset, and the next one fails.
HEARTBEAT_S = 7
HEARTBEAT = b": \n\n"
UNHEARD_MS = 15_000  # a client that takes nothing in for so long is gone


def blueprint(sessions: SessionService) -> Blueprint:
    """Return the two routes."""
    routes = Blueprint("streams", __name__, url_prefix="/api/cto")
    history = sessions.history

    @routes.get("/job/<job_id>/stream")
    def job_stream(job_id: str) -> Response:
        parameters = query(request, ["after", "token"])
        with sessions.turns.slot():
            latest = history.latest(parse_job_id(job_id))
        if latest is None or not caller().may(Action.READ, latest.user_id):
            raise JobNotFoundError(job_id)
        after = integer(parameters, "after", 0, MAX_SEQ - 1, latest.seq - 1)
        after = integer(_last_event_id(), "Last-Event-ID", 0, MAX_SEQ - 1, after)
        if after >= latest.seq and EncodedEvent(latest.event).terminal:
            return Response(status=204)  # the one answer on which an EventSource does not come again
        stream = _Stream(sessions, job_room(job_id), StreamCursor([(job_id, after)]), only=job_id)
        return stream.response(lambda: [job_id])

    @routes.get("/stream")
    def user_stream() -> Response:
        who = caller()
        parameters = query(request, ["after", "token", "userId"])
        user_id = parameters.get("userId", who.user_id)
        if user_id is None:
            raise wrong("userId", "Must name whose stream it is, for you are no user yourself.")
        check_user_id(who, user_id)
        room = user_room(user_id)
        position = None
        for name, text in [*parameters.items(), *_last_event_id().items()]:  # the header counts more
            if name in {"after", "Last-Event-ID"}:
                position = _position(name, text)
        if position is None:
            with sessions.turns.slot():
                beginning = _beginning(history, user_id, room)
            return _Stream(sessions, room, beginning).response(list)
        return _Stream(sessions, room, position).response(lambda: _missed(history, user_id, room, position))

    return routes


def _last_event_id() -> dict[str, str]:
    """Return the header, by which an ``EventSource`` resumes, unless it is empty: then it has no id yet."""
    text = request.headers.get("Last-Event-ID")
    return {"Last-Event-ID": text} if text else {}


def _position(name: str, text: str) -> StreamCursor:
    position = StreamCursor.parse(text)
    if position is None:
        raise wrong(name, "Must be the id of an event of this stream.")
    return position


def _beginning(history: History, user_id: str, room: str) -> StreamCursor:
    """Where a user's stream begins: before the latest event of each open job."""
    seqs = {stored.job_id: stored.seq - 1 for stored in history.open_jobs(room)}
    newest = next(iter(history.page(user_id, None, 1).jobs), None)
    if newest:
        seqs[newest.job_id] = seqs.pop(
            newest.job_id, EncodedEvent(newest.event).seq
        )  # the newest is the last
    position = StreamCursor(seqs.items())
    if newest and EncodedEvent(newest.event).terminal:
        position.end(newest.job_id)
    return position


def _missed(history: History, user_id: str, room: str, position: StreamCursor) -> list[str]:
    """The jobs of which a client at this position may lack something."""
    newer = history.jobs_after(user_id, position.newest)
    # Also those that others own, and those that a position has no place for.
    still_open = [stored.job_id for stored in history.open_jobs(room)]
    return list(dict.fromkeys([*position.jobs, *newer, *still_open]))


class _Stream:
    """One answer that goes on: what a client misses, then what happens."""

    def __init__(
        self, sessions: SessionService, room: str, position: StreamCursor, only: str | None = None
    ) -> None:
        self._sessions = sessions
        self._room = room
        self._position = position
        self._only = only  # the one job whose end is the end of the stream
        self._ended = False
        self._send_queue = SendQueue()
        self._reader = Subscriber(self._send_queue.put_frame, lambda *gone: self._send_queue.put(gone))
        self._connection = sessions.open(caller(), self._end, self._cut_off)

    def response(self, missed: Callable[[], list[str]]) -> Response:
        """Join the room, then look for the jobs of which something was ``missed``, and answer."""
        self._send_queue.drop = partial(self._drop, _connection())
        try:
            self._sessions.relay.join(self._reader, self._room)
            with self._sessions.turns.slot():
                jobs = missed()
            response = Response(self._events(jobs), mimetype="text/event-stream")
        except BaseException:
            self._leave()
            raise
        response.call_on_close(self._leave)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
        return response

    def _events(self, missed: Iterable[str]) -> Iterator[bytes]:
        # At once, so that the headers go out. A user's stream has an id before it has an event.
        yield HEARTBEAT if self._only else b"id: %b\n\n" % str(self._position).encode()
        try:
            for job_id in missed:
                yield from self._catch_up(job_id)
        except (RedisError, RoomError) as error:
            log.warning("a stream ends, to be resumed: %s", error)
            return
        while not self._ended:
            if not self._send_queue.wait(HEARTBEAT_S):
                yield HEARTBEAT
            elif self._send_queue.ends_now():
                return
            else:
                yield b"".join(map(self._taken, self._send_queue.take()))

    def _catch_up(self, job_id: str) -> Iterator[bytes]:
        """What the journal holds of a job and the client has not got."""
        # The event that it has is read again: it may have been the last.
        with self._sessions.turns.slot():
            stored = self._sessions.history.events(job_id, max(0, self._position.seq(job_id) - 1))
        frames = list(frames_of(stored.events)) if stored else []
        if not frames or self._room not in rooms_of(frames[0]):  # forgotten since, or never its own
            self._position.end(job_id)
            return
        yield self._gap(job_id, frames[0].seq)
        for frame in frames:
            yield self._sent(frame)

    def _gap(self, job_id: str, oldest_seq: int) -> bytes:
        if oldest_seq <= self._position.seq(job_id) + 1:
            return b""
        return b"event: gap\ndata: %b\n\n" % gap(job_id, oldest_seq)

    def _taken(self, item: EncodedEvent | bytes | tuple[str, int]) -> bytes:
        if isinstance(item, bytes):
            return item
        return self._sent(item) if isinstance(item, EncodedEvent) else self._gap(*item)

    def _sent(self, frame: EncodedEvent) -> bytes:
        if not self._position.move(frame):
            return b""
        self._ended = frame.terminal and self._only is not None
        position = frame.seq if self._only else self._position
        return b"id: %b\n" % str(position).encode() + frame.form(server_sent_event)

    def _leave(self) -> None:
        self._sessions.connections.close(self._connection)
        self._sessions.relay.forget(self._reader)

    def _end(self, ending: CloseReason) -> None:
        if ending is not CloseReason.GOING_AWAY:
            said = dumps({"code": ending.code, "message": ending.message})
            self._send_queue.put(b"event: auth_expired\ndata: %b\n\n" % said)
        self._leave()
        self._send_queue.put(None)

    def _cut_off(self) -> None:
        self._send_queue.drop()

    def _drop(self, connection: socket.socket | None) -> None:
        if connection:
            cut_off(connection)
        self._send_queue.put(None)


def _connection() -> socket.socket | None:
    """The client's connection, where the server tells it; set so that a client that is gone is noticed."""
    connection: socket.socket | None = request.environ.get("werkzeug.socket")
    if connection and hasattr(socket, "TCP_USER_TIMEOUT"):
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)
    return connection

"""One event on its way to the clients: not decoded again, and rendered once per wire format."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from api.relay.websocket_frame_encoder import text_frame
from cto_worker.domain.ids_and_rooms import rooms
from cto_worker.domain.progress_event import dumps, peek_header
from cto_worker.errors import InvalidEventError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

log = logging.getLogger(__name__)


class EncodedEvent:
    """An event as it was encoded when it was written, with the fields that the relay needs."""

    __slots__ = ("_rendered", "job_id", "payload", "seq", "terminal")

    def __init__(self, payload: bytes) -> None:
        """Raises :class:`~cto_worker.errors.InvalidEventError` when ``payload`` is not an event."""
        self.payload = payload
        self.job_id, self.seq, self.terminal = peek_header(payload)
        self._rendered: dict[Callable[[EncodedEvent], bytes], bytes] = {}

    def rendered(self, render: Callable[[EncodedEvent], bytes]) -> bytes:
        """Return ``render(self)``, which is called once per event."""
        text = self._rendered.get(render)
        if text is None:
            text = self._rendered[render] = render(self)
        return text

    @property
    def phase(self) -> bytes:
        """The digit of the event's phase."""
        at = self.payload.find(b'"phase":') + 8
        return self.payload[at : at + 1]

    @property
    def timestamp_ms(self) -> int:
        """When the event was made, by the clock of that process: milliseconds since the epoch."""
        return int(self.payload.partition(b'"timestamp":')[2].partition(b",")[0])


def valid_event(payload: bytes) -> EncodedEvent | None:
    """Return the event, or log and return ``None`` if ``payload`` is not valid.

    One invalid payload must not delay the valid events.
    """
    try:
        return EncodedEvent(payload)
    except InvalidEventError as error:
        log.warning("skipped: %s", error)
        return None


def valid_events(payloads: Iterable[bytes]) -> Iterator[EncodedEvent]:
    """Return the events of the valid payloads; see :func:`valid_event`."""
    return filter(None, map(valid_event, payloads))


def rooms_of(event: EncodedEvent) -> set[str]:
    """Return every room that gets this event."""
    fields = json.loads(event.payload)
    return set(rooms(event.job_id, fields.get("userId"), fields.get("socketUserId")))


def resume_fields(events: list[EncodedEvent], after: int) -> bytes:
    """Return the members ``events`` and ``latestSeq`` of the JSON object that answers a ``resume``.

    ``after`` is the ``seq`` that the client named.
    """
    payloads = b",".join(event.payload for event in events)
    return b'"events":[%b],"latestSeq":%d' % (payloads, events[-1].seq if events else after)


def gap(job_id: str, oldest_seq: int) -> bytes:
    """Return the JSON object which reports that a job's events before ``oldest_seq`` have expired."""
    return dumps({"jobId": job_id, "oldestSeq": oldest_seq})


def socketio_packet(event: EncodedEvent) -> bytes:
    """Return the event as an Engine.IO message (``4``) with a Socket.IO event (``2``) in it."""
    return b'42["worker_progress",' + event.payload + b"]"


def socketio_message(event: EncodedEvent) -> bytes:
    """Return the Socket.IO packet of the event as a WebSocket message."""
    return text_frame(socketio_packet(event))


def websocket_message(event: EncodedEvent) -> bytes:
    """Return the event as a WebSocket message of ``/ws``."""
    return text_frame(b'{"type":"worker_progress","event":' + event.payload + b"}")


def server_sent_event(event: EncodedEvent) -> bytes:
    """Return the event as an entry of a ``text/event-stream``, without an id. Its JSON has no line break."""
    return b"event: worker_progress\ndata: %b\n\n" % event.payload

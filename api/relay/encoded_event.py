"""One event on its way to the clients: never decoded, and put into each wire form once for all readers."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from cto_worker.domain.events import dumps, peek_header
from cto_worker.domain.ids import rooms
from cto_worker.errors import InvalidEventError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

log = logging.getLogger(__name__)

_FINAL = 0x80  # a whole message (RFC 6455, section 5.2); those of a server are not masked
_TEXT = _FINAL | 1
_CLOSE = 8
_PING = 9
_SHORT, _MEDIUM = 126, 65_536


class EncodedEvent:
    """An event as the worker encoded it, what the relay must know of it, and its wire forms so far."""

    __slots__ = ("_forms", "job_id", "payload", "seq", "terminal")

    def __init__(self, payload: bytes) -> None:
        """Raises :class:`~cto_worker.errors.InvalidEventError` when ``payload`` is none of our events."""
        self.payload = payload
        self.job_id, self.seq, self.terminal = peek_header(payload)
        self._forms: dict[Callable[[EncodedEvent], bytes], bytes] = {}

    def form(self, render: Callable[[EncodedEvent], bytes]) -> bytes:
        """What ``render`` makes of this frame, made once."""
        form = self._forms.get(render)
        if form is None:
            form = self._forms[render] = render(self)
        return form

    @property
    def phase(self) -> bytes:
        """The digit of the event's phase."""
        at = self.payload.find(b'"phase":') + 8
        return self.payload[at : at + 1]

    @property
    def timestamp_ms(self) -> int:
        """When the worker made the event, by its clock: milliseconds since the epoch."""
        return int(self.payload.partition(b'"timestamp":')[2].partition(b",")[0])


def frame_of(payload: bytes) -> EncodedEvent | None:
    """The event; what is none must not keep the others from their readers."""
    try:
        return EncodedEvent(payload)
    except InvalidEventError as error:
        log.warning("skipped: %s", error)
        return None


def frames_of(payloads: Iterable[bytes]) -> Iterator[EncodedEvent]:
    """The events among these."""
    return filter(None, map(frame_of, payloads))


def rooms_of(frame: EncodedEvent) -> set[str]:
    """Every room that gets this event."""
    event = json.loads(frame.payload)
    return set(rooms(frame.job_id, event.get("userId"), event.get("socketUserId")))


def missed(frames: list[EncodedEvent], after: int) -> bytes:
    """Return what a ``resume`` after that ``seq`` is answered, as the members of a JSON object."""
    events = b",".join(frame.payload for frame in frames)
    return b'"events":[%b],"latestSeq":%d' % (events, frames[-1].seq if frames else after)


def gap(job_id: str, oldest_seq: int) -> bytes:
    """Return, as a JSON object, that the events of a job before ``oldest_seq`` are gone."""
    return dumps({"jobId": job_id, "oldestSeq": oldest_seq})


def text_frame(text: bytes) -> bytes:
    """Return a WebSocket message of text, as a server sends it."""
    size = len(text)
    if size < _SHORT:
        return bytes((_TEXT, size)) + text
    if size < _MEDIUM:
        return bytes((_TEXT, 126)) + size.to_bytes(2, "big") + text
    return bytes((_TEXT, 127)) + size.to_bytes(8, "big") + text


def control_frame(kind: int, payload: bytes = b"") -> bytes:
    """Return a WebSocket's control frame, as a server sends it; its payload has 125 bytes at most."""
    return bytes((_FINAL | kind, len(payload))) + payload


def ping_frame(payload: bytes) -> bytes:
    """Return a WebSocket ping, as a server sends it."""
    return control_frame(_PING, payload)


def close_frame(status: int, reason: str) -> bytes:
    """Return what tells the other side of a WebSocket why it ends."""
    return control_frame(_CLOSE, status.to_bytes(2, "big") + reason.encode())


def socketio_packet(frame: EncodedEvent) -> bytes:
    """Return the event as an Engine.IO message (``4``) with a Socket.IO event (``2``) in it."""
    return b'42["worker_progress",' + frame.payload + b"]"


def socketio_message(frame: EncodedEvent) -> bytes:
    """Return that packet as a WebSocket message."""
    return text_frame(socketio_packet(frame))


def websocket_message(frame: EncodedEvent) -> bytes:
    """Return the event as the plain WebSocket door sends it."""
    return text_frame(b'{"type":"worker_progress","event":' + frame.payload + b"}")


def server_sent_event(frame: EncodedEvent) -> bytes:
    """Return the event as one of a ``text/event-stream``, without an id. Its JSON has no line break."""
    return b"event: worker_progress\ndata: %b\n\n" % frame.payload

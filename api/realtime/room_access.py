"""Access to rooms: parses the room or job that a client names, and checks the client's permission."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from api.auth.caller import Action
from api.errors import RoomError
from api.relay.encoded_event import valid_event
from cto_worker.domain.ids_and_rooms import ADMIN_ROOM, JOB_ID

if TYPE_CHECKING:
    from api.auth.caller import Caller
    from cto_worker.store.journal_queries import JournalQueries

MAX_SEQ = 10**15
_ROOM = re.compile(r"(?P<kind>user|job)_(?P<id>[A-Za-z0-9_.:@+-]{1,128})\Z")


def parse_room(arguments: tuple[Any, ...]) -> str:
    """Return the room that a client's message names. Raises :class:`RoomError` ``invalid_room``."""
    if len(arguments) == 1 and isinstance(arguments[0], str):
        room = arguments[0]
        if room == ADMIN_ROOM or _ROOM.match(room):
            return room
    raise RoomError("invalid_room", "send one string: user_<userId>, job_<jobId> or admin_launches")


def parse_resume(arguments: tuple[Any, ...]) -> tuple[str, int]:
    """Return the job id and the ``seq`` of a client's ``resume``.

    Raises :class:`RoomError` ``invalid_resume``.
    """
    if len(arguments) == 1 and isinstance(arguments[0], dict):
        job_id, after = arguments[0].get("jobId"), arguments[0].get("after")
        if isinstance(job_id, str) and JOB_ID.match(job_id) and type(after) is int and 0 <= after <= MAX_SEQ:
            return job_id, after
    raise RoomError(
        "invalid_resume", "send {jobId, after}: the job's id, and the seq of the last event that you have"
    )


def authorize_room(caller: Caller, room: str, history: JournalQueries) -> bool:
    """Check that the caller may join the room. Returns whether it is the room of a job that has ended.

    Raises :class:`RoomError` if the caller may not join, or if the room is of a job that is not stored.
    """
    if room == ADMIN_ROOM:
        if not caller.may(Action.WATCH_ALL):
            raise RoomError("forbidden", "only an admin may join admin_launches")
        return False
    match = _ROOM.match(room)
    if match is None:
        raise RoomError("invalid_room", f"no such room: {room}")
    if match["kind"] == "user":
        if not caller.may(Action.READ, match["id"]):
            raise RoomError("forbidden", "you may join only your own room")
        return False
    latest = history.latest(match["id"])
    if latest is None or not caller.may(Action.READ, latest.user_id):
        raise RoomError("job_not_found", f"no job {match['id']}")
    event = valid_event(latest.event)
    return event is not None and event.terminal

"""Who may join what."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from api.auth.policy import Action
from api.errors import (
    ForbiddenError,
    KeysUnavailableError,
    RelayUnavailableError,
    RoomError,
    TooManyRoomsError,
    UnauthorizedError,
)
from api.relay.encoded_event import frame_of
from cto_worker.domain.ids import ADMIN_ROOM, JOB_ID
from cto_worker.errors import EventsGoneError, JobNotFoundError

if TYPE_CHECKING:
    from api.auth.policy import Caller
    from cto_worker.store.history import History

log = logging.getLogger(__name__)

MAX_SEQ = 10**15
# Of what keeps a client out of a room and says no code of its own.
_CODES: dict[type[Exception], str] = {
    JobNotFoundError: "job_not_found",
    TooManyRoomsError: "too_many_rooms",
    KeysUnavailableError: "keys_unavailable",
}
_ROOM = re.compile(r"(?P<kind>user|job)_(?P<id>[A-Za-z0-9_.:@+-]{1,128})\Z")


def room_name(arguments: tuple[Any, ...]) -> str:
    """Return the room that a client's message names. Raises :class:`RoomError` ``invalid_room``."""
    if len(arguments) == 1 and isinstance(arguments[0], str):
        room = arguments[0]
        if room == ADMIN_ROOM or _ROOM.match(room):
            return room
    raise RoomError("invalid_room", "give one string: user_<userId>, job_<jobId> or admin_launches")


def resume_point(arguments: tuple[Any, ...]) -> tuple[str, int]:
    """Return the job id and the ``seq`` that a client's ``resume`` names.

    Raises :class:`RoomError` ``invalid_resume``.
    """
    if len(arguments) == 1 and isinstance(arguments[0], dict):
        job_id, after = arguments[0].get("jobId"), arguments[0].get("after")
        if isinstance(job_id, str) and JOB_ID.match(job_id) and type(after) is int and 0 <= after <= MAX_SEQ:
            return job_id, after
    raise RoomError(
        "invalid_resume", "give {jobId, after}: a job's id, and the seq of its last event you have"
    )


def check_allowed(caller: Caller, room: str, history: History) -> bool:
    """Return whether this is the room of a job that has ended.

    Raises :class:`RoomError` unless the caller may join: a job's room only when the job is known to it.
    """
    if room == ADMIN_ROOM:
        if not caller.may(Action.WATCH_ALL):
            raise RoomError("forbidden", "admin_launches is for admins")
        return False
    match = _ROOM.match(room)
    if match is None:
        raise RoomError("invalid_room", f"no such room: {room}")
    if match["kind"] == "user":
        if not caller.may(Action.READ, match["id"]):
            raise RoomError("forbidden", "you may only join your own room")
        return False
    latest = history.latest(match["id"])
    if latest is None or not caller.may(Action.READ, latest.user_id):
        raise RoomError("job_not_found", f"no job {match['id']}")
    frame = frame_of(latest.event)
    return frame is not None and frame.terminal


def refusal(failure: Exception) -> tuple[dict[str, str], dict[str, int]]:
    """Return ``{code, message}`` of what kept a client out of a room, and what else it needs to know."""
    if isinstance(failure, RoomError | ForbiddenError | UnauthorizedError):
        return {"code": failure.code, "message": str(failure)}, {}
    if type(failure) in _CODES:
        return {"code": _CODES[type(failure)], "message": str(failure)}, {}
    if isinstance(failure, EventsGoneError):
        return {"code": "gap", "message": str(failure)}, {"oldestSeq": failure.oldest_seq}
    if isinstance(failure, RedisError | RelayUnavailableError):
        log.warning("cannot serve a room: %s", failure)
        return {"code": "store_unavailable", "message": "the store is out of reach: try again"}, {}
    log.error("a handler of a client's message broke", exc_info=failure)
    return {"code": "internal_error", "message": "something broke on our side"}, {}

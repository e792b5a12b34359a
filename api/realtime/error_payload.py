"""The error in a reply to a client's message, the same for Socket.IO and ``/ws``."""

from __future__ import annotations

import logging

from api.errors import describe
from cto_worker.errors import EventsGoneError

log = logging.getLogger(__name__)


def error_payload(failure: Exception) -> tuple[dict[str, str], dict[str, int]]:
    """Return ``{code, message}`` of a refusal, and the further fields of the reply."""
    code, message = describe(failure)
    if code == "store_unavailable":
        log.warning("cannot serve a room: %s", failure)
    elif code == "internal_error":
        log.error("the handler of a client's message failed", exc_info=failure)
    further = {"oldestSeq": failure.oldest_seq} if isinstance(failure, EventsGoneError) else {}
    return {"code": code, "message": message}, further

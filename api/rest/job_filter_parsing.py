"""The query parameters that select jobs, and the cursor of a list. Every error names the parameter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from api.auth.authentication import user_mismatch
from api.auth.caller import Action
from api.rest.request_parsing import check_user_id_form, integer, wrong
from cto_worker.domain.ids_and_rooms import JOB_ID_PATTERN
from cto_worker.domain.job_filter import JobFilter
from cto_worker.domain.job_summary import JobPosition
from cto_worker.domain.progress_event import JobStatus, Mode
from cto_worker.domain.purchase_outcome import PurchaseOutcome
from cto_worker.store import keys

if TYPE_CHECKING:
    from enum import StrEnum

    from api.auth.caller import Caller

E = TypeVar("E", bound="StrEnum")

MAX_INTEGER = 10**15 - 1
STATUSES = (*JobStatus, keys.REVIEW)
ADDRESS = "[1-9A-HJ-NP-Za-km-z]{32,44}"  # base58 of 32 bytes
CURSOR = f"[0-9]{{1,15}}:{JOB_ID_PATTERN}"
# Parameters of texts: the pattern of their values, and its description.
_TEXTS = {
    "tokenAddress": (ADDRESS, "an address: 32 to 44 base58 digits"),
    "wallet": (ADDRESS, "an address: 32 to 44 base58 digits"),
    "signature": ("[ -~]{1,128}", "1 to 128 ASCII characters"),
    "errorCode": ("[A-Za-z0-9_.:-]{1,64}", "1 to 64 letters, digits or any of _ . : -, like all_buys_failed"),
    "platform": ("[a-z0-9_-]{1,32}", "1 to 32 lower-case letters, digits, _ or -, like pumpfun"),
}
PATTERNS = {name: pattern for name, (pattern, _) in _TEXTS.items()}
PARAMETERS = ("status", "outcome", "needsReview", "userId", *_TEXTS, "mode", "from", "to")


def parse_filter(parameters: dict[str, str], reader: Caller) -> JobFilter:
    """Return the filter of a query, limited to the jobs that the caller may read.

    Raises :class:`BadRequestError` ``invalid_query``, and ``user_mismatch`` for another user's jobs.
    """
    needs_review, to_ms = _boolean(parameters, "needsReview"), _time(parameters, "to")
    if parameters.get("status") == keys.REVIEW:
        # Contradictory conditions match no job, and no job was created before 1970.
        to_ms = 0 if needs_review is False else to_ms
        needs_review = True
        parameters = {name: value for name, value in parameters.items() if name != "status"}
    return JobFilter(
        status=_choice(parameters, "status", JobStatus, STATUSES),
        outcome=_choice(parameters, "outcome", PurchaseOutcome),
        needs_review=needs_review,
        user_id=_user_id(parameters, reader),
        token_address=_text(parameters, "tokenAddress"),
        wallet=_text(parameters, "wallet"),
        signature=_text(parameters, "signature"),
        error_code=_text(parameters, "errorCode"),
        mode=_choice(parameters, "mode", Mode),
        platform=_text(parameters, "platform"),
        from_ms=_time(parameters, "from"),
        to_ms=to_ms,
    )


def parse_cursor(parameters: dict[str, str]) -> JobPosition | None:
    """Return the position after which a page starts; ``None`` for the first. Raises ``invalid_query``."""
    text = parameters.get("cursor")
    if text is None:
        return None
    if not re.fullmatch(CURSOR, text, re.ASCII):
        hint = ". Earlier releases used numbers: begin again, without a cursor" if text.isdecimal() else ""
        raise wrong("cursor", f"Must be the `nextCursor` of the previous page{hint}.")
    created_ms, _, job_id = text.partition(":")
    return JobPosition(int(created_ms), job_id)


def format_cursor(position: JobPosition | None) -> str | None:
    """Return the text from which :func:`parse_cursor` returns the position."""
    return position and f"{position.created_ms}:{position.job_id}"


def check_user_id(reader: Caller, user_id: str) -> None:
    """Raise an error unless the parameter ``userId`` is a user id whose jobs this caller may read."""
    check_user_id_form(user_id)
    if not reader.may(Action.READ, user_id):
        raise user_mismatch(reader, user_id)


def _user_id(parameters: dict[str, str], reader: Caller) -> str | None:
    user_id = parameters.get("userId", None if reader.may(Action.READ) else reader.user_id)
    if user_id is not None:
        check_user_id(reader, user_id)
    return user_id


def _choice(parameters: dict[str, str], name: str, choices: type[E], shown: Any = ()) -> E | None:
    text = parameters.get(name)
    if text is None:
        return None
    if text not in list(choices):
        raise wrong(name, f"Must be one of: {', '.join(shown or choices)}.")
    return choices(text)


def _boolean(parameters: dict[str, str], name: str) -> bool | None:
    text = parameters.get(name)
    if text not in (None, "true", "false"):
        raise wrong(name, "Must be true or false.")
    return None if text is None else text == "true"


def _text(parameters: dict[str, str], name: str) -> str | None:
    text = parameters.get(name)
    pattern, description = _TEXTS[name]
    if text is not None and not re.fullmatch(pattern, text, re.ASCII):
        raise wrong(name, f"Must be {description}.")
    return text


def _time(parameters: dict[str, str], name: str) -> int | None:
    if name not in parameters:
        return None
    return integer(parameters, name, 0, MAX_INTEGER, 0)

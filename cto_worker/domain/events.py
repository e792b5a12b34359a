"""The progress event and its JSON encoding: the wire contract of every transport.

An event is one JSON object in camelCase. The process that writes it encodes it once; the gateway forwards the
bytes unchanged. Field names, types and units are those of the public contract (docs/contract.md).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field, fields
from enum import Enum, StrEnum
from typing import Any

from cto_worker.domain.ids_and_rooms import JOB_ID
from cto_worker.domain.job_outcome import JobOutcome
from cto_worker.errors import InvalidEventError

WORKER_TYPE = "cto_operation"
TOTAL_PHASES = 5


class Status(StrEnum):
    """The state of a job in one of its events."""

    STARTED = "started"  # the first event, written at acceptance
    IN_PROGRESS = "in_progress"  # every event between the first and the last
    COMPLETED = "completed"  # the last event of an operation that bought something
    FAILED = "failed"  # the last event of any other operation

    @property
    def terminal(self) -> bool:
        """Whether this is the last event of a job."""
        return self in (Status.COMPLETED, Status.FAILED)


class JobStatus(StrEnum):
    """The state of a job in REST. An unknown job has no status: REST answers 404."""

    WAITING = "waiting"  # recorded; no run has written an event yet
    ACTIVE = "active"  # a run has written an event; a worker runs the job, or will take it over
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether the job has its terminal event."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED)


class Mode(StrEnum):
    """The source of the SOL for the buys."""

    STANDARD = "standard"  # distributed from the user's funding wallet first
    PREFUNDED = "prefunded"  # already in the operation's wallets


class Phase(Enum):
    """The five phases: number, progress on entry in per cent, title, description."""

    STARTED = (1, 10, "CTO Operation Started", "Initiating {mode} CTO operation")
    VALIDATING = (2, 25, "Validating Parameters", "Checking wallet balances and operation parameters")
    DETECTING = (3, 45, "Platform Detection", "Optimizing for {platform} platform")
    EXECUTING = (4, 70, "Executing Operation", "Executing {mode} CTO with {amount} SOL")
    ENDED = (5, 100, "CTO Operation {outcome}", "{summary}")

    def __init__(self, number: int, progress: int, title: str, description: str) -> None:
        self.number = number
        self.progress = progress
        self.title = title
        self.description = description

    @classmethod
    def of(cls, number: int) -> Phase:
        """Return the phase with this number."""
        return next(phase for phase in cls if phase.number == number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """The counts and texts of an event. A field that is ``None`` is not known yet, and is not encoded."""

    successful_buys: int | None = None
    failed_buys: int | None = None
    unknown_buys: int | None = None  # submitted, without an outcome from the market
    unknown_transfers: int | None = None  # the same; their buys are not tried, and not counted
    total_spent: float | None = None  # SOL so far, fees included
    wallets_used: int | None = None
    planned_buys: int | None = None  # all buys of the plan; from phase 4 on
    planned_wallets: tuple[str, ...] | None = None  # buyers in order; only in phase 4's first event
    outcome: JobOutcome | None = None  # only in the last event
    needs_review: bool | None = None  # whether an operator must look at the job; only in the last event
    error: str | None = None
    error_code: str | None = None
    transaction_signatures: tuple[str, ...] | None = None  # confirmed so far
    estimated_time_remaining: int | None = None  # ms
    current_operation: str | None = None
    last_step: dict[str, Any] | None = None  # the newest transfer or buy that ended, in the result's form


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent:
    """One progress report of a job. ``seq`` is 1, 2, 3 … without gaps; ``attempt`` is the fencing token."""

    job_id: str
    seq: int
    attempt: int
    token_address: str
    user_id: str
    user_chat_id: int
    phase: int  # 1–5
    phase_title: str
    phase_description: str
    progress: float  # 0–100, never falls
    status: Status
    timestamp: int  # ms since the epoch, UTC
    mode: Mode
    platform: str  # "unknown" until phase 3
    buy_amount: float  # SOL
    socket_user_id: str | None = None
    details: Details = field(default_factory=Details)


def encode(event: ProgressEvent) -> bytes:
    """Return the event as compact UTF-8 JSON. Optional fields without a value are omitted."""
    document: dict[str, Any] = {"workerType": WORKER_TYPE, "totalPhases": TOTAL_PHASES}
    for name, wire_name in _EVENT_NAMES:
        value = getattr(event, name)
        if value is not None:
            document[wire_name] = value
    details = {
        wire_name: value
        for name, wire_name in _DETAIL_NAMES
        if (value := getattr(event.details, name)) is not None
    }
    if details:
        document["details"] = details
    return dumps(document)


def decode(payload: bytes | str) -> ProgressEvent:
    """Return the event in ``payload``. Fields unknown to this version are ignored.

    Raises :class:`InvalidEventError` if the payload is not JSON, or a field is missing, has the wrong type
    or is out of range.
    """
    try:
        document = json.loads(payload, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidEventError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidEventError(f"not a JSON object but {type(document).__name__}")
    if document.get("workerType") != WORKER_TYPE or document.get("totalPhases") != TOTAL_PHASES:
        raise InvalidEventError(
            f"workerType must be {WORKER_TYPE!r} and totalPhases {TOTAL_PHASES}, "
            f"not {str(document.get('workerType'))[:80]!r} and {str(document.get('totalPhases'))[:80]!r}"
        )
    details = document.get("details", {})
    if not isinstance(details, dict):
        raise InvalidEventError(f"details: not an object but {type(details).__name__}")
    event = {name: _checked(wire, document.get(wire), _EVENT_CHECKS[name]) for name, wire in _EVENT_NAMES}
    known = {
        name: _checked(f"details.{wire}", details[wire], _DETAIL_CHECKS[name])
        for name, wire in _DETAIL_NAMES
        if wire in details
    }
    for name in ("transaction_signatures", "planned_wallets"):
        if name in known:
            known[name] = tuple(known[name])
    if "outcome" in known:
        known["outcome"] = JobOutcome(known["outcome"])
    event["status"] = Status(event["status"])
    event["mode"] = Mode(event["mode"])
    return ProgressEvent(**event, details=Details(**known))


# A JSON string escapes every quote, so these bytes cannot occur inside a value.
_HEAD = re.compile(
    b'{"workerType":"%b","totalPhases":%d,"jobId":"(%b)","seq":([1-9][0-9]{0,15}),'
    % (WORKER_TYPE.encode(), TOTAL_PHASES, JOB_ID.pattern.removesuffix(r"\Z").encode())
)
_STATUS = b'"status":"'
_ENDS = bytes(ord(status[0]) for status in Status if status.terminal)  # no other status starts with these


def peek_header(payload: bytes) -> tuple[str, int, bool]:
    """Return the job id, the ``seq``, and whether the event is the last one, without decoding the payload.

    The payload must come from :func:`encode`. Raises :class:`InvalidEventError` if its head is not that of an
    event; the rest of the payload is not validated.
    """
    head = _HEAD.match(payload)
    if head is None:
        raise InvalidEventError(f"not an event: {payload[:80]!r}")
    return head[1].decode(), int(head[2]), payload[payload.find(_STATUS) + len(_STATUS)] in _ENDS


def dumps(document: Any) -> bytes:
    """Return compact UTF-8 JSON. Raises ``ValueError`` for NaN and infinities, which JSON does not have."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


_EVENT_NAMES = [(f.name, _camel(f.name)) for f in fields(ProgressEvent) if f.name != "details"]
_DETAIL_NAMES = [(f.name, _camel(f.name)) for f in fields(Details)]


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(_text(item) for item in value)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _amount(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < math.inf  # False for NaN; correct for an integer too large for a float


_EVENT_CHECKS = {
    "job_id": lambda v: _text(v) and v,
    "seq": lambda v: _count(v) and v >= 1,
    "attempt": _count,
    "token_address": _text,
    "user_id": _text,
    "user_chat_id": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "phase": lambda v: _count(v) and 1 <= v <= TOTAL_PHASES,
    "phase_title": _text,
    "phase_description": _text,
    "progress": lambda v: _amount(v) and v <= 100,  # noqa: PLR2004 - per cent
    "status": lambda v: v in list(Status),
    "timestamp": _count,
    "mode": lambda v: v in list(Mode),
    "platform": _text,
    "buy_amount": _amount,
    "socket_user_id": lambda v: v is None or _text(v),
}
_DETAIL_CHECKS = {
    "successful_buys": _count,
    "failed_buys": _count,
    "unknown_buys": _count,
    "unknown_transfers": _count,
    "total_spent": _amount,
    "wallets_used": _count,
    "planned_buys": _count,
    "planned_wallets": _texts,
    "outcome": lambda v: v in list(JobOutcome),
    "needs_review": lambda v: isinstance(v, bool),
    "error": _text,
    "error_code": _text,
    "transaction_signatures": _texts,
    "estimated_time_remaining": _count,
    "current_operation": _text,
    "last_step": lambda v: isinstance(v, dict) and {"kind", "wallet", "status"} <= v.keys(),
}


def _checked(wire_name: str, value: Any, check: Any) -> Any:
    if not check(value):
        raise InvalidEventError(
            f"{wire_name}: {str(value)[:80]!r} is missing, of the wrong type or out of range"
        )
    return value

"""The progress event and its JSON encoding: the wire contract of every transport.

An event is one JSON object in camelCase. The process that writes it encodes it once; the gateway forwards the
bytes unchanged. Field names, types and units are those of the public contract (docs/reference/contract.md).
"""

from __future__ import annotations

import json
import math
import re
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
from msgspec import Meta, Struct

from cto_worker.domain.field_types import (
    TOTAL_PHASES,
    Amount,
    BuyAmount,
    Count,
    JobId,
    OwnerId,
    Percent,
    PhaseNumber,
    Platform,
    TokenAddress,
    doc,
)
from cto_worker.domain.ids_and_rooms import JOB_ID_PATTERN
from cto_worker.domain.purchase_outcome import OUTCOMES, PurchaseOutcome
from cto_worker.errors import InvalidEventError

WORKER_TYPE: Literal["cto_operation"] = "cto_operation"


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


FundingMode = Annotated[
    Mode, doc("`standard`: the user's funding wallet pays; `prefunded`: the operation's wallets pay")
]


class StepStatus(StrEnum):
    """The outcome of a transfer or buy that has ended."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class StepResult(TypedDict):
    """The result of one transfer or buy, in an event and in the result of the operation."""

    kind: Annotated[
        Literal["transfer", "buy"], doc("`transfer`: SOL to a wallet of the operation; `buy`: a buy with it")
    ]
    wallet: Annotated[str, doc("The address of the operation's wallet")]
    status: Annotated[StepStatus, doc("The outcome of the step")]
    signature: Annotated[str | None, doc("The signature of the transaction; null if none was sent")]
    spent: Annotated[Amount, doc("SOL spent, fees included")]
    tokens: Annotated[Count, doc("Tokens bought, in base units")]
    errorCode: NotRequired[Annotated[str, doc("The reason for a failure, machine-readable")]]
    error: NotRequired[Annotated[str, doc("The reason for a failure, as text")]]


class Details(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The counts and texts of an event. A field that is ``None`` is not known yet, and is not encoded."""

    successful_buys: Annotated[Count | None, doc("Buys confirmed so far")] = None
    failed_buys: Annotated[Count | None, doc("Buys failed so far")] = None
    unknown_buys: Annotated[Count | None, doc("Buys sent whose outcome the market does not report")] = None
    unknown_transfers: Annotated[Count | None, doc("The same for transfers; their wallets buy nothing")] = (
        None
    )
    total_spent: Annotated[Amount | None, doc("SOL spent so far, fees included")] = None
    wallets_used: Annotated[Count | None, doc("Wallets that have bought")] = None
    planned_buys: Annotated[Count | None, doc("Planned buys, from phase 4 on")] = None
    planned_wallets: Annotated[
        tuple[str, ...] | None,
        doc("The addresses of the planned wallets, in order; in the first event of phase 4"),
    ] = None
    starting_wallets: Annotated[
        tuple[str, ...] | None,
        doc("The addresses of the wallets whose next transfer or buy begins after this event"),
    ] = None
    outcome: Annotated[PurchaseOutcome | None, doc(f"In the last event. {OUTCOMES}")] = None
    needs_review: Annotated[
        bool | None, doc("In the last event: whether an operator had to review the job when it ended")
    ] = None
    error: Annotated[str | None, doc("The reason for the job's failure, as text")] = None
    error_code: Annotated[
        str | None, doc("The reason for the job's failure, machine-readable and stable")
    ] = None
    transaction_signatures: Annotated[
        tuple[str, ...] | None, doc("The signatures of the transactions confirmed so far")
    ] = None
    estimated_time_remaining: Annotated[
        Count | None,
        doc("The remaining time in milliseconds, estimated from earlier runs of this mode and platform"),
    ] = None
    current_operation: Annotated[str | None, doc("The current activity, as text")] = None
    last_step: Annotated[StepResult | None, doc("The transfer or buy that ended before this event")] = None
    trace_id: Annotated[
        str | None, doc("In the first event, if traces are enabled: the job's trace, 32 hexadecimal digits")
    ] = None


class ProgressEvent(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One progress report of a job. Declares the encoding, the validation and the JSON Schema.

    The fields are encoded in this order, and :func:`peek_header` relies on the first four. ``attempt`` is the
    fencing token.
    """

    worker_type: Annotated[Literal["cto_operation"], doc(f"Always `{WORKER_TYPE}`")]
    total_phases: Annotated[Literal[5], doc(f"Always {TOTAL_PHASES}")]
    job_id: JobId
    seq: Annotated[
        int, Meta(ge=1), doc("The number of the event within its job: 1, 2, 3 …, without gaps or repeats")
    ]
    attempt: Annotated[
        Count, doc("The run of the job: 0 at acceptance, 1 in the first run, +1 for each takeover")
    ]
    token_address: TokenAddress
    user_id: OwnerId
    user_chat_id: Annotated[int, doc("The owner's Telegram chat")]
    phase: Annotated[PhaseNumber, doc("The phase of the operation, 1 to 5")]
    phase_title: Annotated[str, doc("The title of the phase")]
    phase_description: Annotated[str, doc("The description of the phase")]
    progress: Annotated[Percent, doc("Progress in per cent; never decreases within a job")]
    status: Annotated[
        Status,
        doc("`started` in the first event, then `in_progress`; `completed` or `failed` in the last"),
    ]
    timestamp: Annotated[Count, doc("The time of the event, in milliseconds since 1970-01-01 UTC")]
    mode: FundingMode
    platform: Platform
    buy_amount: BuyAmount
    socket_user_id: Annotated[str | None, doc("A second user whose room also receives the events")] = None
    details: Annotated[Details, doc("Further values; each is present only when it is known")] = Details()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ProgressEvent)


def encode(event: ProgressEvent) -> bytes:
    """Return the event as compact UTF-8 JSON. Optional fields without a value are omitted.

    Raises ``ValueError`` for NaN and infinities, which JSON does not have.
    """
    if not math.isfinite(event.progress + event.buy_amount + (event.details.total_spent or 0)):
        raise ValueError(f"a number of event {event.seq} of job {event.job_id} is not finite")
    return _encoder.encode(event)


def decode(payload: bytes | str) -> ProgressEvent:
    """Return the event in ``payload``. Fields unknown to this version are ignored.

    Raises :class:`InvalidEventError` if the payload is not JSON, or a field is missing, has the wrong type
    or is out of range.
    """
    try:
        return _decoder.decode(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidEventError(f"not an event: {error}, in {payload[:80]!r}") from error


# A JSON string escapes every quote, so these bytes cannot occur inside a value.
_HEAD = re.compile(
    b'{"workerType":"%b","totalPhases":%d,"jobId":"(%b)","seq":([1-9][0-9]{0,15}),'
    % (WORKER_TYPE.encode(), TOTAL_PHASES, JOB_ID_PATTERN.encode())
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


# `json.dumps` makes an encoder for each call, unless all options are the default ones.
_ENCODE_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def dumps(document: Any) -> bytes:
    """Return compact UTF-8 JSON. Raises ``ValueError`` for NaN and infinities, which JSON does not have."""
    return _ENCODE_JSON(document).encode()

"""The schemas of requests, responses and events, as marshmallow schemas and as JSON Schemas.

They describe responses: these are sent as the bytes that the worker wrote, without validation.
"""

from __future__ import annotations

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import fields, validate

from api.spec.schema_fields import array, boolean, nested, nullable, number, one_of, schema, text, whole
from cto_worker.domain.events import TOTAL_PHASES, WORKER_TYPE, JobStatus, Mode, Status
from cto_worker.domain.job_outcome import JobOutcome
from cto_worker.domain.market import OutcomeStatus
from cto_worker.domain.request import RequestSchema
from cto_worker.market_registry import market_type
from cto_worker.operation.totals import NOT_STARTED, PARTIAL

OPENAPI = "3.1.0"
JOB_ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"}

_OUTCOMES = (
    "`full`: every planned buy was confirmed; `partial`: some were confirmed, the others failed or were not "
    "made; `none`: nothing was bought; `unknown`: the outcome of a transfer or buy is not known"
)
_STEP_STATES = (*OutcomeStatus, NOT_STARTED)
_MODES = "`standard`: the user's funding wallet pays; `prefunded`: the operation's wallets pay"

# Each schema is a dictionary, so that its fields have the names that clients see.
StepResult = schema(
    "StepResult",
    {
        "kind": one_of(
            ["transfer", "buy"], "`transfer`: SOL to a wallet of the operation; `buy`: a buy with it"
        ),
        "wallet": text("The address of the operation's wallet"),
        "status": one_of(OutcomeStatus, "The outcome of the step"),
        "signature": nullable("The signature of the transaction; null if none was sent"),
        "spent": number("SOL spent, fees included"),
        "tokens": whole("Tokens bought, in base units"),
        "errorCode": text("The reason for a failure, machine-readable", optional=True),
        "error": text("The reason for a failure, as text", optional=True),
    },
)
Details = schema(
    "Details",
    {
        "successfulBuys": whole("Buys confirmed so far", optional=True),
        "failedBuys": whole("Buys failed so far", optional=True),
        "unknownBuys": whole("Buys sent whose outcome is not known", optional=True),
        "unknownTransfers": whole(
            "Transfers sent whose outcome is not known; their wallets buy nothing", optional=True
        ),
        "totalSpent": number("SOL spent so far, fees included", optional=True),
        "walletsUsed": whole("Wallets that have bought", optional=True),
        "plannedBuys": whole("Planned buys, from phase 4 on", optional=True),
        "plannedWallets": array(
            fields.String(),
            "The addresses of the planned wallets, in order; in the first event of phase 4",
            optional=True,
        ),
        "outcome": one_of(JobOutcome, f"In the last event. {_OUTCOMES}", optional=True),
        "needsReview": boolean(
            "In the last event: whether an operator had to review the job when it ended", optional=True
        ),
        "error": text("The reason for the job's failure, as text", optional=True),
        "errorCode": text("The reason for the job's failure, machine-readable and stable", optional=True),
        "transactionSignatures": array(
            fields.String(), "The signatures of the transactions confirmed so far", optional=True
        ),
        "estimatedTimeRemaining": whole(
            "The remaining time in milliseconds, estimated from earlier runs", optional=True
        ),
        "currentOperation": text("The current activity, as text", optional=True),
        "lastStep": nested(StepResult, "The transfer or buy that has just ended", optional=True),
    },
)
_OPERATION = {
    "tokenAddress": text("The mint address of the token, base58"),
    "userId": text("The owner of the job"),
    "mode": one_of(Mode, _MODES),
    "platform": text(
        "The platform on which the token trades; `unknown` until phase 3, unless the request named it"
    ),
    "buyAmount": number("SOL to spend in total"),
}
ProgressEvent = schema(
    "ProgressEvent",
    {
        "workerType": one_of([WORKER_TYPE], f"Always `{WORKER_TYPE}`"),
        "totalPhases": fields.Integer(
            required=True,
            validate=validate.OneOf([TOTAL_PHASES]),
            metadata={"description": f"Always {TOTAL_PHASES}"},
        ),
        "jobId": text("The job", **JOB_ID),
        "seq": whole("The number of the event within its job: 1, 2, 3 …, without gaps or repeats", 1),
        "attempt": whole("The run of the job: 0 at acceptance, 1 in the first run, +1 for each takeover"),
        **_OPERATION,
        "userChatId": whole("The owner's Telegram chat", None),
        "socketUserId": text("A second user whose room also receives the events", optional=True),
        "phase": whole("The phase of the operation, 1 to 5", 1, TOTAL_PHASES),
        "phaseTitle": text("The title of the phase"),
        "phaseDescription": text("The description of the phase"),
        "progress": number("Progress in per cent; never decreases within a job", 100),
        "status": one_of(
            Status, "`started` in the first event, then `in_progress`; `completed` or `failed` in the last"
        ),
        "timestamp": whole("The time of the event, in milliseconds since 1970-01-01 UTC"),
        "details": nested(Details, "Further values; each is present only when it is known", optional=True),
    },
)
_STATUS = {
    "jobId": text("The job", **JOB_ID),
    "status": one_of(
        JobStatus, "`waiting`: no worker has claimed the job; `active`: a worker runs it; or how it ended"
    ),
}
_OUTCOME = {
    "outcome": nullable(f"null until the job ends. {_OUTCOMES}", [*JobOutcome]),
    "needsReview": boolean("Whether an operator must review the job now"),
}
_CURRENT = {
    "currentPhase": whole("The phase of the latest event", 1, TOTAL_PHASES),
    "currentProgress": number("The progress of the latest event, in per cent", 100),
}
_LATEST = {"latestProgress": nested(ProgressEvent, "The latest event")}
WalletResult = schema(
    "WalletResult",
    {
        "wallet": text("The address of the wallet"),
        "transfer": one_of(
            _STEP_STATES, "The state of the transfer to the wallet; not with mode `prefunded`", optional=True
        ),
        "buy": one_of(
            (*_STEP_STATES, PARTIAL), "The state of its buys; `partial`: some of several were confirmed"
        ),
        "plannedBuys": whole("Buys planned with the wallet"),
        "successfulBuys": whole("Confirmed buys with the wallet"),
        "spent": number("SOL spent, fees included"),
        "tokens": whole("Tokens bought, in base units"),
        "errorCode": text("The reason for its first failed step, machine-readable", optional=True),
        "error": text("The reason for its first failed step, as text", optional=True),
    },
)
OperationResult = schema(
    "OperationResult",
    {
        "success": boolean("Whether at least one buy was confirmed"),
        "outcome": one_of(JobOutcome, _OUTCOMES, optional=True),
        "needsReview": boolean("Whether an operator had to review the job when it ended", optional=True),
        "mode": one_of(Mode, _MODES),
        "platform": text("The platform on which the token trades; empty if it was not detected"),
        "buyAmount": number("SOL that was to be spent in total"),
        "plannedBuys": whole("Planned buys; 0 if the job ended before its plan was made", optional=True),
        "successfulBuys": whole("Confirmed buys"),
        "failedBuys": whole("Failed buys"),
        "unknownBuys": whole("Buys whose outcome is not known"),
        "unknownTransfers": whole("Transfers whose outcome is not known"),
        "totalSpent": number("SOL spent, fees included"),
        "tokensBought": whole("Tokens bought, in base units"),
        "walletsUsed": whole("Wallets that have bought"),
        "transactionSignatures": array(fields.String(), "The signatures of the confirmed transactions"),
        "durationMs": whole("The duration of the last run, in milliseconds"),
        "steps": array(fields.Nested(StepResult), "Every transfer and buy, in order"),
        "wallets": array(fields.Nested(WalletResult), "Every planned wallet, in order", optional=True),
        "errorCode": text("The reason for the job's failure, machine-readable", optional=True),
        "error": text("The reason for the job's failure, as text", optional=True),
    },
)
JobSummary = schema(
    "JobSummary",
    {
        **_STATUS,
        **_OUTCOME,
        "createdAt": whole("The time of acceptance, in milliseconds since 1970-01-01 UTC"),
        **_CURRENT,
        **_OPERATION,
        **_LATEST,
    },
)
RESPONSES = {
    "Created": {**_STATUS, "statusUrl": text("The URL of the job's status")},
    "JobStatus": {
        **_STATUS,
        **_OUTCOME,
        "progressEvents": array(fields.Nested(ProgressEvent), "All events of the job, oldest first"),
        **_LATEST,
        "operationResult": fields.Nested(
            OperationResult,
            required=True,
            allow_none=True,
            metadata={"description": "The result; null until the job ends"},
        ),
        **_CURRENT,
    },
    "Events": {
        "jobId": _STATUS["jobId"],
        "events": array(fields.Nested(ProgressEvent), "The events, oldest first"),
    },
    "Stats": {
        "total": whole("Distinct ids in the request"),
        "queued": whole("Jobs with status `waiting`"),
        "active": whole("Jobs with status `active`"),
        "completed": whole("Jobs with status `completed`"),
        "failed": whole("Jobs with status `failed`"),
        "notFound": whole("Ids that are not of a job of the caller"),
        "averageProgress": number("The average progress of the jobs found, in per cent", 100),
    },
    "Page": {
        "jobs": array(fields.Nested(JobSummary), "The jobs, newest first"),
        "nextCursor": nullable("The `cursor` of the next page; null on the last page"),
    },
    "Cancelling": {**_STATUS, "cancelRequested": boolean("Always true")},
    "Health": {
        "status": one_of(["alive", "ready"], "`alive` from `/healthz`, `ready` from `/readyz`"),
    },
}
ErrorDetails = schema(
    "ErrorDetails",
    {"fields": fields.Dict(fields.String(), metadata={"description": "The messages for each invalid field"})},
)
Error = schema(
    "Error",
    {
        "code": text("Machine-readable and stable"),
        "message": text("The problem and the remedy, as text"),
        "details": nested(ErrorDetails, "Further values for a malformed request", optional=True),
    },
)


def json_schemas(market: str) -> dict[str, Any]:
    """Return every schema by name, as JSON Schema, with references to ``#/components/schemas``.

    A request can name the platforms of ``market``.
    """
    plugin = MarshmallowPlugin(schema_name_resolver=lambda schema: type(schema).__name__)
    spec = APISpec("", "", OPENAPI, plugins=[plugin])
    plugin.converter.add_attribute_function(_constraints)  # type: ignore[union-attr]  # APISpec has made it
    spec.components.schema("OperationRequest", schema=RequestSchema)
    for name, described in RESPONSES.items():
        spec.components.schema(name, schema=schema(name, described))
    spec.components.schema("Error", schema=Error)
    schemas: dict[str, Any] = spec.to_dict()["components"]["schemas"]
    if platforms := market_type(market).platforms:
        schemas["OperationRequest"]["properties"]["platform"]["enum"] = list(platforms)
    schemas["OperationRequest"] |= {
        "not": {"required": ["wallets", "walletCount"]},
        "additionalProperties": False,
    }
    return schemas


def _constraints(_: Any, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Return constraints that apispec omits: a pattern's anchors, and an exclusive minimum."""
    constraints: dict[str, Any] = {}
    if ret.get("pattern", "").endswith(r"\Z"):
        constraints["pattern"] = f"^{ret['pattern'].removesuffix(chr(92) + 'Z')}$"
    if any(getattr(validator, "min_inclusive", True) is False for validator in field.validators):
        constraints["exclusiveMinimum"] = ret.pop("minimum")
    return constraints

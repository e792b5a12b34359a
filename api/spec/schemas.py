"""What clients send and are answered, as marshmallow schemas, and the JSON Schemas made of them.

Requests are read with these; answers are passed on as the bytes the worker wrote, and only described by them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import EXCLUDE, Schema, fields, validate

from cto_worker.domain.events import TOTAL_PHASES, WORKER_TYPE, JobStatus, Mode, Status
from cto_worker.domain.market import OutcomeStatus
from cto_worker.domain.outcome import JobOutcome
from cto_worker.domain.request import RequestSchema
from cto_worker.markets.paper.market import PLATFORMS
from cto_worker.operation.totals import NOT_STARTED, PARTIAL

if TYPE_CHECKING:
    from collections.abc import Iterable

OPENAPI = "3.1.0"
JOB_ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"}


def _described(about: str, more: dict[str, Any]) -> dict[str, Any]:
    return {"required": not more.pop("optional", False), "metadata": {"description": about, **more}}


def _text(about: str, **more: Any) -> fields.Field[Any]:
    return fields.String(**_described(about, more))


def _one_of(choices: Iterable[str], about: str, **more: Any) -> fields.Field[Any]:
    return fields.String(
        validate=validate.OneOf([str(choice) for choice in choices]), **_described(about, more)
    )


def _whole(about: str, low: int | None = 0, high: int | None = None, **more: Any) -> fields.Field[Any]:
    return fields.Integer(strict=True, validate=validate.Range(low, high), **_described(about, more))


def _number(about: str, high: float | None = None, **more: Any) -> fields.Field[Any]:
    return fields.Float(validate=validate.Range(0, high), **_described(about, more))


def _list(of: fields.Field[Any], about: str, **more: Any) -> fields.Field[Any]:
    return fields.List(of, **_described(about, more))


class _Answer(Schema):
    class Meta:
        unknown = EXCLUDE  # fields may be added


def _schema(name: str, described: dict[str, fields.Field[Any]]) -> type[Schema]:
    return _Answer.from_dict(described, name=name)


_OUTCOMES = (
    "`full`: every planned buy was confirmed; `partial`: some were, the others failed or were not made; "
    "`none`: nothing was bought; `unknown`: the result of a transfer or buy is not known"
)
_ORDER_STATES = (*OutcomeStatus, NOT_STARTED)

# One dictionary each: who reads a schema sees names as they are on the wire.
StepResult = _schema(
    "StepResult",
    {
        "kind": _one_of(["transfer", "buy"], "What was done"),
        "wallet": _text("For which wallet"),
        "status": _one_of(OutcomeStatus, "What became of it"),
        "signature": fields.String(
            required=True,
            allow_none=True,
            metadata={"description": "Of the transaction; null if none was sent"},
        ),
        "spent": _number("SOL, fees included"),
        "tokens": _whole("Base units of the token that it bought"),
        "errorCode": _text("Why it failed, for machines", optional=True),
        "error": _text("The same for people", optional=True),
    },
)
Details = _schema(
    "Details",
    {
        "successfulBuys": _whole("Buys that succeeded so far", optional=True),
        "failedBuys": _whole("Buys that failed so far", optional=True),
        "unknownBuys": _whole("Buys sent of which the market has not said what became", optional=True),
        "unknownTransfers": _whole("The same of transfers; their wallets buy nothing", optional=True),
        "totalSpent": _number("SOL spent so far, fees included", optional=True),
        "walletsUsed": _whole("Wallets that have bought", optional=True),
        "plannedBuys": _whole("Buys planned in all, from phase 4 on", optional=True),
        "plannedWallets": _list(
            fields.String(), "Wallets that are to buy, in order; in the first event of phase 4", optional=True
        ),
        "outcome": _one_of(JobOutcome, f"In the last event. {_OUTCOMES}", optional=True),
        "needsReview": fields.Boolean(
            metadata={
                "description": "In the last event: whether an operator had to look at the job when it ended"
            }
        ),
        "error": _text("Why the job failed, for people", optional=True),
        "errorCode": _text("The same for machines; stable", optional=True),
        "transactionSignatures": _list(fields.String(), "Transactions confirmed so far", optional=True),
        "estimatedTimeRemaining": _whole("ms, learned from earlier runs", optional=True),
        "currentOperation": _text("What is being done now, for people", optional=True),
        "lastStep": fields.Nested(
            StepResult, metadata={"description": "The transfer or buy that has just ended"}
        ),
    },
)
_DESCRIBING = {
    "tokenAddress": _text("The mint of the token, base58"),
    "userId": _text("The owner"),
    "mode": _one_of(Mode, "Where the SOL comes from"),
    "platform": _text("Where the token trades; `unknown` until phase 3, unless the request named it"),
    "buyAmount": _number("SOL to spend in all"),
}
ProgressEvent = _schema(
    "ProgressEvent",
    {
        "workerType": _one_of([WORKER_TYPE], "Always the same"),
        "totalPhases": fields.Integer(
            required=True,
            validate=validate.OneOf([TOTAL_PHASES]),
            metadata={"description": "Always the same"},
        ),
        "jobId": _text("The job", **JOB_ID),
        "seq": _whole("1, 2, 3 … within the job, without holes or repeats", 1),
        "attempt": _whole("0 at acceptance, 1 in the first run, one more for each takeover"),
        **_DESCRIBING,
        "userChatId": _whole("The owner's Telegram chat", None),
        "socketUserId": _text("A second user whose room also gets the events", optional=True),
        "phase": _whole("Where the operation is", 1, TOTAL_PHASES),
        "phaseTitle": _text("The phase, for people"),
        "phaseDescription": _text("What happens in it, for people"),
        "progress": _number("Per cent; never falls within a job", 100),
        "status": _one_of(Status, "`started` first, then `in_progress`; the last two only on the last event"),
        "timestamp": _whole("ms since 1970-01-01 UTC"),
        "details": fields.Nested(Details, metadata={"description": "What is known so far"}),
    },
)
_STANDING = {
    "jobId": _text("The job", **JOB_ID),
    "status": _one_of(JobStatus, "`waiting`: no worker has it yet; `active`: one runs it; or how it ended"),
}
_ENDED: dict[str, fields.Field[Any]] = {
    "outcome": fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf([*JobOutcome, None]),
        metadata={"description": f"null until the job ends. {_OUTCOMES}"},
    ),
    "needsReview": fields.Boolean(
        required=True, metadata={"description": "Whether an operator must look at the job now"}
    ),
}
_WHERE = {
    "currentPhase": _whole("Of the latest event", 1, TOTAL_PHASES),
    "currentProgress": _number("Of the latest event, per cent", 100),
}
_LATEST = {"latestProgress": fields.Nested(ProgressEvent, required=True)}
WalletResult = _schema(
    "WalletResult",
    {
        "wallet": _text("Its address"),
        "transfer": _one_of(_ORDER_STATES, "Of the transfer to it; not with mode `prefunded`", optional=True),
        "buy": _one_of(
            (*_ORDER_STATES, PARTIAL), "Of its buys together; `partial`: some of several were confirmed"
        ),
        "plannedBuys": _whole("Buys planned with it"),
        "successfulBuys": _whole("Buys with it that succeeded"),
        "spent": _number("SOL, fees included"),
        "tokens": _whole("Base units of the token that it bought"),
        "errorCode": _text("Why its first failed transfer or buy failed, for machines", optional=True),
        "error": _text("The same for people", optional=True),
    },
)
OperationResult = _schema(
    "OperationResult",
    {
        "success": fields.Boolean(required=True, metadata={"description": "Whether anything was bought"}),
        "outcome": _one_of(JobOutcome, _OUTCOMES, optional=True),
        "needsReview": fields.Boolean(
            metadata={"description": "Whether an operator had to look at the job when it ended"}
        ),
        "mode": _one_of(Mode, "Where the SOL came from"),
        "platform": _text("Where the token trades; empty when that was not found out"),
        "buyAmount": _number("SOL that were to be spent"),
        "plannedBuys": _whole("Buys that were planned; 0 if the job ended before its plan", optional=True),
        "successfulBuys": _whole("Buys that succeeded"),
        "failedBuys": _whole("Buys that failed"),
        "unknownBuys": _whole("Buys of which nobody knows what became"),
        "unknownTransfers": _whole("The same of transfers"),
        "totalSpent": _number("SOL, fees included"),
        "tokensBought": _whole("Base units of the token"),
        "walletsUsed": _whole("Wallets that have bought"),
        "transactionSignatures": _list(fields.String(), "Confirmed transactions"),
        "durationMs": _whole("How long the last run took"),
        "steps": _list(fields.Nested(StepResult), "Every transfer and buy, in order"),
        "wallets": _list(fields.Nested(WalletResult), "Every planned wallet, in order", optional=True),
        "errorCode": _text("Why the job failed, for machines", optional=True),
        "error": _text("The same for people", optional=True),
    },
)
ANSWERS = {
    "Created": {**_STANDING, "statusUrl": _text("Where its status is")},
    "JobStatus": {
        **_STANDING,
        **_ENDED,
        "progressEvents": _list(fields.Nested(ProgressEvent), "The whole history, oldest first"),
        **_LATEST,
        "operationResult": fields.Nested(
            OperationResult, required=True, allow_none=True, metadata={"description": "null until the end"}
        ),
        **_WHERE,
    },
    "Events": {
        "jobId": _STANDING["jobId"],
        "events": _list(fields.Nested(ProgressEvent), "Oldest first"),
    },
    "Stats": {
        "total": _whole("Different ids that were asked about"),
        "queued": _whole("Jobs that wait"),
        "active": _whole("Jobs that run"),
        "completed": _whole("Jobs that bought something"),
        "failed": _whole("Jobs that did not"),
        "notFound": _whole("Ids of no job of the caller's"),
        "averageProgress": _number("Over the jobs found, per cent", 100),
    },
    "Page": {
        "jobs": _list(
            fields.Nested(
                _schema(
                    "JobSummary",
                    {
                        **_STANDING,
                        **_ENDED,
                        "createdAt": _whole("ms since 1970-01-01 UTC"),
                        **_WHERE,
                        **_DESCRIBING,
                        **_LATEST,
                    },
                )
            ),
            "Newest first",
        ),
        "nextCursor": fields.String(
            required=True,
            allow_none=True,
            metadata={"description": "For the next page; null on the last one"},
        ),
    },
    "Cancelling": {
        **_STANDING,
        "cancelRequested": fields.Boolean(required=True, metadata={"description": "Always true"}),
    },
    "Health": {"status": _one_of(["alive", "ready"], "What was asked")},
}
_ERROR = {
    "code": _text("For machines; stable"),
    "message": _text("For people"),
    "details": fields.Nested(
        _schema(
            "ErrorDetails",
            {
                "fields": fields.Dict(
                    fields.String(), metadata={"description": "What is wrong with each field"}
                )
            },
        ),
        metadata={"description": "More about a malformed request"},
    ),
}
Error = _schema("Error", _ERROR)


def json_schemas() -> dict[str, Any]:
    """Return every schema by name, as JSON Schema, with references to ``#/components/schemas``."""
    plugin = MarshmallowPlugin(schema_name_resolver=lambda schema: type(schema).__name__)
    spec = APISpec("", "", OPENAPI, plugins=[plugin])
    plugin.converter.add_attribute_function(_strictly)  # type: ignore[union-attr]  # APISpec has made it
    spec.components.schema("OperationRequest", schema=RequestSchema)
    for name, described in ANSWERS.items():
        spec.components.schema(name, schema=_schema(name, described))
    spec.components.schema("Error", schema=Error)
    schemas: dict[str, Any] = spec.to_dict()["components"]["schemas"]
    schemas["OperationRequest"]["properties"]["platform"]["enum"] = list(PLATFORMS)
    schemas["OperationRequest"] |= {
        "not": {"required": ["wallets", "walletCount"]},
        "additionalProperties": False,
    }
    return schemas


def _strictly(_: Any, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """What apispec does not see: a pattern is for the whole text, and a lowest value may be excluded."""
    strictly: dict[str, Any] = {}
    if ret.get("pattern", "").endswith(r"\Z"):
        strictly["pattern"] = f"^{ret['pattern'].removesuffix(chr(92) + 'Z')}$"
    if any(getattr(validator, "min_inclusive", True) is False for validator in field.validators):
        strictly["exclusiveMinimum"] = ret.pop("minimum")
    return strictly

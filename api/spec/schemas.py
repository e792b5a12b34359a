"""The schemas of requests, responses and events, as marshmallow schemas and as JSON Schemas.

They describe responses: these are sent as the bytes that the worker wrote, without validation.
"""

from __future__ import annotations

from typing import Any

import msgspec
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import fields

from api.spec.schema_fields import (
    array,
    boolean,
    nested,
    nullable,
    number,
    one_of,
    reference,
    schema,
    text,
    whole,
)
from cto_worker.domain.events import TOTAL_PHASES, Details, JobStatus, Mode, ProgressEvent, StepResult
from cto_worker.domain.job_outcome import OUTCOMES, JobOutcome
from cto_worker.domain.market import OutcomeStatus
from cto_worker.domain.request import RequestSchema
from cto_worker.market_registry import market_type
from cto_worker.operation.totals import NOT_STARTED, PARTIAL

OPENAPI = "3.1.0"
JOB_ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"}

_STEP_STATES = (*OutcomeStatus, NOT_STARTED)
_MODES = "`standard`: the user's funding wallet pays; `prefunded`: the operation's wallets pay"

_REFERENCE = "#/components/schemas/{name}"
_EVENT_PARTS = {  # with their fields in order
    "ProgressEvent": ProgressEvent.__struct_encode_fields__,
    "Details": Details.__struct_encode_fields__,
    "StepResult": tuple(StepResult.__annotations__),
}
# Each schema is a dictionary, so that its fields have the names that clients see.
_OPERATION = {
    "tokenAddress": text("The mint address of the token, base58"),
    "userId": text("The owner of the job"),
    "mode": one_of(Mode, _MODES),
    "platform": text(
        "The platform on which the token trades; `unknown` until phase 3, unless the request named it"
    ),
    "buyAmount": number("SOL to spend in total"),
}
_STATUS = {
    "jobId": text("The job", **JOB_ID),
    "status": one_of(
        JobStatus, "`waiting`: no worker has claimed the job; `active`: a worker runs it; or how it ended"
    ),
}
_OUTCOME = {
    "outcome": nullable(f"null until the job ends. {OUTCOMES}", [*JobOutcome]),
    "needsReview": boolean("Whether an operator must review the job now"),
}
_CURRENT = {
    "currentPhase": whole("The phase of the latest event", 1, TOTAL_PHASES),
    "currentProgress": number("The progress of the latest event, in per cent", 100),
}
_LATEST = {"latestProgress": reference("ProgressEvent", "The latest event")}
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
        "outcome": one_of(JobOutcome, OUTCOMES, optional=True),
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
        "steps": array(reference("StepResult"), "Every transfer and buy, in order"),
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
        "progressEvents": array(reference("ProgressEvent"), "All events of the job, oldest first"),
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
        "events": array(reference("ProgressEvent"), "The events, oldest first"),
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
    schemas: dict[str, Any] = spec.to_dict()["components"]["schemas"] | event_schemas()
    if platforms := market_type(market).platforms:
        schemas["OperationRequest"]["properties"]["platform"]["enum"] = list(platforms)
    schemas["OperationRequest"] |= {
        "not": {"required": ["wallets", "walletCount"]},
        "additionalProperties": False,
    }
    return schemas


def event_schemas() -> dict[str, Any]:
    """Return the schemas of an event and its parts by name, from the classes that encode and decode it."""
    _, found = msgspec.json.schema_components([ProgressEvent], ref_template=_REFERENCE)
    enums = {_REFERENCE.format(name=name): found[name]["enum"] for name in found if "enum" in found[name]}
    schemas = {}
    for part, fields_of_part in _EVENT_PARTS.items():
        required, properties = found[part]["required"], found[part]["properties"]
        described = {name: _plain(properties[name], enums) for name in fields_of_part}
        schemas[part] = {"type": "object", "required": required, "properties": described}
    return schemas


def _plain(schema: dict[str, Any], enums: dict[str, list[str]]) -> dict[str, Any]:
    """Return the schema of a field, with its enumeration, and without the null of a field that is omitted."""
    choices = schema.get("anyOf", [])
    if "default" in schema and choices:
        return _plain(choices[0], enums)
    if choices and choices[-1]["type"] == "number":  # msgspec: an integer or a number
        return {"description": schema["description"], **choices[-1]}
    if choices := enums.get(schema.get("$ref", ""), schema.get("enum")):
        kind = "integer" if isinstance(choices[0], int) else "string"
        return {"description": schema["description"], "type": kind, "enum": choices}
    return {name: value for name, value in schema.items() if name != "default"}


def _constraints(_: Any, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Return keywords that apispec omits: a reference, a pattern's anchors, and an exclusive minimum."""
    constraints: dict[str, Any] = {}
    if name := field.metadata.get("schema"):
        constraints["$ref"] = _REFERENCE.format(name=name)
    if ret.get("pattern", "").endswith(r"\Z"):
        constraints["pattern"] = f"^{ret['pattern'].removesuffix(chr(92) + 'Z')}$"
    if any(getattr(validator, "min_inclusive", True) is False for validator in field.validators):
        constraints["exclusiveMinimum"] = ret.pop("minimum")
    return constraints

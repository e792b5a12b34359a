"""The JSON Schemas of requests, responses and events, derived from the classes that parse and encode them.

Responses without a class are described in ``response_schemas.yaml``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from api.errors import ERRORS
from api.rest.audit_view import AuditList
from api.rest.job_list_views import Summary
from api.rest.job_views import Cancelling, Created, ResolvedStep, Wallets
from api.rest.review_views import JobReview, MarketAnswer, ResolutionSchema
from api.rest.system_view import MarketState, SystemState
from api.spec import yaml_template
from cto_worker.domain.operation_request import RequestSchema
from cto_worker.domain.progress_event import ProgressEvent, StepResult
from cto_worker.domain.purchase_outcome import OUTCOMES, PurchaseOutcome
from cto_worker.market_registry import platforms
from cto_worker.store.journal_queries import Stats

if TYPE_CHECKING:
    from marshmallow import Schema, fields

_OPENAPI = "3.1.0"
_WITH_INTENT = ("executed", "spent", "tokens")  # fields of a resolution that need an intent
_REFERENCE = "#/components/schemas/{name}"


def json_schemas(market: str) -> dict[str, Any]:
    """Return every schema by name, as JSON Schema, with references to ``#/components/schemas``.

    A request can name the platforms of ``market``.
    """
    resolution = _request_schema("Resolution", ResolutionSchema())
    resolution["dependentRequired"] = {
        "intentId": ["executed"],
        **{name: ["intentId"] for name in _WITH_INTENT},
    }
    return {"OperationRequest": _operation_schema(market), "Resolution": resolution, **response_schemas()}


def _operation_schema(market: str) -> dict[str, Any]:
    schema = _request_schema("OperationRequest", RequestSchema())
    if known := platforms(market):
        schema["properties"]["platform"]["enum"] = list(known)
    return schema | {"not": {"required": ["wallets", "walletCount"]}}


def _request_schema(name: str, schema: Schema) -> dict[str, Any]:
    plugin = MarshmallowPlugin(schema_name_resolver=lambda schema: type(schema).__name__)
    spec = APISpec("", "", _OPENAPI, plugins=[plugin])
    plugin.converter.add_attribute_function(_constraints)  # type: ignore[union-attr]  # APISpec has made it
    spec.components.schema(name, schema=schema)
    described: dict[str, Any] = spec.to_dict()["components"]["schemas"][name]
    return described | {"additionalProperties": False}


def response_schemas() -> dict[str, Any]:
    """Return the schemas of responses and events by name."""
    responses = (
        Created,
        Cancelling,
        ResolvedStep,
        Wallets,
        Stats,
        Summary,
        JobReview,
        MarketAnswer,
        SystemState,
        MarketState,
        AuditList,
    )
    classes = (*responses, ProgressEvent)
    _, found = msgspec.json.schema_components(classes, ref_template=_REFERENCE)
    enums = {_REFERENCE.format(name=name): found[name]["enum"] for name in found if "enum" in found[name]}
    schemas = {}
    for name, schema in found.items():
        if "properties" in schema:
            described = {field: _plain(value, enums) for field, value in schema["properties"].items()}
            schemas[name] = {"type": "object", "required": schema["required"], "properties": described}
    steps = schemas["StepResult"]["properties"]  # msgspec sorts the fields of a typed dictionary
    schemas["StepResult"]["properties"] = {field: steps[field] for field in StepResult.__annotations__}
    return schemas | _described_responses(schemas)


def _described_responses(schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of ``response_schemas.yaml``.

    A field that events also have gets its schema from there.
    """
    described = yaml_template.load(
        "response_schemas",
        **schemas["ProgressEvent"]["properties"] | {"status": schemas["Created"]["properties"]["status"]},
        error_codes=list(ERRORS),
        outcomes=sorted(PurchaseOutcome),
        outcome_texts=OUTCOMES,
        outcome_or_null=f"null until the job ends. {OUTCOMES}",
    )
    for schema in described.values():
        optional = schema.pop("optional", ())
        schema |= {
            "type": "object",
            "required": [name for name in schema["properties"] if name not in optional],
        }
    return described


def _plain(schema: dict[str, Any], enums: dict[str, list[str]]) -> dict[str, Any]:
    """Return the schema of a field, with its enumeration, and without the null of a field that is omitted."""
    plain = _without(schema, "anyOf", "default")
    choices = [_plain(choice, enums) for choice in schema.get("anyOf", ())]
    if "default" in schema:
        choices = [choice for choice in choices if choice != {"type": "null"}]
    if len(choices) == 1 or (choices and choices[-1]["type"] == "number"):  # msgspec: an integer or a number
        return plain | choices[-1]
    if values := enums.get(plain.get("$ref", ""), plain.get("enum")):
        kind = "integer" if isinstance(values[0], int) else "string"
        return {**_without(plain, "$ref"), "type": kind, "enum": values}
    return plain | ({"anyOf": choices} if choices else {})


def _without(schema: dict[str, Any], *keywords: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name not in keywords}


def _constraints(_: Any, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Return keywords that apispec omits: a pattern's anchors, and an exclusive minimum."""
    constraints: dict[str, Any] = {}
    if ret.get("pattern", "").endswith(r"\Z"):
        constraints["pattern"] = f"^{ret['pattern'].removesuffix(chr(92) + 'Z')}$"
    if any(getattr(validator, "min_inclusive", True) is False for validator in field.validators):
        constraints["exclusiveMinimum"] = ret.pop("minimum")
    return constraints

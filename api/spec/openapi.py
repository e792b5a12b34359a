"""The OpenAPI document, which describes everything that is available over HTTP (docs/decisions/0009).

``openapi.yaml`` contains the paths. Schemas, limits and the responses of errors are added here.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from api.errors import CODE_OF_STATUS, ERRORS
from api.realtime.user_stream_cursor import PATTERN
from api.rest.job_filter_parsing import CURSOR, MAX_INTEGER, PATTERNS, STATUSES
from api.rest.job_list_views import DEFAULT_LIMIT, MAX_LIMIT, MAX_STATS
from api.rest.job_row_formats import COLUMNS
from api.spec import yaml_template
from api.spec.json_schemas import json_schemas
from cto_worker.domain.audit_entry import Action
from cto_worker.domain.operation_request import MAX_WALLETS
from cto_worker.domain.progress_event import Mode, dumps
from cto_worker.domain.purchase_outcome import PurchaseOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = "application/json"
# The codes of requests that match no path, or that are refused before a path is looked up.
_OTHER_CODES = {*CODE_OF_STATUS.values(), "jsonp_not_supported"} - {"not_found", "body_too_large"}
_HEADERS_OF_STATUS = {401: ["WWW-Authenticate"], 405: ["Allow"], 429: ["Retry-After"], 503: ["Retry-After"]}


@cache
def document(*, secured: bool = True, market: str = "paper") -> dict[str, Any]:
    """Return the document for a market, which callers must not modify.

    Unless ``secured`` (``CTO_AUTH=off``), no operation requires a token. Every caller is then the service, so
    the stream of a user's jobs requires ``userId``.
    """
    described = _template(secured=secured)
    for methods in described["paths"].values():
        for operation in methods.values():
            _complete(operation)
            if not secured:
                operation["security"] = []
    described["components"] |= {
        "schemas": json_schemas(market),
        "responses": {
            code.title().replace("_", ""): _failure(ERRORS[code].http[0], [code])
            for code in ERRORS
            if code in _OTHER_CODES
        },
    }
    return described


def _template(*, secured: bool) -> dict[str, Any]:
    """Return the content of ``openapi.yaml``."""
    examples = yaml_template.examples()
    template = yaml_template.load(
        "openapi",
        version=version("cto"),
        max_integer=MAX_INTEGER,
        statuses=[str(status) for status in STATUSES],
        outcomes=list(map(str, PurchaseOutcome)),
        modes=list(map(str, Mode)),
        audit_actions=list(map(str, Action)),
        list_cursor=f"^{CURSOR}$",
        list_cursor_example=f"1700000000000:{examples['job_id']}",
        csv_header=",".join(COLUMNS),
        **{f"{name}_pattern": f"^{pattern}$" for name, pattern in PATTERNS.items()},
        max_limit=MAX_LIMIT,
        max_wallets=MAX_WALLETS,
        default_limit=DEFAULT_LIMIT,
        most_ids=f"At most {MAX_STATS} ids",
        distinct_ids=f"Job ids, separated by commas; at most {MAX_STATS} distinct ids",
        cursor_pattern=f"^({PATTERN})$",
        last_cursor_pattern=f"^({PATTERN})?$",
        cursor=f"{examples['job_id']}:7",
        status_url=f"/api/cto/job/{examples['job_id']}/status",
        last_event_text=dumps(examples["last_event"]).decode(),
        user_required=not secured,
    )
    del template["shared"]
    return template


def _complete(operation: dict[str, Any]) -> None:
    """Add what an operation in ``openapi.yaml`` leaves out."""
    operation.setdefault("security", [{"bearer": []}])
    if "parameters" in operation:
        operation["parameters"] = list(_flat(operation["parameters"]))
    for parameter in operation.get("parameters", ()):
        parameter.setdefault("required", False)
    successes = {str(status): _response(**each) for status, each in operation["responses"].items()}
    operation["responses"] = successes | _failures(set(_flat(operation.pop("errors"))))


def _response(  # noqa: PLR0913 - the parts of a response
    description: str,
    *,
    data: str = "",
    media_type: str = "",
    schema: dict[str, Any] | None = None,
    example: Any = None,
    headers: Any = (),
    **others: Any,
) -> dict[str, Any]:
    """Return a response with the class ``data``, or with a body of a ``media_type``, or without a body."""
    if data:
        schema, media_type = _envelope("data", {"$ref": f"#/components/schemas/{data}"}, success=True), JSON
        example = {"success": True, "data": example}
    content: dict[str, Any] = {"schema": schema or {"type": "string"}}
    if example is not None:
        content["example"] = example
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in _flat(headers)},
        **({"content": {media_type: content}} if media_type else {}),
        **others,
    }


def _failures(codes: set[str]) -> dict[str, Any]:
    """Return the responses with any of these codes, by status."""
    statuses = sorted({status for code in codes for status in ERRORS[code].http})
    # In the order of the table, so that the order of a route's codes does not matter.
    found = {
        status: [code for code in ERRORS if code in codes and status in ERRORS[code].http]
        for status in statuses
    }
    return {str(status): _failure(status, codes) for status, codes in found.items()}


def _failure(status: int, codes: list[str]) -> dict[str, Any]:
    """Return the response of this status with one of these codes."""
    named = {"properties": {"code": {"enum": codes}}}
    return _response(
        " ".join(f"`{code}`: {ERRORS[code].meaning}; {ERRORS[code].action}." for code in codes),
        media_type=JSON,
        schema=_envelope("error", {"allOf": [{"$ref": "#/components/schemas/Error"}, named]}, success=False),
        example={"success": False, "error": {"code": codes[0], "message": ERRORS[codes[0]].message}},
        headers=_HEADERS_OF_STATUS.get(status, ()),
    )


def _envelope(name: str, content: dict[str, Any], *, success: bool) -> dict[str, Any]:
    """Return the schema of every JSON response."""
    properties = {"success": {"const": success}, name: content}
    return {"type": "object", "required": list(properties), "properties": properties}


def _flat(values: Any) -> Iterator[Any]:
    """Yield the values in nested lists."""
    for each in values:
        yield from _flat(each) if isinstance(each, list | tuple) else [each]


if __name__ == "__main__":
    print(json.dumps(document()))  # noqa: T201 - for the generator of the client's types

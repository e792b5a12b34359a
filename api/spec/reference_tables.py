"""Generates the parts of docs/ that repeat declarations of the code: from events and calls to metrics.

Run ``make tables`` after a change of a declaration.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.errors import ERRORS
from api.spec import call_and_message_reference, metric_and_client_reference, openapi
from api.spec.generated_parts import with_parts
from api.spec.json_schemas import response_schemas
from cto_worker.config import ENV_PREFIX, Settings
from cto_worker.setting_fields import declaration

if TYPE_CHECKING:
    from api.errors import ErrorCode


@cache
def tables() -> dict[str, str]:
    """Return the tables as Markdown, by the names of their marks in the documents."""
    sections = dict.fromkeys(declaration(field).section for field in dataclasses.fields(Settings))
    return {
        "event": _event_table("ProgressEvent"),
        "details": _event_table("Details"),
        "lastStep": _event_table("StepResult"),
        "calls": _call_table(),
        "errors": _error_table(),
        **call_and_message_reference.sections(),
        **metric_and_client_reference.sections(),
        **{f"settings, {section}": _settings_table(section) for section in sections},
    }


def updated(text: str) -> str:
    """Return a document with the current tables."""
    return with_parts(text, tables())


def _call_table() -> str:
    lines = ["| call | | response |", "|---|---|---|"]
    for path, methods in openapi.document()["paths"].items():
        for method, described in methods.items():
            call = f"{method.upper()} {path.replace('{', '<').replace('}', '>')}{_query(described)}"
            texts = [described["summary"], *filter(None, [described.get("description")])]
            lines.append(f"| `{call}` | {'. '.join(texts)} | {_response(described)} |")
    return "\n".join(lines) + "\n"


def _query(described: dict[str, Any]) -> str:
    names = [each["name"] for each in described.get("parameters", ()) if each["in"] == "query"]
    return "?" * bool(names) + "&".join(f"{name}=" for name in names)


def _response(described: dict[str, Any]) -> str:
    """Return the first response: the fields of its data, or its description."""
    status, response = next(iter(described["responses"].items()))
    schema = next(iter(response.get("content", {"": {"schema": {}}}).values()))["schema"]
    data = schema.get("properties", {}).get("data", {}).get("$ref", "").rpartition("/")[2]
    if not data or data == "ProgressEvent":
        return f"{status} {response['description']}"
    return f"{status} `{{{', '.join(response_schemas()[data]['properties'])}}}`"


def _error_table() -> str:
    lines = ["| code | HTTP | sockets | what is wrong | what to do |", "|---|---|---|---|---|"]
    for code, error in ERRORS.items():
        statuses = ", ".join(map(str, error.http))
        lines.append(f"| `{code}` | {statuses} | {_socket(error)} | {error.meaning} | {error.action} |")
    return "\n".join(lines) + "\n"


def _socket(error: ErrorCode) -> str:
    places = ["reply"] * error.socket + ["connect"] * error.connect
    places += ["`/ws`"] * (error.close == 0) + [f"`/ws` closes: {error.close}"] * bool(error.close)
    return ", ".join(places)


def _event_table(name: str) -> str:
    schema = response_schemas()[name]
    lines = ["| field | type | |", "|---|---|---|"]
    for field, described in schema["properties"].items():
        kind = described.get("type", "object" if "$ref" in described else "string")
        kind = "list of strings" if kind == "array" else kind
        optional = "" if field in schema["required"] else ", optional"
        lines.append(f"| `{field}` | {kind}{optional} | {described['description']} |")
    return "\n".join(lines) + "\n"


def _settings_table(section: str) -> str:
    lines = ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(Settings):
        declared = declaration(field)
        if declared.section == section:
            variable, default = ENV_PREFIX + field.name.upper(), _default(field.default)
            lines.append(f"| `{variable}` | {default} | {declared.allowed} | {declared.description} |")
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`" if value or value == 0 else "empty"


if __name__ == "__main__":
    for page in (Path(__file__).parents[2] / "docs").glob("**/*.md"):
        page.write_text(updated(page.read_text()))

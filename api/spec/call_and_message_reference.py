"""Generates the sections of docs/reference/ that describe every call and message, as Markdown."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from api.spec import asyncapi, openapi

CHANNELS = {"socketio": "Socket.IO", "websocket": "Plain WebSocket"}
_CODE = re.compile(r"`\w+`(?=:)")  # in the description of a response
_SENDERS = {"receive": "The client sends", "send": "The gateway sends"}


def sections() -> dict[str, str]:
    """Return the sections, by the names of their marks in the documents."""
    document = openapi.document()
    return {
        "REST calls": "\n".join(
            _call(method, path, described)
            for path, methods in document["paths"].items()
            for method, described in methods.items()
        ),
        "REST objects": "\n".join(map(_object, document["components"]["schemas"].items())),
        **{f"messages, {title}": _messages(channel) for channel, title in CHANNELS.items()},
    }


def _call(method: str, path: str, described: dict[str, Any]) -> str:
    lines = [f"### {described['summary']}", "", f"`{method.upper()} {path}`", ""]
    if text := described.get("description"):
        lines += [f"{text}.", ""]
    if parameters := described.get("parameters"):
        lines += ["| parameter | in | type | |", "|---|---|---|---|", *map(_parameter, parameters), ""]
    if body := described.get("requestBody"):
        lines += [f"Body: {_kind(body['content']['application/json']['schema'])}.", ""]
    lines += ["| response | body | |", "|---|---|---|"]
    lines += [_response(status, each) for status, each in described["responses"].items()]
    return "\n".join([*lines, ""])


def _parameter(parameter: dict[str, Any]) -> str:
    required = "" if parameter.get("required") else ", optional"
    schema, text = parameter["schema"], parameter.get("description", "")
    return f"| `{parameter['name']}` | {parameter['in']} | {_kind(schema)}{required} | {text} |"


def _response(status: str, response: dict[str, Any]) -> str:
    content: dict[str, Any] = response.get("content", {})
    kind = "".join(content) or "none"
    schema: dict[str, Any] = next((each.get("schema", {}) for each in content.values()), {})
    if "properties" in schema and "data" in schema["properties"]:
        kind = f"`data`: {_kind(schema['properties']['data'])}"
    elif int(status) >= HTTPStatus.BAD_REQUEST:
        return f"| {status} | `error` | {', '.join(_CODE.findall(response['description']))} |"
    return f"| {status} | {kind} | {_cell(response.get('description', ''))} |"


def _object(named: tuple[str, dict[str, Any]]) -> str:
    name, schema = named
    lines = [f"### {name}", ""]
    if text := schema.get("description"):
        lines += [f"{text}.", ""]
    lines += ["| field | type | |", "|---|---|---|"]
    for field, described in schema.get("properties", {}).items():
        optional = "" if field in schema.get("required", ()) else ", optional"
        lines.append(
            f"| `{field}` | {_kind(described)}{optional} | {_cell(described.get('description', ''))} |"
        )
    return "\n".join([*lines, ""])


def _kind(schema: dict[str, Any]) -> str:
    """Return the type of a schema in words; a named object is a link to its section."""
    for name in ("anyOf", "oneOf", "allOf"):
        if name in schema:
            return " or ".join(dict.fromkeys(map(_kind, schema[name])))
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](rest.md#{name.lower()})"
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in values)
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("type", "object"))


def _messages(channel: str) -> str:
    document = asyncapi.document()
    messages = document["channels"][channel]["messages"]
    lines: list[str] = []
    for action, title in _SENDERS.items():
        lines += [f"{title}:", "", "| message | fields | reply | |", "|---|---|---|---|"]
        for name, operation in document["operations"].items():
            if name.startswith(f"{channel}_") and operation["action"] == action:
                lines.append(_message(messages, operation))
        lines.append("")
    replies = {_named(each) for each in document["operations"].values() for each in _replies(each)}
    lines += ["Replies:", "", "| reply | fields | |", "|---|---|---|"]
    for name in (name for name in messages if name in replies):
        lines.append(f"| `{name}` | {_fields(messages[name]['payload'])} | {messages[name]['summary']} |")
    return "\n".join([*lines, ""])


def _message(messages: dict[str, Any], operation: dict[str, Any]) -> str:
    name = _named(operation["messages"][0])
    replies = " or ".join(f"`{_named(each)}`" for each in _replies(operation))
    return f"| `{name}` | {_fields(messages[name]['payload'])} | {replies} | {operation['summary']} |"


def _replies(operation: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = operation.get("reply", {}).get("messages", [])
    return found


def _named(reference: dict[str, Any]) -> str:
    return str(reference["$ref"].rpartition("/")[2])


def _fields(payload: dict[str, Any]) -> str:
    if "properties" not in payload:
        return _kind(payload)
    required = payload.get("required", ())
    return "<br>".join(
        f"`{field}`: {_kind(described)}{'' if field in required else ', optional'}"
        for field, described in payload["properties"].items()
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

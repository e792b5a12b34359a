"""The AsyncAPI document, which describes the messages of Socket.IO and of the plain WebSocket at ``/ws``.

``asyncapi.yaml`` contains the messages. Error codes, schemas and operations are added here.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from api.errors import ERRORS
from api.realtime.room_access import MAX_SEQ
from api.spec import yaml_template
from api.spec.json_schemas import json_schemas


@cache
def document(market: str = "paper") -> dict[str, Any]:
    """Return the document for a market, which callers must not modify."""
    described = yaml_template.load(
        "asyncapi",
        version=version("cto"),
        max_seq=MAX_SEQ,
        socket_codes=[code for code, error in ERRORS.items() if error.socket],
        connect_codes=[code for code, error in ERRORS.items() if error.connect],
        websocket_codes=[code for code, error in ERRORS.items() if error.socket or error.close is not None],
        **{code: error.message for code, error in ERRORS.items()},
    )
    operations: dict[str, Any] = {}
    for name, channel in described["channels"].items():
        operations |= _operations(name, channel)
        channel["messages"] = {key: _message(name, key, **each) for key, each in channel["messages"].items()}
    return described | {"operations": operations, "components": {"schemas": json_schemas(market)}}


def _message(channel: str, name: str, summary: str, payload: dict[str, Any], example: Any) -> dict[str, Any]:
    """Return a message. At ``/ws`` it has a ``type``, and optionally an ``id``, which the reply repeats."""
    if channel == "websocket":
        payload = {
            "type": "object",
            "required": ["type", *payload.get("required", ())],
            "properties": {"type": {"const": name}, **payload.get("properties", {}), "id": {}},
        }
        example = {"type": name, **example}
    return {"name": name, "summary": summary, "payload": payload, "examples": [{"payload": example}]}


def _operations(name: str, channel: dict[str, Any]) -> dict[str, Any]:
    """Return the operations of a channel: requests with their replies, and notifications."""
    at = {"channel": {"$ref": f"#/channels/{name}"}}
    requests, notifications, refusal = (
        channel.pop(member) for member in ("requests", "notifications", "refusal")
    )

    def messages(*keys: str) -> dict[str, Any]:
        return {"messages": [{"$ref": f"#/channels/{name}/messages/{key}"} for key in keys]}

    def operation(action: str, key: str) -> dict[str, Any]:
        return {"action": action, **at, "summary": channel["messages"][key]["summary"], **messages(key)}

    received = {
        f"{name}_{key}": operation("receive", key) | {"reply": at | messages(reply, refusal)}
        for key, reply in requests.items()
    }
    return received | {f"{name}_{key}": operation("send", key) for key in notifications}

"""Reads the YAML files of the API documents, in which values of the code are inserted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from cto_worker.domain.ids_and_rooms import JOB_ID_PATTERN

JOB_ID = {"type": "string", "pattern": f"^{JOB_ID_PATTERN}$"}
_PLACEHOLDER = re.compile(r"<(\w+)>")


def load(name: str, **values: Any) -> dict[str, Any]:
    """Return the content of a YAML file of this folder, without objects that occur twice.

    A text such as ``<last_event>`` becomes the value of that name: an example in ``examples.yaml``, or one of
    ``values``. Raises ``KeyError`` for an unknown name.
    """
    inserted = examples() | {"job_id_schema": JOB_ID} | values
    document: dict[str, Any] = _filled(_read(name), inserted)
    return document


def examples() -> dict[str, Any]:
    """Return the examples of ``examples.yaml`` by name."""
    found: dict[str, Any] = _read("examples")
    return found


def _read(name: str) -> Any:
    return msgspec.yaml.decode((Path(__file__).parent / f"{name}.yaml").read_bytes())


def _filled(node: Any, values: dict[str, Any]) -> Any:
    if isinstance(node, dict):
        return {name: _filled(value, values) for name, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, values) for value in node]
    placeholder = _PLACEHOLDER.fullmatch(node) if isinstance(node, str) else None
    return values[placeholder[1]] if placeholder else node

"""Generates the event tables of docs/frontend.md: ``python -m api.spec.event_reference FILE``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from marshmallow import fields

from api.spec.schemas import Details, ProgressEvent, StepResult

if TYPE_CHECKING:
    from marshmallow import Schema

_TYPES = {
    fields.String: "string",
    fields.Integer: "integer",
    fields.Float: "number",
    fields.Boolean: "boolean",
    fields.List: "list of strings",
    fields.Nested: "object",
}


def tables() -> dict[str, str]:
    """Return the tables as Markdown, by the names under which the guide has them."""
    return {"event": _table(ProgressEvent), "details": _table(Details), "lastStep": _table(StepResult)}


def write_into(guide: Path) -> None:
    """Put each table between its marks in a document."""
    text = guide.read_text()
    for name, table in tables().items():
        before, begins, rest = text.partition(f"<!-- generated: {name} -->\n")
        _, ends, after = rest.partition("<!-- end -->")
        text = before + begins + table + ends + after
    guide.write_text(text)


def _table(schema: type[Schema]) -> str:
    lines = ["| field | type | |", "|---|---|---|"]
    for name, field in schema().fields.items():
        optional = "" if field.required else ", optional"
        lines.append(f"| `{name}` | {_TYPES[type(field)]}{optional} | {field.metadata['description']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_into(Path(sys.argv[1]))

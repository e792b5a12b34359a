"""Generates the tables of events and error codes in the documents that its command line names.

Run ``python -m api.spec.event_reference docs/frontend.md docs/contract.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from marshmallow import fields

from api.errors import ERRORS
from api.spec.schemas import Details, ProgressEvent, StepResult

if TYPE_CHECKING:
    from marshmallow import Schema

    from api.errors import ErrorCode

_TYPES = {
    fields.String: "string",
    fields.Integer: "integer",
    fields.Float: "number",
    fields.Boolean: "boolean",
    fields.List: "list of strings",
    fields.Nested: "object",
}


def tables() -> dict[str, str]:
    """Return the tables of events as Markdown, by the names of their marks in docs/frontend.md."""
    return {"event": _table(ProgressEvent), "details": _table(Details), "lastStep": _table(StepResult)}


def error_table() -> str:
    """Return the table of error codes in docs/contract.md as Markdown."""
    lines = ["| code | HTTP | sockets | what is wrong | what to do |", "|---|---|---|---|---|"]
    for code, error in ERRORS.items():
        statuses = ", ".join(map(str, error.http))
        lines.append(f"| `{code}` | {statuses} | {_socket(error)} | {error.meaning} | {error.action} |")
    return "\n".join(lines) + "\n"


def write_into(document: Path) -> None:
    """Replace each table between its marks in a document."""
    text = document.read_text()
    for name, table in (tables() | {"errors": error_table()}).items():
        before, begins, rest = text.partition(f"<!-- generated: {name} -->\n")
        if begins:
            _, ends, after = rest.partition("<!-- end -->")
            text = before + begins + table + ends + after
    document.write_text(text)


def _socket(error: ErrorCode) -> str:
    places = ["reply"] * error.socket + ["connect"] * error.connect
    places += ["`/ws`"] * (error.close == 0) + [f"`/ws` closes: {error.close}"] * bool(error.close)
    return ", ".join(places)


def _table(schema: type[Schema]) -> str:
    lines = ["| field | type | |", "|---|---|---|"]
    for name, field in schema().fields.items():
        optional = "" if field.required else ", optional"
        lines.append(f"| `{name}` | {_TYPES[type(field)]}{optional} | {field.metadata['description']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for path in sys.argv[1:]:
        write_into(Path(path))

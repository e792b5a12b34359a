"""Marshmallow fields with a description, and schemas made of them, for the published JSON Schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import EXCLUDE, Schema, fields, validate

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Response(Schema):
    class Meta:
        unknown = EXCLUDE  # fields may be added


def schema(name: str, described: dict[str, fields.Field[Any]]) -> type[Schema]:
    """Return a schema with this name and these fields."""
    return _Response.from_dict(described, name=name)


def text(description: str, **options: Any) -> fields.Field[Any]:
    """Return a field of a string; as every field here, it is required unless ``optional=True``."""
    return fields.String(**_described(description, options))


def one_of(choices: Iterable[str], description: str, **options: Any) -> fields.Field[Any]:
    """Return a field of one of these strings."""
    names = [str(choice) for choice in choices]
    return fields.String(validate=validate.OneOf(names), **_described(description, options))


def whole(
    description: str, low: int | None = 0, high: int | None = None, **options: Any
) -> fields.Field[Any]:
    """Return a field of an integer from ``low`` to ``high``."""
    return fields.Integer(strict=True, validate=validate.Range(low, high), **_described(description, options))


def number(description: str, high: float | None = None, **options: Any) -> fields.Field[Any]:
    """Return a field of a number from 0 to ``high``."""
    return fields.Float(validate=validate.Range(0, high), **_described(description, options))


def boolean(description: str, **options: Any) -> fields.Field[Any]:
    """Return a field of a boolean."""
    return fields.Boolean(**_described(description, options))


def array(item: fields.Field[Any], description: str, **options: Any) -> fields.Field[Any]:
    """Return a field of a list."""
    return fields.List(item, **_described(description, options))


def nested(kind: type[Schema], description: str, **options: Any) -> fields.Field[Any]:
    """Return a field of an object of another schema."""
    return fields.Nested(kind, **_described(description, options))


def reference(name: str, description: str = "", **options: Any) -> fields.Field[Any]:
    """Return a field of an object whose JSON Schema is published under this name."""
    return fields.Raw(**_described(description, options | {"schema": name}))


def nullable(description: str, choices: Iterable[str] = (), **options: Any) -> fields.Field[Any]:
    """Return a field of a string, or of one of these strings, or null."""
    validators = [validate.OneOf([*choices, None])] if choices else []
    return fields.String(allow_none=True, validate=validators, **_described(description, options))


def _described(description: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return marshmallow's arguments; what is left of the options goes into the JSON Schema."""
    required = not options.pop("optional", False)
    return {"required": required, "metadata": {"description": description, **options}}

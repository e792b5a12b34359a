"""Declarations of settings, and the types of their values."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

import base58
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from cto_worker.addresses import SENTINEL_SCHEME, host_name, parse_sentinel_url
from cto_worker.crash_points import CRASH_POINTS
from cto_worker.market_registry import is_market, names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

ADDRESS_BYTES = 32
T = TypeVar("T")
_FIELDS: dict[type, Callable[[Any], fields.Field[Any]]] = {
    int: lambda validator: fields.Integer(validate=validator),
    float: lambda validator: fields.Float(validate=validator),
    str: lambda validator: fields.String(validate=validator),
    type(Path()): lambda _: fields.Function(deserialize=Path),
}
Section = Literal[
    "Gateway", "Console", "Authentication", "Store", "Archive", "Worker", "Market", "Paper market",
    "Solana", "Signer", "Local chain", "Observability", "Deployment", "Tests",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Declaration:
    """The declaration of one setting."""

    section: Section  # of docs/reference/settings.md
    field: fields.Field[Any]  # converts and validates the text in the environment
    description: str  # in Markdown
    secret: bool  # never shown

    @property
    def allowed(self) -> str:
        """The allowed values in Markdown, if they are a range or a list; otherwise an empty text."""
        for validator in self.field.validators:
            if isinstance(validator, validate.Range):
                return f"{validator.min:,}–{validator.max:,}"
            if isinstance(validator, validate.OneOf):
                return ", ".join(f"`{choice}`" for choice in validator.choices)
        return ""


def setting(  # noqa: PLR0913 - the parts of a declaration
    section: Section,
    default: T,
    *,
    description: str,
    between: tuple[int, int] | None = None,
    one_of: Collection[str] | None = None,
    field: fields.Field[Any] | None = None,
    secret: bool = False,
) -> T:
    """Declare a field of a dataclass as a setting, whose type is that of its default.

    Its values may be restricted to those ``between`` two numbers, or to ``one_of`` several texts. ``field``
    converts and validates any other type.
    """
    validator = validate.Range(*between) if between else validate.OneOf(one_of) if one_of else None
    field = field or _FIELDS[type(default)](validator)
    declared = Declaration(section, field, description, secret)
    return dataclasses.field(default=default, repr=not secret, metadata={"setting": declared})


def declaration(field: dataclasses.Field[Any]) -> Declaration:
    """Return the declaration of a field that :func:`setting` has made."""
    declared: Declaration = field.metadata["setting"]
    return declared


def environment_schema(settings: type, prefix: str) -> Schema:
    """Return the schema of the environment, whose keys are the names of variables."""
    declared = {each.name: declaration(each).field for each in dataclasses.fields(settings)}
    for name, field in declared.items():
        field.data_key = prefix + name.upper()
    return Schema.from_dict(declared)(unknown=EXCLUDE)


def password(length: int) -> fields.Field[Any]:
    """Return a field of a text with a minimal length in characters."""
    return fields.String(validate=validate.Length(length, error="Must have {min} characters or more."))


def url(form: str) -> fields.Field[Any]:
    """Return a field of an HTTP URL, with the form that the error message states."""
    return _matching(r"https?://.+", f"Must {form}.")


def urls() -> fields.Field[Any]:
    """Return a field of HTTP URLs."""
    return Words(validate=_check_urls)


def genesis_hash() -> fields.Field[Any]:
    """Return a field of a cluster's genesis hash: 32 bytes in base58."""
    return _matching(r"[1-9A-HJ-NP-Za-km-z]{32,44}\Z", "Must be a genesis hash: 32 bytes in base58.")


def link(example: str) -> fields.Field[Any]:
    """Return a field of a link with a name in braces, as in the example, in place of an id."""
    name = re.escape(example[example.index("{") : example.index("}") + 1])
    return _matching(rf"https?://[^{{}}]*{name}[^{{}}]*\Z", f"Must be like {example}.")


def rate() -> fields.Field[Any]:
    """Return a field of a number of requests per unit of time."""
    pattern = r"[1-9][0-9]{0,8}/(second|minute|hour|day)\Z"
    return _matching(pattern, "Must be like 600/minute, or 20/second.")


def market_name() -> fields.Field[Any]:
    """Return a field of the name of a market, or of its factory."""
    return fields.String(validate=_check_market)


def crash_point() -> fields.Field[Any]:
    """Return a field of a crash point, which may have the suffix ``:always``."""
    names = ", ".join(CRASH_POINTS)
    error = f"Must be one of {names}, with the suffix :always for every attempt."
    return _matching(rf"({'|'.join(CRASH_POINTS)})(:always)?\Z", error)


def _matching(pattern: str, error: str) -> fields.Field[Any]:
    return fields.String(validate=validate.Regexp(pattern, error=error))


class Words(fields.String):
    """A tuple, read from comma-separated words."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        return tuple(word.strip() for word in text.split(",") if word.strip())


def origins() -> fields.Field[Any]:
    """Return a field of origins in the form that browsers send. Any other would never match."""
    return Words(validate=_check_origins)


def host_names() -> fields.Field[Any]:
    """Return a field of host names in the form of a ``Host`` header, without a port."""
    return Words(validate=_check_host_names)


def addresses() -> fields.Field[Any]:
    """Return a field of Solana addresses: 32 bytes each, in base58."""
    return Words(validate=_check_addresses)


def words() -> fields.Field[Any]:
    """Return a field of words without a form of their own."""
    return Words()


def store_address() -> fields.Field[Any]:
    """Return a field of the URL of a store, or of its Sentinels."""
    return fields.String(validate=_check_store_address)


def database_address() -> fields.Field[Any]:
    """Return a field of the URL of a PostgreSQL database."""
    return fields.String(validate=_check_database_address)


# The form that browsers send: lower case, no path, no `*`.
_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+\Z")


def _check_origins(origins: tuple[str, ...]) -> None:
    for origin in origins:
        if not _ORIGIN.match(origin):
            raise ValidationError(
                f"{origin!r} is not an origin: write it as browsers do, like http://localhost:5173, "
                "in lower case, without a final slash and without *."
            )


def _check_urls(urls: tuple[str, ...]) -> None:
    for address in urls:  # it may contain a key, so the message does not
        if not re.match(r"https?://[^/]+", address):
            raise ValidationError("Must be addresses like https://host/path, separated by commas.")


def _check_host_names(names: tuple[str, ...]) -> None:
    for name in names:
        if host_name(name) != name:
            raise ValidationError(
                f"{name!r} is not a host name: write it like flower.example.org, "
                "in lower case, without scheme and port."
            )


def _check_market(name: str) -> None:
    if not is_market(name):
        raise ValidationError(
            f"Must be one of {', '.join(names())}, or like package.module:factory. "
            "docs/how-to/own-market.md explains how to write a market."
        )


def _check_addresses(addresses: tuple[str, ...]) -> None:
    for address in addresses:
        try:
            valid = len(base58.b58decode(address)) == ADDRESS_BYTES
        except ValueError:
            valid = False
        if not valid:
            raise ValidationError(f"{address!r} is not a Solana address: write its 32 bytes in base58.")


def _check_store_address(url: str) -> None:
    try:
        valid = parse_sentinel_url(url) or re.match(r"rediss?://.+", url)
    except ValueError:
        valid = None
    if not valid:
        raise ValidationError(
            "Must be empty, or like redis://127.0.0.1:6379/0, or "
            f"{SENTINEL_SCHEME}://user:password@host1:26379,host2:26379,host3:26379/mymaster/0, "
            "with user and password percent-encoded."
        )


def _check_database_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme == "postgresql" and parts.hostname and len(parts.path) > 1 and parts.port != 0
    except ValueError:  # the port is no number, or too large
        valid = False
    if not valid:
        raise ValidationError(
            "Must be empty, or like postgresql://user:password@127.0.0.1:5432/database, "
            "with user and password percent-encoded."
        )

"""A request to start an operation. REST, Python and Celery messages share one schema."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import base58
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from cto_worker.domain.lamports import to_lamports, to_sol
from cto_worker.domain.progress_event import Mode
from cto_worker.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

DEFAULT_WALLET_COUNT = 5
MAX_WALLETS = 50
MAX_BUY_SOL = 1_000_000
MIN_LAMPORTS_PER_WALLET = 10_000
MAX_SAFE_INTEGER = 2**53 - 1  # the largest integer that JavaScript represents exactly
PUBLIC_KEY_BYTES = 32
USER_ID = re.compile(r"[A-Za-z0-9_.:@+-]{1,64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRequest:
    """A request to buy a token. Only requests from :func:`parse_request` are valid and may be run."""

    token_address: str  # mint, base58
    user_id: str
    user_chat_id: int
    mode: Mode
    buy_amount: float  # SOL to spend in total
    wallets: tuple[str, ...] | None = None  # addresses to buy with
    wallet_count: int | None = None  # or how many of the user's operation wallets
    platform: str | None = None
    socket_user_id: str | None = None
    slippage_bps: int | None = None  # overrides the platform's strategy

    @property
    def buy_lamports(self) -> int:
        """``buy_amount`` in lamports."""
        return to_lamports(self.buy_amount)

    @property
    def buyers(self) -> int:
        """The number of wallets that buy."""
        return len(self.wallets) if self.wallets else self.wallet_count or DEFAULT_WALLET_COUNT

    def to_document(self) -> dict[str, Any]:
        """Return the request as a JSON object: camelCase, only the fields that were present."""
        dumped = _SCHEMA.dump(self)
        return {name: value for name, value in dumped.items() if value is not None}


def parse_request(document: Any, platforms: Collection[str] = ()) -> OperationRequest:
    """Validate a JSON value and return the request.

    ``platforms`` are the platforms of the market; if empty, every platform is accepted. Raises
    :class:`InvalidRequestError` with every invalid field. Strings are not converted to numbers.
    """
    messages: dict[str, Any] = {}
    try:
        loaded = _SCHEMA.load(document)
    except ValidationError as error:
        messages = {name: _with_hint(name, texts) for name, texts in error.normalized_messages().items()}
    platform = document.get("platform") if isinstance(document, dict) else None
    if platforms and isinstance(platform, str) and platform not in platforms:
        messages.setdefault("platform", [f"Unknown platform: must be one of {', '.join(platforms)}."])
    if messages:
        raise InvalidRequestError(messages)
    if "wallets" in loaded:
        loaded["wallets"] = tuple(loaded["wallets"])
    return OperationRequest(**loaded)


def _with_hint(name: str, texts: Any) -> Any:
    """Add the name of the most similar field to the message about an unknown field."""
    if texts != [_SCHEMA.error_messages["unknown"]]:
        return texts
    near = get_close_matches(_camel_case(re.split(r"[_-]+", name.strip("_-"))), _NAMES, n=1)
    return [f"Unknown field: did you mean {near[0]}?"] if near else texts


def _camel_case(words: Iterable[str]) -> str:
    head, *tail = words
    return head + "".join(word.title() for word in tail)


def recorded_request(document: bytes) -> OperationRequest:
    """Return the request in recorded JSON (from :meth:`OperationRequest.to_document`), without validation."""
    fields = {_NAMES[name]: value for name, value in json.loads(document).items()}
    fields["mode"] = Mode(fields["mode"])
    if "wallets" in fields:
        fields["wallets"] = tuple(fields["wallets"])
    return OperationRequest(**fields)


def refused_request(document: Any) -> OperationRequest:
    """Return the valid fields of a refused document, with neutral values for the other required fields.

    The result is only for the events that report the refusal to its user. It must never be run.
    """
    usable: dict[str, Any] = {
        "token_address": "",
        "user_id": "",
        "user_chat_id": 0,
        "mode": Mode.STANDARD,
        "buy_amount": 0,
    }
    if isinstance(document, dict):
        for name, field in _SCHEMA.fields.items():
            wire_name = field.data_key or name
            if wire_name in document:
                with suppress(ValidationError):
                    usable[name] = field.deserialize(document[wire_name])
    return OperationRequest(**usable)


class WholeNumber(fields.Integer):
    """A JSON number without a fraction. In JSON and JSON Schema, 5.0 equals 5."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return super()._deserialize(value, attr, data, **kwargs)


class Number(fields.Float):
    """A JSON number. A string of digits is refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str | bytes):
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs)


def _public_key(text: str) -> None:
    try:
        size = len(base58.b58decode(text))
    except ValueError as error:
        raise ValidationError("Must be base58.") from error
    if size != PUBLIC_KEY_BYTES:
        raise ValidationError(f"Must decode to {PUBLIC_KEY_BYTES} bytes, not {size}.")


def _distinct(wallets: list[str]) -> None:
    for wallet, count in Counter(wallets).items():
        if count > 1:
            raise ValidationError(f"Contains the wallet {wallet} {count} times: name each wallet once.")


# 32 bytes have 32 to 44 base58 digits. The length is checked first, because decoding takes quadratic time.
_PUBLIC_KEY: list[Callable[[Any], Any]] = [validate.Length(32, 44), _public_key]
_BASE58 = {"pattern": "^[1-9A-HJ-NP-Za-km-z]+$"}
_USER_ID = validate.Regexp(USER_ID, error="Must be 1 to 64 letters, digits or any of _ . : @ + -")


class RequestSchema(Schema):
    """The schema of a request. The fields' metadata become JSON Schema in the API reference."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Convert the field's Python name to camelCase in documents."""
        field_obj.data_key = _camel_case(field_name.split("_"))

    token_address = fields.String(
        required=True,
        validate=_PUBLIC_KEY,
        metadata={"description": "The mint address of the token to buy", **_BASE58},
    )
    user_id = fields.String(
        required=True, validate=_USER_ID, metadata={"description": "The user whose wallets buy"}
    )
    user_chat_id = WholeNumber(
        required=True,
        strict=True,
        validate=validate.Range(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER),
        metadata={"description": "The id of the user's Telegram chat"},
    )
    mode = fields.Enum(
        Mode,
        required=True,
        by_value=True,
        metadata={
            "type": "string",
            "description": "The source of the SOL: the user's funding wallet with `standard`, "
            "the buying wallets with `prefunded`",
        },
    )
    buy_amount = Number(
        required=True,
        validate=validate.Range(0, MAX_BUY_SOL, min_inclusive=False),
        metadata={"description": "SOL to spend in total, at least 0.00001 per wallet"},
    )
    wallets = fields.List(
        fields.String(validate=_PUBLIC_KEY, metadata=_BASE58),
        validate=[validate.Length(1, MAX_WALLETS), _distinct],
        metadata={"description": "The wallets to buy with, instead of `walletCount`", "uniqueItems": True},
    )
    wallet_count = WholeNumber(
        strict=True,
        validate=validate.Range(1, MAX_WALLETS),
        metadata={
            "description": "The number of the user's wallets that buy, instead of `wallets`. "
            f"Default: {DEFAULT_WALLET_COUNT}"
        },
    )
    platform = fields.String(
        validate=validate.Regexp(
            r"[a-z0-9_-]{1,32}\Z", error="Must be 1 to 32 lower-case letters, digits, _ or -, like pumpfun."
        ),
        metadata={"description": "The platform where the token trades. Default: detected"},
    )
    socket_user_id = fields.String(
        validate=_USER_ID, metadata={"description": "A second user whose room receives the events"}
    )
    slippage_bps = WholeNumber(
        strict=True,
        validate=validate.Range(0, 10_000),
        metadata={"description": "Allowed price movement in basis points. Default: the platform's strategy"},
    )

    @validates_schema
    def _wallets_once(self, data: dict[str, Any], **_: Any) -> None:
        if "wallets" in data and "wallet_count" in data:
            raise ValidationError("Give wallets or walletCount, not both.", "walletCount")

    @validates_schema
    def _enough_per_wallet(self, data: dict[str, Any], **_: Any) -> None:
        count = len(data.get("wallets", ())) or data.get("wallet_count", DEFAULT_WALLET_COUNT)
        least = count * MIN_LAMPORTS_PER_WALLET
        if to_lamports(data["buy_amount"]) < least:
            raise ValidationError(
                f"Must be at least {to_sol(least):.5f} SOL for {count} wallet{'s' * (count > 1)}.",
                "buyAmount",
            )


_SCHEMA = RequestSchema()
_NAMES = {field.data_key or name: name for name, field in _SCHEMA.fields.items()}

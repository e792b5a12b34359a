"""Strict parsing of requests: JSON bodies, queries, job ids and idempotency keys."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import RequestEntityTooLarge

from api.errors import BadRequestError
from cto_worker.domain.ids_and_rooms import JOB_ID
from cto_worker.domain.operation_request import USER_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Request

MAX_BODY_BYTES = 32_768
_KEY = re.compile(r"[\x21-\x7e]{1,128}\Z")


def json_object(request: Request) -> dict[str, Any]:
    """Return the body as a JSON object.

    Raises :class:`BadRequestError` ``unsupported_media_type`` or ``invalid_json``, also for NaN, infinities,
    repeated names and lone surrogates. Raises ``werkzeug.exceptions.RequestEntityTooLarge`` if the body is
    larger than :data:`MAX_BODY_BYTES`.
    """
    if request.mimetype != "application/json":
        raise BadRequestError(
            "unsupported_media_type",
            f"the media type {request.mimetype[:60]!r} is not JSON: send Content-Type: application/json",
        )
    body = request.get_data()
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    try:
        document = parsed(body.decode())
    except ValueError as error:
        raise BadRequestError("invalid_json", f"the body is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadRequestError("invalid_json", "the body is not a JSON object: send {…}")
    return document


def parsed(text: str) -> Any:
    """Parse JSON strictly. Raises ``ValueError``."""
    try:
        document = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
        # A lone surrogate (\ud800) cannot be stored: encode() raises UnicodeEncodeError, a ValueError.
        json.dumps(document, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return document


def query(request: Request, allowed: Iterable[str]) -> dict[str, str]:
    """Return the parameters of the query.

    Raises :class:`BadRequestError` ``invalid_query`` if a parameter is not ``allowed`` or is repeated.
    """
    parameters: dict[str, str] = {}
    names = set(allowed)
    for name, values in request.args.lists():
        if name not in names:
            raise wrong(name, f"Unknown parameter. Allowed: {', '.join(sorted(names)) or 'none'}.")
        if len(values) > 1:
            raise wrong(name, "Repeated: send it once.")
        parameters[name] = values[0]
    return parameters


def integer(parameters: dict[str, str], name: str, low: int, high: int, default: int) -> int:
    """Return an integer parameter from ``low`` to ``high``. Raises ``invalid_query``."""
    text = parameters.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII) or not low <= int(text) <= high:
        raise wrong(name, f"Must be an integer from {low} to {high}.")
    return int(text)


def parse_job_id(job_id: str) -> str:
    """Return a job id from the path. Raises :class:`BadRequestError` ``invalid_job_id``."""
    if not JOB_ID.match(job_id):
        text = "Must be 1 to 128 letters, digits, _ or -."
        raise BadRequestError("invalid_job_id", f"jobId: {text}", fields={"jobId": [text]})
    return job_id


def check_user_id_form(user_id: str) -> None:
    """Raise :class:`BadRequestError` ``invalid_query`` if the parameter ``userId`` is no user id."""
    if not USER_ID.match(user_id):
        raise wrong("userId", "Must be 1 to 64 letters, digits or any of _ . : @ + -.")


def idempotency_key(request: Request) -> str:
    """Return the header ``Idempotency-Key``, or "". Raises ``invalid_idempotency_key``."""
    key: str | None = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.match(key):
        raise BadRequestError(
            "invalid_idempotency_key",
            "Idempotency-Key must be 1 to 128 visible ASCII characters: send a UUID, for example",
        )
    return key or ""


def wrong(name: str, text: str) -> BadRequestError:
    """Return the error for one invalid parameter of the query."""
    return BadRequestError("invalid_query", f"{name}: {text}", fields={name: [text]})


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("an object has the same name twice")
    return document

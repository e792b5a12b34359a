"""The one exception of this package."""

from __future__ import annotations

from typing import Any

import msgspec

UNREACHABLE = "unreachable"  # no answer, after all retries
AUTH_EXPIRED = "auth_expired"  # during a stream; the server's code
INVALID_TOKEN = "invalid_token"  # noqa: S105 - a code, here and of the server: not a token
UNEXPECTED = "unexpected_response"  # the answer is not one of this API; a proxy may have sent it


class CTOError(Exception):
    """A call failed. ``code`` is stable and machine-readable, ``message`` is for people.

    ``status`` is the HTTP status, or ``None`` without an answer. ``fields`` has the errors of an invalid
    request by field. ``retry_after_s`` is the time that the server asks the caller to wait, if it does.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int | None = None,
        fields: dict[str, Any] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields or {}
        self.retry_after_s = retry_after_s


def error_of(status: int, body: bytes, retry_after: str | None) -> CTOError:
    """Return the error that a response reports."""
    retry_after_s = float(retry_after) if retry_after and retry_after.isdigit() else None
    try:
        error = msgspec.json.decode(body)["error"]
        code, message, details = error["code"], error["message"], error.get("details")
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        text = body[:200].decode(errors="replace")
        return CTOError(UNEXPECTED, f"HTTP status {status}: {text}", status, None, retry_after_s)
    fields = details.get("fields") if isinstance(details, dict) else None
    return CTOError(code, message, status, fields, retry_after_s)

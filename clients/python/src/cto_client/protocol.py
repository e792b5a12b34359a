"""The calls of the API, and when to repeat them. Both clients use this module; it sends nothing."""

from __future__ import annotations

import logging
import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec

from cto_client.errors import AUTH_EXPIRED, INVALID_TOKEN, UNEXPECTED, UNREACHABLE, CTOError, error_of
from cto_client.models import (
    Cancelling,
    Created,
    Event,
    Events,
    Job,
    JobFilters,
    Operation,
    Page,
    Stats,
    Summary,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from httpx_sse import ServerSentEvent

T = TypeVar("T")
Token = str | None  # a JSON Web Token

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
STREAM_TIMEOUT = httpx.Timeout(10.0, connect=5.0, read=15.0)  # a live stream sends something every 7 s
RETRY_FOR_S = 30.0  # how long a call is repeated
_FIRST_DELAY_S, _MAX_DELAY_S = 0.25, 10.0
_NOT_IN_TOKENS = re.compile(r"[^\w.~+/=-]", re.ASCII)  # RFC 6750, section 2.1
_REPEATABLE = {429, 502, 503, 504}  # HTTP statuses after which the same call may succeed

log = logging.getLogger("cto_client")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and the type of ``data`` in its answer. Repeating it has no further effect."""

    method: str
    path: str
    answer: type[T]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def parse(self, response: httpx.Response) -> T:
        """Return the answer. Raises :class:`CTOError` for an error, or for an answer of another form."""
        log.debug("%s: HTTP %d", self, response.status_code)
        if response.status_code >= 400:  # noqa: PLR2004 - client and server errors
            raise error_of(response.status_code, response.content, response.headers.get("Retry-After"))
        try:
            document = msgspec.json.decode(response.content)
            return msgspec.convert(document["data"], self.answer)
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise CTOError(
                UNEXPECTED, f"{self.path} answered something else: {error}", response.status_code
            ) from error


def submit(operation: Operation | Mapping[str, Any], idempotency_key: str | None) -> Call[Created]:
    """Return the call that starts an operation. Without a key of the caller it gets a random one.

    Raises :class:`CTOError` if the key cannot be sent. The gateway refuses an empty key.
    """
    key = str(uuid4()) if idempotency_key is None else idempotency_key
    if not (isinstance(key, str) and key.isascii() and key.isprintable()):
        raise CTOError("invalid_idempotency_key", f"the idempotency key must be a str of ASCII, not {key!r}")
    return Call(
        "POST",
        "/api/cto/jobs",
        Created,
        headers={"Content-Type": "application/json", "Idempotency-Key": key},
        body=msgspec.json.encode(operation),
    )


def status(job_id: str) -> Call[Job]:
    """Return the call for a job with its history."""
    return Call("GET", f"{_job(job_id)}/status", Job)


def events(job_id: str, after: int) -> Call[Events]:
    """Return the call for the events after a ``seq``."""
    return Call("GET", f"{_job(job_id)}/events", Events, {"after": str(after)})


def stats(job_ids: Iterable[str]) -> Call[Stats]:
    """Return the call that counts jobs by state."""
    return Call("GET", "/api/cto/jobs/stats", Stats, {"jobIds": ",".join(job_ids)})


def cancel(job_id: str) -> Call[Cancelling]:
    """Return the call that cancels a job."""
    return Call("POST", f"{_job(job_id)}/cancel", Cancelling)


def page(filters: Mapping[str, str], size: int, cursor: Any) -> Call[Page]:
    """Return the call for one page of the list of jobs."""
    position = {"cursor": str(cursor)} if cursor else {}
    return Call("GET", "/api/cto/jobs", Page, {**filters, "limit": str(size), **position})


def summary(filters: Mapping[str, str]) -> Call[Summary]:
    """Return the call for the totals of the jobs that match a query."""
    return Call("GET", "/api/cto/jobs/summary", Summary, filters)


def query_of(filters: JobFilters) -> dict[str, str]:
    """Return the query of filters. Raises ``TypeError`` for an unknown one."""
    if unknown := filters.keys() - JobFilters.__annotations__.keys():
        raise TypeError(f"unknown filters {sorted(unknown)}: use {', '.join(JobFilters.__annotations__)}")
    given = {name: value for name, value in filters.items() if value is not None}
    return {_query_name(name): _query_value(value) for name, value in given.items()}


def _query_name(name: str) -> str:
    """Return the API's name of a filter: ``userId`` for ``user_id``, ``from`` for ``from_ms``."""
    first, *others = name.removesuffix("_ms").split("_")
    return first + "".join(map(str.capitalize, others))


def _query_value(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def stream_path(job_id: str) -> str:
    """Return the path of a job's event stream."""
    return f"{_job(job_id)}/stream"


def stream_event(entry: ServerSentEvent, after: int) -> Event | None:
    """Return the event of a stream's entry, or ``None`` if the caller has it, or if there is none.

    Raises :class:`CTOError` ``gap`` if the next event has expired on the server, and ``auth_expired`` if the
    token has.
    """
    if entry.event == "gap":
        raise CTOError("gap", f"the events after {after} have expired: read the job's status instead")
    if entry.event == "auth_expired":
        raise CTOError(AUTH_EXPIRED, "the token has expired or was revoked: follow with a new one", 401)
    if entry.event != "worker_progress":
        return None
    event = msgspec.json.decode(entry.data, type=Event)
    return event if event.seq > after else None


def has_events(response: httpx.Response) -> bool:
    """Return whether a stream follows: not if the job has ended, and the caller has its last event.

    Raises :class:`CTOError` for an error response, whose body must have been read.
    """
    log.debug("GET %s: HTTP %d", response.request.url.path, response.status_code)
    if response.is_error:
        raise error_of(response.status_code, response.content, response.headers.get("Retry-After"))
    return response.status_code != httpx.codes.NO_CONTENT


def unreachable(url: httpx.URL, error: httpx.TransportError) -> CTOError:
    """Return the error for a call without an answer."""
    return CTOError(UNREACHABLE, f"{url} does not answer ({_reason(error)}): is it the gateway?")


def interrupted(error: Exception | None = None) -> CTOError:
    """Return the error for a stream that ended before the job."""
    reason = _reason(error) if error else "the gateway closed it"
    return CTOError(UNREACHABLE, f"the stream was interrupted: {reason}")


def renewable(error: CTOError, token: object) -> CTOError:
    """Return the error, as a repeatable one if the token has expired and the caller's function renews it."""
    if error.code == AUTH_EXPIRED and callable(token):
        return CTOError(error.code, error.message)
    return error


class Delays:
    """The delays between the attempts of one call: exponential, with jitter, or as the server asks.

    Each one is logged: as a warning, or for debugging if only a token had expired.
    """

    def __init__(self, call: object, now_s: Callable[[], float], retry_for_s: float) -> None:
        self._call = call
        self._now_s = now_s
        self._end_s = now_s() + retry_for_s
        self._next_s = _FIRST_DELAY_S

    def after(self, error: CTOError) -> float:
        """Return how many seconds to wait before the next attempt. Raises ``error`` if there is none."""
        if error.code == INVALID_TOKEN or error.status not in {None, *_REPEATABLE}:
            raise error
        delay_s = error.retry_after_s
        if delay_s is None:
            delay_s = self._next_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients, hides nothing
        if self._now_s() + delay_s > self._end_s:
            raise error
        self._next_s = min(_MAX_DELAY_S, self._next_s * 2)
        level = logging.DEBUG if error.code == AUTH_EXPIRED else logging.WARNING
        log.log(level, "%s: %s; next attempt in %.1f s", self._call, error.message, delay_s)
        return delay_s

    def restart(self) -> None:
        """Begin again with the shortest delay, after a success."""
        self._next_s = _FIRST_DELAY_S


def base_url(url: str) -> str:
    """Return the address without a trailing slash. Raises ``ValueError`` for another scheme than HTTP."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the address of the gateway must begin with http:// or https://, not {url!r}")
    return url.rstrip("/")


def authorization(token: Token) -> dict[str, str]:
    """Return the header with a token; no header without one.

    Raises :class:`CTOError` ``invalid_token`` for anything else than a token. Its message never contains
    the text.
    """
    if not token:
        return {}
    if not isinstance(token, str):
        raise CTOError(
            INVALID_TOKEN, f"token is a {type(token).__name__}: pass a str, or a function that returns one"
        )
    if other := _NOT_IN_TOKENS.search(token):
        advice = "pass one JSON Web Token, without quotes, spaces, line breaks or HTML"
        raise CTOError(INVALID_TOKEN, f"token contains {other[0]!r}: {advice}")
    return {"Authorization": f"Bearer {token}"}


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _job(job_id: str) -> str:
    return f"/api/cto/job/{quote(job_id, safe='')}"

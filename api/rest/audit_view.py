"""``GET /api/cto/audit`` for operators: who changed what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from flask import Blueprint, Response, request
from msgspec import Struct

from api.auth.authentication import require_operator
from api.rest.request_parsing import integer, query, wrong
from api.rest.responses import success
from cto_worker.domain.audit_entry import Action, AuditFilter, AuditPosition
from cto_worker.domain.field_types import Count, doc
from cto_worker.domain.ids_and_rooms import JOB_ID
from cto_worker.jobs.audit_pages import page

if TYPE_CHECKING:
    from redis import Redis

    from cto_worker.domain.audit_entry import AuditEntry
    from cto_worker.jobs.audit_pages import AuditPages

MAX_LIMIT, DEFAULT_LIMIT = 500, 50
MAX_MS = 10**15 - 1
MAX_TEXT = 100  # characters of the filter `actor`
CURSOR = re.compile(r"([0-9]{1,15})-([0-9a-f]{64})\Z")
PARAMETERS = ("actor", "action", "jobId", "from", "to", "limit", "cursor")


class Entry(Struct, rename="camel"):
    """One change."""

    number: Annotated[Count, doc("The number of the entry: 1, 2, 3 …")]
    at: Annotated[Count, doc("The time of the change, in milliseconds since 1970-01-01 UTC")]
    actor: Annotated[str, doc("The user id of the token, or the user who ran a command")]
    role: Annotated[str, doc("`user`, `admin` or `service`; `operator` for a command")]
    address: Annotated[str, doc("The client's address, or the host on which a command ran")]
    action: Annotated[str, doc("The kind of change, e.g. `job.cancel`")]
    job_id: Annotated[str | None, doc("The job that was changed; null for other changes")]
    target: Annotated[str | None, doc("The part or object that was changed, if it is not a whole job")]
    before: Annotated[
        dict[str, Any] | None, doc("The state before the change; null if it was new or is unknown")
    ]
    after: Annotated[dict[str, Any] | None, doc("The state after the change; null if it is unknown")]
    previous: Annotated[str, doc("The hash of the previous entry")]
    hash: Annotated[str, doc("SHA-256 of the previous hash and the hash of this entry's content")]


class AuditList(Struct, rename="camel"):
    """A page of the audit log."""

    entries: Annotated[list[Entry], doc("The entries, newest first")]
    next_cursor: Annotated[str | None, doc("The `cursor` of the next page; null on the last page")]


def blueprint(store: Redis, archive: AuditPages) -> Blueprint:
    """Return the route."""
    routes = Blueprint("audit", __name__, url_prefix="/api/cto")

    @routes.get("/audit")
    def audit() -> Response:
        require_operator("the audit log")
        parameters = query(request, PARAMETERS)
        limit = integer(parameters, "limit", 1, MAX_LIMIT, DEFAULT_LIMIT)
        found = page(store, archive, _filter(parameters), limit, _position(parameters))
        listed = AuditList(
            [entry_of(entry) for entry in found.entries],
            "{}-{}".format(*found.next_after) if found.next_after else None,
        )
        return success(msgspec.json.encode(listed))

    return routes


def entry_of(entry: AuditEntry) -> Entry:
    """Return an entry as responses contain it."""
    fields = {"job_id" if name == "jobId" else name: value for name, value in entry.fields.items()}
    return Entry(number=entry.number, previous=entry.previous, hash=entry.hash, **fields)


def _filter(parameters: dict[str, str]) -> AuditFilter:
    if len(parameters.get("actor", "")) > MAX_TEXT:
        raise wrong("actor", f"Must have at most {MAX_TEXT} characters.")
    if "action" in parameters and parameters["action"] not in [*Action]:
        raise wrong("action", f"Must be one of: {', '.join(Action)}.")
    if "jobId" in parameters and not JOB_ID.match(parameters["jobId"]):
        raise wrong("jobId", "Must be 1 to 128 letters, digits, _ or -.")
    return AuditFilter(
        actor=parameters.get("actor", ""),
        action=parameters.get("action", ""),
        job_id=parameters.get("jobId", ""),
        from_ms=integer(parameters, "from", 0, MAX_MS, 0),
        to_ms=integer(parameters, "to", 0, MAX_MS, 0) if "to" in parameters else None,
    )


def _position(parameters: dict[str, str]) -> AuditPosition | None:
    if "cursor" not in parameters:
        return None
    found = CURSOR.match(parameters["cursor"])
    if not found:
        raise wrong("cursor", "Must be the nextCursor of the previous page.")
    return AuditPosition(int(found[1]), found[2])

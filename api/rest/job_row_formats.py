"""The formats of a job in a list: a JSON object, and a line of CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import msgspec

from cto_worker.domain.lamports import to_sol
from cto_worker.domain.purchase_outcome import outcome_of

if TYPE_CHECKING:
    from cto_worker.domain.job_summary import JobSummary

COLUMNS = (
    "jobId", "status", "outcome", "needsReview", "createdAt", "endedAt", "currentPhase", "currentProgress",
    "tokenAddress", "userId", "mode", "platform", "buyAmount", "plannedBuys", "successfulBuys", "failedBuys",
    "totalSpent", "errorCode", "parentJobId", "retriedBy",
)  # fmt: skip
# A spreadsheet treats text that starts with one of these as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def row(job: JobSummary) -> dict[str, Any]:
    """Return the values of :data:`COLUMNS`, and the latest event as ``latestProgress``.

    The counts of buys and the SOL spent contain what operators have recorded; the event does not.
    Amounts are in SOL, times in milliseconds since the epoch.
    """
    latest = msgspec.json.decode(job.event)
    details = latest.get("details", {})
    return {
        "jobId": job.job_id,
        "status": job.status,
        "outcome": outcome_of(latest),
        "needsReview": job.needs_review,
        "createdAt": job.created_ms,
        "endedAt": latest["timestamp"] if job.status.ended else None,
        "currentPhase": latest["phase"],
        "currentProgress": latest["progress"],
        "tokenAddress": latest["tokenAddress"],
        "userId": latest["userId"],
        "mode": latest["mode"],
        "platform": latest["platform"],
        "buyAmount": latest["buyAmount"],
        "plannedBuys": details.get("plannedBuys"),
        "successfulBuys": job.figures.successful_buys,
        "failedBuys": job.figures.failed_buys,
        "totalSpent": to_sol(job.figures.spent_lamports),
        "errorCode": details.get("errorCode"),
        "parentJobId": None,
        "retriedBy": None,
        "latestProgress": latest,
    }


def csv_header() -> str:
    """Return the first line: the names of the columns."""
    return _line(COLUMNS)


def csv_line(job: JobSummary) -> str:
    """Return the line of a job. A missing value is an empty cell, and a text is never a formula."""
    values = row(job)
    return _line([_cell(values[name]) for name in COLUMNS])


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _line(values: Any) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()

"""Labels and colours for the state of a job in a terminal. The colour is never the only sign.

The labels are those of the console (``api/static/console/outcome.js``). JSON output keeps the API's statuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cto_worker.domain.purchase_outcome import PurchaseOutcome, outcome_of

if TYPE_CHECKING:
    from collections.abc import Mapping

GOOD, WARNING, BAD, RUNNING, STOPPED = "green", "yellow", "red", "cyan", "dim"
NEEDS_REVIEW, PARTIAL, CANCELLED = "needs review", "partial", "cancelled"
ENDED = ("completed", "failed")  # status of the last event of a job


def label_of(event: Mapping[str, Any], *, needs_review: bool | None = None) -> tuple[str, str]:
    """Return the label and the colour for a job's latest event (the JSON object), as ``partial 2/10``.

    ``needs_review`` is the current value from a status or list response; by default, that of the final event.
    """
    label, colour = short_label_of(event, needs_review=needs_review)
    return (f"{label} {buys_of(event)}" if label == PARTIAL else label), colour


def short_label_of(event: Mapping[str, Any], *, needs_review: bool | None = None) -> tuple[str, str]:
    """Return the same without the number of buys."""
    if event["status"] not in ENDED:
        return ("running" if event["attempt"] else "waiting"), RUNNING
    outcome = outcome_of(event)
    if needs_review is None:
        needs_review = event.get("details", {}).get("needsReview", outcome is PurchaseOutcome.UNKNOWN)
    if needs_review:
        return NEEDS_REVIEW, WARNING
    if outcome is PurchaseOutcome.UNKNOWN:
        return "unknown, reviewed", WARNING
    if outcome is PurchaseOutcome.PARTIAL:
        return PARTIAL, WARNING
    if event.get("details", {}).get("errorCode") == CANCELLED:
        return CANCELLED, STOPPED
    return event["status"], GOOD if event["status"] == "completed" else BAD


def buys_of(event: Mapping[str, Any]) -> str:
    """Return the number of successful and of planned buys, as ``2/10``; "" before the plan exists."""
    details = event.get("details", {})
    counted = sum(details.get(name, 0) for name in ("successfulBuys", "failedBuys", "unknownBuys"))
    planned = details.get("plannedBuys", counted)
    return f"{details.get('successfulBuys', 0)}/{planned}" if planned else ""

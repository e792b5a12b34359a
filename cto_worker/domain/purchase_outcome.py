"""The outcome of an ended job: which part of its planned buys was confirmed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTCOMES = (
    "`full`: every planned buy was confirmed; `partial`: some were confirmed, the others failed or were not "
    "made; `none`: nothing was bought; `unknown`: the outcome of a transfer or buy is not known"
)


class PurchaseOutcome(StrEnum):
    """The outcome of an ended job. It never changes, even if an operator later resolves an unknown step."""

    FULL = "full"  # every planned buy was confirmed
    PARTIAL = "partial"  # some buys were confirmed; the others failed or were not made
    NONE = "none"  # nothing was bought
    UNKNOWN = "unknown"  # the result of at least one transfer or buy is not known; takes precedence


def judge(*, planned: int | None, confirmed: int, unknown: int) -> PurchaseOutcome:
    """Return the outcome from the counts of buys. ``planned`` is ``None`` if the job ended before its plan.

    ``unknown`` also counts transfers.
    """
    if unknown:
        return PurchaseOutcome.UNKNOWN
    if not confirmed:
        return PurchaseOutcome.NONE
    return PurchaseOutcome.FULL if confirmed == planned else PurchaseOutcome.PARTIAL


def outcome_of(event: Mapping[str, Any]) -> PurchaseOutcome | None:
    """Return the outcome in a job's latest event (the JSON object); ``None`` before the end.

    Older versions wrote final events with counts but without an outcome. They ended a job ``completed`` only
    after every step, so the outcome follows from the counts; ``None`` if the event has no counts.
    """
    if event["status"] not in ("completed", "failed"):
        return None
    details = event.get("details", {})
    if "outcome" in details:
        return PurchaseOutcome(details["outcome"])
    if "successfulBuys" not in details:
        return None
    confirmed, failed = details["successfulBuys"], details.get("failedBuys", 0)
    unknown = details.get("unknownBuys", 0) + details.get("unknownTransfers", 0)
    unrecorded = details.get("errorCode") == "needs_review"  # parked: more may have happened than is counted
    planned = confirmed + failed if event["status"] == "completed" else None
    return judge(planned=planned, confirmed=confirmed, unknown=unknown + unrecorded)

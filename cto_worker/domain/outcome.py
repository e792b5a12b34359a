"""The outcome of an ended job: which part of its planned buys was confirmed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobOutcome(StrEnum):
    """The outcome of an ended job. It never changes, also when an operator later resolves an unknown."""

    FULL = "full"  # every planned buy was confirmed
    PARTIAL = "partial"  # some buys were confirmed, the rest were not made or failed
    NONE = "none"  # nothing was bought
    UNKNOWN = "unknown"  # the result of at least one transfer or buy is not known; takes precedence


def judge(*, planned: int | None, confirmed: int, unknown: int) -> JobOutcome:
    """Return the outcome by counts of buys. ``planned`` is ``None`` when the job ended before its plan.

    ``unknown`` counts transfers as well.
    """
    if unknown:
        return JobOutcome.UNKNOWN
    if not confirmed:
        return JobOutcome.NONE
    return JobOutcome.FULL if confirmed == planned else JobOutcome.PARTIAL


def outcome_of(event: Mapping[str, Any]) -> JobOutcome | None:
    """Return the outcome that a job's latest event (the JSON object) states; ``None`` before the end.

    Final events written by versions without outcomes have counts only. Those versions ended a job
    ``completed`` after every step, so the counts decide; ``None`` when the event has none.
    """
    if event["status"] not in ("completed", "failed"):
        return None
    details = event.get("details", {})
    if "outcome" in details:
        return JobOutcome(details["outcome"])
    if "successfulBuys" not in details:
        return None
    confirmed, failed = details["successfulBuys"], details.get("failedBuys", 0)
    unknown = details.get("unknownBuys", 0) + details.get("unknownTransfers", 0)
    unrecorded = details.get("errorCode") == "needs_review"  # ended for an operator
    planned = confirmed + failed if event["status"] == "completed" else None
    return judge(planned=planned, confirmed=confirmed, unknown=unknown + unrecorded)

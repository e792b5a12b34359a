"""A job in the rows that the scripts of lists return."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from cto_worker.domain.job_summary import JobSummary, RecordedStep, figures_of
from cto_worker.domain.progress_event import JobStatus

if TYPE_CHECKING:
    from collections.abc import Sequence


def summary_of(row: Sequence[Any]) -> JobSummary:
    """Return the job of a row of ``page.lua`` or ``unarchived.lua``. Both begin with the same values."""
    job_id, status, created_ms, event, review, resolutions = row[:6]
    parts = iter(resolutions)
    recorded = [_recorded_step(intent_id, text) for intent_id, text in zip(parts, parts, strict=True)]
    return JobSummary(
        job_id.decode(),
        JobStatus(status.decode()),
        int(created_ms),
        event,
        needs_review=bool(review),
        figures=figures_of(msgspec.json.decode(event), recorded),
    )


def _recorded_step(intent_id: bytes, resolution: bytes) -> RecordedStep:
    fields = json.loads(resolution)
    return RecordedStep(intent_id.decode(), fields["executed"], fields["spent_lamports"])

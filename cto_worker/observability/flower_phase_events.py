"""Publishes a job's phase as a Celery task event, so that Flower can show it.

This module is separate from :mod:`cto_worker.observability.flower`, because workers use it and must not load
Flower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cto_worker.domain.field_types import TOTAL_PHASES

if TYPE_CHECKING:
    from cto_worker.domain.progress_event import ProgressEvent


class FlowerPhaseEvents:
    """Sends a task event when a job enters a phase, if a monitor has enabled task events.

    Flower shows a fixed set of fields. The phase is sent as the result, which is empty until the task ends.
    """

    def __init__(self) -> None:
        self.consumer: Any = None  # Celery's consumer, once the worker is ready

    def __call__(self, event: ProgressEvent) -> None:
        """Send the phase of an event. Does not raise without a connection: Celery sends the event later."""
        dispatcher = self.consumer and self.consumer.event_dispatcher
        if dispatcher and dispatcher.enabled and not event.status.terminal:
            phase = f"phase {event.phase} of {TOTAL_PHASES}: {event.phase_title}"
            dispatcher.send("task-progress", uuid=event.job_id, result=phase)

"""What who watches tasks, as Flower does, is told of them beyond what Celery tells: the phase they are in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cto_worker.domain.events import TOTAL_PHASES

if TYPE_CHECKING:
    from cto_worker.domain.events import ProgressEvent


class FlowerPhaseEvents:
    """Sends a task event whenever a job enters a phase, while anybody has asked for task events.

    Flower shows a fixed set of fields, and a task has no result before its end: so the phase stands there.
    """

    def __init__(self) -> None:
        self.consumer: Any = None  # Celery's, once the worker is ready

    def __call__(self, event: ProgressEvent) -> None:
        """Tell the phase of an event. Never raises for want of a connection: Celery sends it later."""
        dispatcher = self.consumer and self.consumer.event_dispatcher
        if dispatcher and dispatcher.enabled and not event.status.terminal:
            phase = f"phase {event.phase} of {TOTAL_PHASES}: {event.phase_title}"
            dispatcher.send("task-progress", uuid=event.job_id, result=phase)

"""Celery's thread pool, corrected: a worker receives its next message as soon as a thread is free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.concurrency.thread import TaskPool
from kombu.asynchronous import get_event_loop

if TYPE_CHECKING:
    from celery.concurrency.thread import ApplyResult


class WakingThreadPool(TaskPool):  # type: ignore[misc]  # Celery ships no types
    """A thread pool that wakes Celery's event loop when a task ends.

    With ``worker_disable_prefetch`` a full worker stops reading its queue. Celery 5.7 checks for a free
    thread only in the next iteration of its event loop, which may be a second later.
    """

    def on_apply(self, *args: Any, **options: Any) -> ApplyResult:
        """Start a task, as Celery's thread pool does."""
        result = super().on_apply(*args, **options)
        result.f.add_done_callback(_wake_event_loop)
        return result


def _wake_event_loop(_: object) -> None:
    loop = get_event_loop()
    if loop:
        loop.call_soon(lambda: None)

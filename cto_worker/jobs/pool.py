"""Celery's threads pool, mended: the next message is taken the moment a thread is free for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.concurrency.thread import TaskPool as ThreadPool
from kombu.asynchronous import get_event_loop

if TYPE_CHECKING:
    from celery.concurrency.thread import ApplyResult


class TaskPool(ThreadPool):  # type: ignore[misc]  # Celery ships no types
    """A full worker with ``worker_disable_prefetch`` stops reading its queue.

    Celery 5.7 looks again only when its event loop next turns, which may be a second after a thread got
    free; so a thread that is done turns it.
    """

    def on_apply(self, *args: Any, **options: Any) -> ApplyResult:
        """Start a task, as the threads pool does."""
        result = super().on_apply(*args, **options)
        result.f.add_done_callback(_turn_event_loop)
        return result


def _turn_event_loop(_: object) -> None:
    loop = get_event_loop()
    if loop:
        loop.call_soon(lambda: None)

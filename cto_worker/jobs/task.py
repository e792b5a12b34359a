"""The one task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Task
from celery.backends.base import DisabledBackend
from celery.exceptions import Ignore

from cto_worker.errors import OperationFailed
from cto_worker.store import keys

if TYPE_CHECKING:
    from celery import Celery

    from cto_worker.jobs.runner import Runner
    from cto_worker.observability.tracing import Traces


class JournalledTask(Task):  # type: ignore[misc]  # Celery ships no types
    """A task whose result metadata the journal writes.

    Were Celery to write it too, as a sender may ask with ``ignore_result=False``, a run that has lost its job
    could overwrite what the owner wrote.
    """

    def __init__(self) -> None:
        self.backend = DisabledBackend(app=self.app)

    def AsyncResult(self, task_id: str, **options: Any) -> Any:  # noqa: N802 - Celery's name
        """Return the result as the app's own backend reads it."""
        return self.app.AsyncResult(task_id, task_name=self.name, **options)


def register(app: Celery, runner: Runner, traces: Traces) -> None:
    """Add the task to a worker's app."""

    @app.task(
        name=keys.TASK_NAME, bind=True, base=JournalledTask, throws=(OperationFailed,), ignore_result=True
    )
    def run_operation(task: JournalledTask, *args: Any, **kwargs: Any) -> dict[str, Any]:
        document = args[0] if len(args) == 1 and not kwargs else None  # None is refused as no object
        # Who sends by bare name may say what it belongs to, as OpenTelemetry's own instrumentation does.
        with traces.caller(str(task.request.get("traceparent") or "")):
            recorded = bool(task.request.get(keys.RECORDED))
            result = runner.run_job(task.request.id, document, recorded=recorded)
        if result is None:
            raise Ignore  # neither success nor failure: the job's own run tells that
        return result

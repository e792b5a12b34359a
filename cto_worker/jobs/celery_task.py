"""The Celery task that runs an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Task
from celery.backends.base import DisabledBackend
from celery.exceptions import Ignore

from cto_worker.errors import OperationFailed
from cto_worker.store import keys

if TYPE_CHECKING:
    from celery import Celery

    from cto_worker.jobs.job_runner import JobRunner
    from cto_worker.observability.traces_port import Traces


# Characters of a result in Celery's task events. Celery formats every result, also if no process reads them.
RESULT_TEXT = 100


class JournalledTask(Task):  # type: ignore[misc]  # Celery ships no types
    """A task for which only the journal writes result metadata.

    If Celery wrote it too, which a sender can request with ``ignore_result=False``, a run that has lost its
    job could overwrite the metadata of the owner.
    """

    def __init__(self) -> None:
        self.backend = DisabledBackend(app=self.app)

    def AsyncResult(self, task_id: str, **options: Any) -> Any:  # noqa: N802 - Celery's name
        """Return the result as read by the app's backend."""
        return self.app.AsyncResult(task_id, task_name=self.name, **options)


def register(app: Celery, runner: JobRunner, traces: Traces) -> None:
    """Register the task with a worker's app."""

    @app.task(
        name=keys.TASK_NAME,
        bind=True,
        base=JournalledTask,
        throws=(OperationFailed,),
        ignore_result=True,
        resultrepr_maxsize=RESULT_TEXT,
    )
    def run_operation(task: JournalledTask, *args: Any, **kwargs: Any) -> dict[str, Any]:
        document = args[0] if len(args) == 1 and not kwargs else None  # None is an invalid request
        # A client that sends the task by name may add this header, as OpenTelemetry's instrumentation does.
        with traces.caller(str(task.request.get("traceparent") or "")):
            recorded = bool(task.request.get(keys.RECORDED))
            result = runner.run_job(task.request.id, document, recorded=recorded)
        if result is None:
            raise Ignore  # no result here: the run that owns the job reports success or failure
        return result

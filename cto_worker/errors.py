"""Every error this project raises on purpose descends from :class:`CtoError`."""

from __future__ import annotations

from typing import Any


class CtoError(Exception):
    """The root. Never raised itself."""


class ConfigError(CtoError):
    """A setting is missing or wrong. The message names the variable and how to mend it."""


class InvalidEventError(CtoError):
    """Bytes that should be a progress event are none. Raised by :func:`cto_worker.domain.events.decode`."""


class InvalidRequestError(CtoError):
    """A request to start an operation breaks the schema.

    ``fields`` maps each offending field to a list of messages, as marshmallow gives them.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__("; ".join(f"{name}: {_flat(messages)}" for name, messages in fields.items()))
        self.fields = fields


class IdempotencyConflictError(CtoError):
    """An idempotency key came back with another request. ``job_id`` is the job of the first one."""

    def __init__(self, job_id: str) -> None:
        super().__init__("this Idempotency-Key was used with a different request")
        self.job_id = job_id


class JobNotFoundError(CtoError):
    """No such job, or not this caller's."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"no job {job_id}")
        self.job_id = job_id


class EventsGoneError(CtoError):
    """A job's history no longer reaches back so far: it begins at ``oldest_seq``."""

    def __init__(self, job_id: str, oldest_seq: int) -> None:
        super().__init__(f"the events of job {job_id} before {oldest_seq} are gone")
        self.job_id = job_id
        self.oldest_seq = oldest_seq


class JobEndedError(CtoError):
    """A write about a job that has its terminal event already; the store refused it."""


class JobNotEndedError(CtoError):
    """A job that has no terminal event yet, so nothing about it can be resolved."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} has not ended: its worker still asks what became of its intents")


class WorkersRunningError(CtoError):
    """What must not be done while a worker runs."""


class BackupFailedError(CtoError):
    """The store could not write its snapshot."""


class IntentNotFoundError(CtoError):
    """Nothing was ever sent, or about to be sent, under this intent id."""

    def __init__(self, job_id: str, intent_id: str) -> None:
        super().__init__(f"job {job_id} has sent nothing for an intent {intent_id}")


class IntentNotUnknownError(CtoError):
    """What became of an intent is known already; nobody may say otherwise."""


class FencedError(CtoError):
    """A write with another fencing token (``attempt``) than the job's owner holds; the store refused it.

    The run that gets this has lost its job and must stop at once, before it sends anything.
    """


class LeaseLostError(CtoError):
    """A run could not renew its lease in time, so another may have the job. It must stop at once."""


class Handover(CtoError):  # noqa: N818 - no error either
    """The worker is to stop, and gives its jobs up at their next step boundary. Nothing is lost by it."""


class CancelRequested(CtoError):  # noqa: N818 - no error either
    """Somebody has asked to cancel the job, and nothing of its next step has been sent."""


class NotDurableError(CtoError):
    """The store cannot promise that a job or an intent is on disk, so nothing may be done about it."""


class SequenceError(CtoError):
    """An event whose ``seq`` is not the next one; the store refused it."""


class MarketError(CtoError):
    """The market could not answer. Says nothing about whether an order was executed."""


class OrderRejectedError(MarketError):
    """The market refuses an order before anything was sent, so nothing can have moved.

    ``code`` is stable and machine-readable, e.g. ``insufficient_funds``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class OperationFailed(CtoError):  # noqa: N818 - this name is what Celery's metadata and Flower show
    """An operation ended ``failed``; Celery's result metadata carries it as the task's exception.

    ``code`` is the event's ``errorCode``; ``result`` is the operation's result as in the REST status.
    """

    def __init__(self, message: str, code: str = "", result: dict[str, Any] | None = None) -> None:
        super().__init__(message, code, result)
        self.message = message
        self.code = code
        self.result = result

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def _flat(messages: Any) -> str:
    if isinstance(messages, dict):
        return ", ".join(f"{key}: {_flat(value)}" for key, value in messages.items())
    if isinstance(messages, list):
        return " ".join(str(message) for message in messages)
    return str(messages)

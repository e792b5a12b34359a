"""The project's exceptions. Each one inherits from :class:`CtoError`."""

from __future__ import annotations

from typing import Any


class CtoError(Exception):
    """The base class. Never raised itself."""


class ConfigError(CtoError):
    """A setting is missing or invalid. The message names the variable and the correction."""


class InvalidEventError(CtoError):
    """Bytes are not a valid progress event. Raised by :func:`cto_worker.domain.progress_event.decode`."""


class InvalidRequestError(CtoError):
    """A request to start an operation violates the schema.

    ``fields`` maps each invalid field to a list of messages, in marshmallow's form.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__("; ".join(f"{name}: {flat_messages(messages)}" for name, messages in fields.items()))
        self.fields = fields


class IdempotencyConflictError(CtoError):
    """An idempotency key was used with a different request. ``job_id`` is the job of the first request."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            "this Idempotency-Key was used with a different request: use a new key for a new request"
        )
        self.job_id = job_id


class JobNotFoundError(CtoError):
    """The job does not exist, or belongs to another caller."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"no job {job_id}")
        self.job_id = job_id


class EventsGoneError(CtoError):
    """The requested events of a job have expired. Its history now begins at ``oldest_seq``."""

    def __init__(self, job_id: str, oldest_seq: int) -> None:
        super().__init__(
            f"the events of job {job_id} before seq {oldest_seq} have expired: continue from there"
        )
        self.job_id = job_id
        self.oldest_seq = oldest_seq


class JobEndedError(CtoError):
    """The store refused a write to a job that already has its terminal event."""


class JobNotEndedError(CtoError):
    """An operator cannot resolve an intent of a job that has no terminal event yet."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"job {job_id} has not ended: its worker still queries the outcomes. Try again after its end"
        )


class WorkersRunningError(CtoError):
    """An action was refused because a worker is running."""


class BackupFailedError(CtoError):
    """The store could not write a snapshot."""


class ArchiveUnavailableError(CtoError):
    """The archive's database is unreachable, refuses a statement, or has the schema of another release."""


class IntentNotFoundError(CtoError):
    """The intent log of the job has no order with this intent id."""

    def __init__(self, job_id: str, intent_id: str) -> None:
        super().__init__(f"job {job_id} has no order for an intent {intent_id}")


class IntentNotUnknownError(CtoError):
    """The outcome of an intent is already known and cannot be changed."""


class OutcomeUnknownError(CtoError):
    """A job cannot leave the review lists, because it has an intent with an unknown outcome."""


class FencedError(CtoError):
    """The store refused a write whose fencing token (``attempt``) is not that of the job's owner.

    The run has lost its job and must stop at once, before it submits anything.
    """


class LeaseLostError(CtoError):
    """A run could not renew its lease in time. Another run may own the job, so this run must stop at once."""


class Handover(CtoError):  # noqa: N818 - a signal, not an error
    """The worker stops, and releases its jobs at their next step boundary for other workers."""


class CancelRequested(CtoError):  # noqa: N818 - a signal, not an error
    """A cancellation of the job is requested, and its next step is not submitted."""


class NotDurableError(CtoError):
    """The store cannot confirm that a job or an intent is on disk, so the caller must not act on it."""


class SequenceError(CtoError):
    """The store refused an event whose ``seq`` is not the next one."""


class MarketError(CtoError):
    """The market did not answer. The order may or may not have been executed."""


class OrderRejectedError(MarketError):
    """The market rejected an order before its submission, so no money moved.

    ``code`` is stable and machine-readable, e.g. ``insufficient_funds``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SignerError(CtoError):
    """The signer did not sign. Its message was not sent, so no money moved."""


class SignerUnavailableError(SignerError):
    """The signer did not answer, or not in time. The same request can be repeated."""


class SignerRefusedError(SignerError):
    """The signer's policy refuses a message. Repeating it does not help.

    Only a message above a daily limit may be signed later.

    ``code`` is stable and machine-readable, as ``destination_not_allowed``; see docs/how-to/signer.md.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class KeystoreError(CtoError):
    """The signer's files are unusable: unsafe permissions, another master key, or damaged contents."""


class OperationFailed(CtoError):  # noqa: N818 - Celery's metadata and Flower show this name
    """An operation ended ``failed``. Celery's result metadata contains this as the task's exception.

    ``code`` is the event's ``errorCode``; ``result`` is the result, as in the REST status.
    """

    def __init__(self, message: str, code: str = "", result: dict[str, Any] | None = None) -> None:
        super().__init__(message, code, result)
        self.message = message
        self.code = code
        self.result = result

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def flat_messages(messages: Any) -> str:
    """Return validation messages, which may be nested by field and index, as one line of text."""
    if isinstance(messages, dict):
        return ", ".join(f"{key}: {flat_messages(value)}" for key, value in messages.items())
    if isinstance(messages, list):
        return " ".join(str(message) for message in messages)
    return str(messages)

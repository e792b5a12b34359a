"""``cto_worker.enqueue``: starting an operation from Python, without REST."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from cto_worker.broker import celery_app, make_producer
from cto_worker.config import Settings
from cto_worker.store import connect

if TYPE_CHECKING:
    from cto_worker.producer import Producer


def enqueue(document: dict[str, Any], *, idempotency_key: str = "") -> str:
    """Start an operation and return its job id. ``document`` is the body of ``POST /api/cto/jobs``.

    The store is the one the ``CTO_*`` environment names. The same ``idempotency_key`` (within a day) gives
    the same job, so a call that raised can be repeated.

    Raises :class:`~cto_worker.errors.InvalidRequestError`, :class:`~cto_worker.errors.ConfigError`,
    :class:`~cto_worker.errors.IdempotencyConflictError`, ``redis.exceptions.RedisError`` or
    ``kombu.exceptions.OperationalError``.
    """
    return _producer().submit(document, idempotency_key=idempotency_key).job_id


@cache
def _producer() -> Producer:
    settings = Settings.from_env()
    return make_producer(settings, connect(settings), celery_app(settings))

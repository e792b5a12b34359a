"""Starts operations from Python, without HTTP. It needs the server's package, and access to the store."""

from __future__ import annotations

import atexit
from functools import cache
from typing import TYPE_CHECKING, Any

from cto_worker.config import Settings
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import make_producer
from cto_worker.observability.traces_factory import make_traces
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from cto_worker.jobs.job_producer import JobProducer

TRACES_S = 2.0  # to export the last traces


def enqueue(document: dict[str, Any], *, idempotency_key: str = "") -> str:
    """Start an operation and return its job id. ``document`` is the body of ``POST /api/cto/jobs``.

    The store is configured by the ``CTO_*`` environment variables. The same ``idempotency_key`` within a day
    returns the same job, so a call that raised can be repeated.

    Raises :class:`~cto_worker.errors.InvalidRequestError`, :class:`~cto_worker.errors.ConfigError`,
    :class:`~cto_worker.errors.IdempotencyConflictError`, :class:`~cto_worker.errors.NotDurableError`,
    ``redis.exceptions.RedisError`` or ``kombu.exceptions.OperationalError``.
    """
    return _producer().submit(document, idempotency_key=idempotency_key).job_id


@cache
def _producer() -> JobProducer:
    settings = Settings.from_env()
    traces = make_traces(settings, "cto-client")
    atexit.register(traces.stop, TRACES_S)
    return make_producer(settings, connect(settings), celery_app(settings), traces)

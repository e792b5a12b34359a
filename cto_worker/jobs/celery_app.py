"""The Celery app, with one configuration for senders, workers and Flower."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Celery
from kombu import Queue  # type: ignore[attr-defined]

from cto_worker.store import keys
from cto_worker.store.sentinel import connection_options
from cto_worker.store.store_connection import KEEPALIVE

if TYPE_CHECKING:
    from cto_worker.config import Settings

VISIBILITY_TIMEOUT_S = 3_600
SOCKET_TIMEOUT_S = 10.0
RESULT_TIMEOUT_S = 5.0  # Celery's own default is 120
HEALTH_CHECK_S = 5


def celery_app(settings: Settings) -> Celery:
    """Return a Celery app for this store, without tasks. Workers register the task; senders only name it."""
    app = Celery("cto", broker=settings.celery_url, backend=settings.celery_url, set_as_current=False)
    transport_options: dict[str, Any] = {"visibility_timeout": VISIBILITY_TIMEOUT_S}
    if settings.sentinels:
        transport_options |= {
            "master_name": settings.sentinels.primary,
            "sentinel_kwargs": connection_options(settings.sentinels),
        }
    # A Unix socket does not support keepalive.
    keepalive = {} if settings.embedded else {"socket_keepalive": True, "socket_keepalive_options": KEEPALIVE}
    app.conf.update(
        task_default_queue=keys.QUEUE,
        task_queues=[Queue(keys.QUEUE), Queue(keys.RESUMED_QUEUE)],
        task_create_missing_queues=False,
        task_acks_late=False,  # with late acks one TCP reset would run a task twice, in parallel
        task_ignore_result=True,  # the journal writes the metadata
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        result_expires=settings.retention_s,
        worker_pool="cto_worker.jobs.waking_thread_pool:WakingThreadPool",
        worker_concurrency=settings.worker_concurrency,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # a worker receives a message only if it has a free thread
        worker_hijack_root_logger=False,
        worker_send_task_events=False,  # they have a cost, and Flower enables them in every worker it finds
        task_track_started=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # wait for a full or read-only store as for an unreachable one
        broker_connection_timeout=RESULT_TIMEOUT_S,
        broker_transport_options={
            **transport_options,
            **keepalive,
            "socket_timeout": SOCKET_TIMEOUT_S,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "health_check_interval": HEALTH_CHECK_S,
        },
        result_backend_transport_options=transport_options,
        visibility_timeout=VISIBILITY_TIMEOUT_S,
        redis_socket_timeout=RESULT_TIMEOUT_S,
        redis_socket_keepalive=not settings.embedded,
        redis_backend_health_check_interval=HEALTH_CHECK_S,
        redis_retry_on_timeout=True,
    )
    return app

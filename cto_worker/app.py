"""The worker's composition root: ``celery --app cto_worker.app worker``."""

from __future__ import annotations

from cto_worker.process_imports import end_of_imports  # isort: skip - it must be the first import

import logging
import os
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import celery.apps.worker
from celery.signals import (
    celeryd_init,
    heartbeat_sent,
    setup_logging,
    worker_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from redis.exceptions import RedisError

from cto_worker.archive import database
from cto_worker.config import Settings
from cto_worker.domain.journal_ports import Journal
from cto_worker.errors import ConfigError
from cto_worker.jobs.archiver import Archiver
from cto_worker.jobs.audit_archiver import AuditArchiver
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.celery_task import register
from cto_worker.jobs.job_producer import make_send
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.jobs.lease_keeper import LeaseKeeper
from cto_worker.jobs.orphan_sweeper import OrphanSweeper
from cto_worker.market_registry import platforms
from cto_worker.markets.market_loader import description, make_market
from cto_worker.observability import logging_setup
from cto_worker.observability.flower_phase_events import FlowerPhaseEvents
from cto_worker.observability.metered_journal import MeteredJobStore, metered
from cto_worker.observability.metric_definitions import REGISTRY
from cto_worker.observability.process_heartbeat import ProcessHeartbeat
from cto_worker.observability.traces_factory import make_traces
from cto_worker.store.ended_jobs import EndedJobs
from cto_worker.store.redis_journal import RedisJournal
from cto_worker.store.store_connection import check_durable, connect
from cto_worker.store.store_reachability import wait_for_store
from cto_worker.unknown_settings import unknown_settings

if TYPE_CHECKING:
    from redis import Redis

    from cto_worker.domain.market_port import Market

end_of_imports()

_SPARE_CONNECTIONS = 10  # beyond one for each operation thread
# Of lease keeper, sweeper, heartbeat and archiver; operations cannot use them up.
_BACKGROUND_CONNECTIONS = 4
# More than a script waits for the disk (DURABLE_TIMEOUT_MS). Less than a default lease, because a later
# answer is useless to a run, and than the 15 s of a graceful shutdown.
_TIMEOUT_S = 3.5
_TRACES_S = 3.0  # of these 15 s: to export the last traces, after all operations

log = logging.getLogger(__name__)

settings = Settings.from_env()


def _connect(url: str = "", connections: int = settings.worker_concurrency + _SPARE_CONNECTIONS) -> Redis:
    return connect(settings, connections, timeout_s=_TIMEOUT_S, retry_timeouts=False, url=url)


def _market() -> Market:
    """Return the market, or end the process with the status ``EX_CONFIG``."""
    try:
        return make_market(settings, lambda url: _connect(url) if url else store)
    except ConfigError as error:
        sys.stderr.write(f"The worker does not start: {error}\n")  # the log is not configured yet
        sys.exit(os.EX_CONFIG)


store = _connect()
market = _market()
app = celery_app(settings)
send = make_send(app)
background_store = _connect(connections=_BACKGROUND_CONNECTIONS)
background_journal = RedisJournal(background_store, settings)
keeper = LeaseKeeper(background_journal, settings.lease_ms)
sweeper = OrphanSweeper(MeteredJobStore(background_journal), settings.lease_ms, send)
archive = database.connect(settings)
archiver = Archiver(
    EndedJobs(background_store, settings),
    archive,
    settings,
    AuditArchiver(background_store, archive, settings.replicas),
)
traces = make_traces(settings, "cto-worker")
phase_events = FlowerPhaseEvents()
runner = JobRunner(
    metered(traces.journal(Journal.of(RedisJournal(store, settings))), phase_events),
    traces.market(market),
    keeper,
    send,
    settings.crash_at,
    traces.run,
    platforms=platforms(settings.market),
    parallelism=settings.operation_parallelism,
)
heartbeat = ProcessHeartbeat(
    background_store,
    "worker",
    REGISTRY,
    lambda: {"operations": keeper.running_jobs, "slots": settings.worker_concurrency},
    description(market, settings.market),
)
register(app, runner, traces)


# Celery warns because of pickle, which this app does not accept (celery_app.py): a message cannot run code.
warnings.filterwarnings("ignore", message=r"\s*You're running the worker with superuser privileges")


@celeryd_init.connect
def _configure_logging(instance: celery.apps.worker.Worker, options: dict[str, Any], **_: object) -> None:
    """Write to one log only: Celery otherwise prints a banner and its shutdown messages."""
    instance.quiet = True
    celery.apps.worker.safe_say = lambda text, *_: logging_setup.say(text)
    logging_setup.configure(settings, options.get("loglevel") or logging.INFO)
    for warning in unknown_settings().values():
        log.warning(warning)


@setup_logging.connect
def _skip_celery_logging(**_: object) -> None:
    """Prevent Celery's own logging setup: Celery skips it if this signal has a receiver."""


@worker_init.connect
def _check_store(**_: object) -> None:
    """Wait for the store, and exit if it is not durable: after a loss of data, money could move twice."""
    wait_for_store(settings)
    try:
        check_durable(store, settings.replicas)
    except ConfigError as error:
        log.critical("the worker does not start: %s", error)
        sys.exit(os.EX_CONFIG)
    except RedisError as error:
        log.warning("the store's durability is not checked: %s", error)


@worker_ready.connect
def _start_background_threads(sender: object, **_: object) -> None:
    phase_events.consumer = sender
    threading.Thread(target=keeper.run, name="lease keeper", daemon=True).start()
    threading.Thread(target=sweeper.run, name="sweeper", daemon=True).start()
    threading.Thread(target=heartbeat.run, name="heartbeat", daemon=True).start()
    threading.Thread(target=archiver.run, name="archiver", daemon=True).start()


@heartbeat_sent.connect
def _touch(**_: object) -> None:
    """Touch a file, so that a health check sees that the worker receives messages, without the store."""
    if settings.heartbeat_file:
        Path(settings.heartbeat_file).touch()


@worker_shutting_down.connect
def _hand_over(**_: object) -> None:
    runner.stopping.set()


@worker_shutdown.connect
def _report_final_state(**_: object) -> None:
    with suppress(RedisError):
        heartbeat.end()
    traces.stop(_TRACES_S)

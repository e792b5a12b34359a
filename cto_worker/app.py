"""The worker's composition root: ``celery --app cto_worker.app worker``."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

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

from cto_worker.config import Settings
from cto_worker.errors import ConfigError
from cto_worker.jobs.celery_app import celery_app, make_send
from cto_worker.jobs.lease_keeper import LeaseKeeper
from cto_worker.jobs.runner import Runner
from cto_worker.jobs.sweeper import Sweeper
from cto_worker.jobs.task import register
from cto_worker.markets.paper.market import PLATFORMS, PaperMarket
from cto_worker.observability import logs
from cto_worker.observability.flower_phase import FlowerPhaseEvents
from cto_worker.observability.heartbeat import ProcessHeartbeat
from cto_worker.observability.metered_journal import MeteredJournal
from cto_worker.observability.metrics import REGISTRY
from cto_worker.observability.setup import make_traces
from cto_worker.store.connection import check_durable, connect
from cto_worker.store.journal import RedisJournal
from cto_worker.store.startup import wait_for_store
from cto_worker.unknown_settings import unknown_settings

_SPARE_CONNECTIONS = 10  # beyond one for each operation thread
_KEEPERS_CONNECTIONS = 3  # of keeper, sweeper and pulse, which operations cannot take away
# A store that hangs is given up soon: what a run still wants from it then is too late for its lease, and a
# worker that is to stop has 15 s.
_TIMEOUT_S = 4.0
_TRACES_S = 3.0  # of those, for the last traces, after all operations

log = logging.getLogger(__name__)

settings = Settings.from_env()
store = connect(
    settings,
    settings.worker_concurrency + _SPARE_CONNECTIONS,
    timeout_s=_TIMEOUT_S,
    retry_timeouts=False,
)
market_store = (
    connect(
        settings.of_paper_market,
        settings.worker_concurrency + _SPARE_CONNECTIONS,
        timeout_s=_TIMEOUT_S,
        retry_timeouts=False,
    )
    if settings.paper_url
    else store
)
app = celery_app(settings)
send = make_send(app)
own_store = connect(settings, _KEEPERS_CONNECTIONS, timeout_s=_TIMEOUT_S, retry_timeouts=False)
own_journal = MeteredJournal(RedisJournal(own_store, settings))
keeper = LeaseKeeper(own_journal, settings.lease_ms)
sweeper = Sweeper(own_journal, settings.lease_ms, send)
traces = make_traces(settings, "cto-worker")
phase_teller = FlowerPhaseEvents()
runner = Runner(
    MeteredJournal(traces.journal(store, settings), phase_teller),
    traces.market(PaperMarket(market_store, settings)),
    keeper,
    send,
    settings.crash_at,
    traces.run,
    platforms=PLATFORMS,
)
heartbeat = ProcessHeartbeat(
    own_store,
    "worker",
    REGISTRY,
    lambda: {"operations": keeper.held, "slots": settings.worker_concurrency},
)
register(app, runner, traces)


# Celery's reason for it is pickle, which is not accepted here (broker.py): a message cannot run code.
warnings.filterwarnings("ignore", message=r"\s*You're running the worker with superuser privileges")


@celeryd_init.connect
def _configure_logging(instance: celery.apps.worker.Worker, options: dict[str, Any], **_: object) -> None:
    """Have all in one log: Celery would print a banner, and that it was told to stop."""
    instance.quiet = True
    celery.apps.worker.safe_say = lambda text, *_: logs.say(text)
    logs.configure(settings, options.get("loglevel") or logging.INFO)
    for warning in unknown_settings().values():
        log.warning(warning)


@setup_logging.connect
def _leave_logging(**_: object) -> None:
    """Keep Celery from setting up logging once more: it does not when somebody listens here."""


@worker_init.connect
def _check_store(**_: object) -> None:
    """Refuse to run where money could move twice. Waits for a store that is not there yet."""
    wait_for_store(settings)
    try:
        check_durable(store, settings.replicas)
    except ConfigError as error:
        log.critical("The worker does not start: %s", error)
        sys.exit(os.EX_CONFIG)
    except RedisError as error:
        log.warning("cannot check the store yet: %s", error)


@worker_ready.connect
def _keep_and_sweep(sender: object, **_: object) -> None:
    phase_teller.consumer = sender
    threading.Thread(target=keeper.run, name="lease keeper", daemon=True).start()
    threading.Thread(target=sweeper.run, name="sweeper", daemon=True).start()
    threading.Thread(target=heartbeat.run, name="pulse", daemon=True).start()


@heartbeat_sent.connect
def _touch(**_: object) -> None:
    """Show a health check that the loop turns that takes messages, without a question by way of the store."""
    if settings.heartbeat_file:
        Path(settings.heartbeat_file).touch()


@worker_shutting_down.connect
def _hand_over(**_: object) -> None:
    runner.stopping.set()


@worker_shutdown.connect
def _tell_the_rest(**_: object) -> None:
    with suppress(RedisError):
        heartbeat.end()
    traces.stop(_TRACES_S)

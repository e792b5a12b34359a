"""The worker's composition root: ``celery --app cto_worker.app worker``."""

from __future__ import annotations

from celery.signals import setup_logging

from cto_worker import logs
from cto_worker.broker import celery_app
from cto_worker.config import Settings
from cto_worker.journal import RedisJournal
from cto_worker.paper import PaperMarket
from cto_worker.store import connect
from cto_worker.tasks import register

_SPARE_CONNECTIONS = 10  # beyond one for each operation thread

settings = Settings.from_env()
store = connect(settings, settings.worker_concurrency + _SPARE_CONNECTIONS)
app = celery_app(settings)
register(app, RedisJournal(store, settings.retention_s), PaperMarket(store, settings))


@setup_logging.connect
def _configure_logging(loglevel: int, **_: object) -> None:
    logs.configure(settings, loglevel)

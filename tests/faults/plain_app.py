"""A plain Celery task that acknowledges late and keeps no log, for comparison.

``celery --app faults.plain_app worker``, on a store of its own.
"""

from __future__ import annotations

import time
from uuid import uuid4

from celery import Celery

from cto_worker.config import Settings
from cto_worker.domain.market_port import Buy
from cto_worker.markets.paper.market import PaperMarket
from cto_worker.store.store_connection import connect

settings = Settings.from_env()
store = connect(settings, 200)
market = PaperMarket(store, settings)
app = Celery("plain", broker=settings.celery_url, backend=settings.celery_url)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_pool="threads",
    worker_concurrency=settings.worker_concurrency,
    worker_prefetch_multiplier=1,
    broker_transport_options={"visibility_timeout": 5, "unacked_restore_interval": 1},
    visibility_timeout=5,
    task_default_queue="plain",
    broker_connection_retry_on_startup=True,
)


@app.task(name="plain.buy", bind=True)
def buy(task, user_id, token_address, wallets, lamports):
    """Buy with each wallet in turn. Each intent names its job and step, so that the ledger shows them."""
    for number, wallet in enumerate(list(market.account(user_id, wallets).wallets)[:wallets]):
        intent = Buy(
            f"{task.request.id}:{number}:{uuid4()}", user_id, wallet, token_address, lamports, 10_000, 1_000
        )
        (order,) = market.prepare([intent])
        market.submit([order])
        market.outcomes([order], wait_s=60)
        store.rpush("plain:steps", f"{task.request.id} {time.time()}")
    store.sadd("plain:ended", task.request.id)

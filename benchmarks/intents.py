"""The cost of a buy with the intent log and without it."""

from __future__ import annotations

import time
from statistics import median
from uuid import uuid4

from benchmarks.system import BODY, client, embedded_store
from cto_worker.config import Settings
from cto_worker.domain.journal_ports import Journal
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.markets.paper.market import PaperMarket
from cto_worker.store.redis_journal import RedisJournal

BUYS = 50


class NoLog(RedisJournal):
    """A journal that does not record orders before they are submitted."""

    def intend(self, *_: object, **__: object) -> bool:
        return True

    def record_submission(self, *_: object) -> None:
        pass


def buy_with_log_and_without(rounds: int = 9) -> tuple[float, float]:
    """Return the ms per buy, with the log and without it. One buy at a time, with zero latency."""
    with_log, without = [], []
    with embedded_store() as environment:
        settings = Settings.from_env(environment)
        store = client(environment)
        market = PaperMarket(store, settings)
        for _ in range(rounds):
            with_log.append(_ms_per_buy(RedisJournal(store, settings), market))
            without.append(_ms_per_buy(NoLog(store, settings), market))
    return median(with_log), median(without)


def _ms_per_buy(journal: RedisJournal, market: PaperMarket) -> float:
    runner = JobRunner(Journal.of(journal), market, parallelism=1)
    body = BODY | {"walletCount": BUYS, "buyAmount": 0.05}
    start_s = time.perf_counter()
    runner.run_job(str(uuid4()), body)
    return (time.perf_counter() - start_s) * 1000 / BUYS

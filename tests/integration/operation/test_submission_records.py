"""The record that orders were submitted: written only if the market needs time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cto_worker.domain.journal_ports import Journal
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.markets.paper.market import PaperMarket
from cto_worker.operation.step_executor import POLL_S
from cto_worker.store.redis_journal import RedisJournal


class CountingJournal(RedisJournal):
    """A journal that remembers how many orders each record of a submission names."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.recorded = []

    def record_submission(self, job_id, attempt, orders):
        super().record_submission(job_id, attempt, orders)
        self.recorded.append(len(orders))


@pytest.mark.parametrize(("latency_s", "recorded"), [(0, []), (POLL_S / 5, []), (4 * POLL_S, [3])])
def test_a_submission_is_recorded_only_if_its_outcome_takes_longer_than_one_poll(
    store, settings, body, latency_s, recorded
):
    settings = replace(settings, paper_latency_ms=round(latency_s * 1000))
    journal = CountingJournal(store, settings)
    runner = JobRunner(Journal.of(journal), PaperMarket(store, settings), parallelism=10)
    result = runner.run_job("j1", body | {"mode": "prefunded", "walletCount": 3})
    assert result["successfulBuys"] == 3
    assert journal.recorded == recorded

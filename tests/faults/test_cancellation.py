"""Cancelling a job that a worker runs."""

from __future__ import annotations

import pytest
from support.criteria import check

from cto_worker.domain.progress_event import JobStatus
from cto_worker.markets.paper import ledger


@pytest.mark.parametrize(
    ("mode", "parallelism", "wallets"), [("standard", 1, 20), ("prefunded", 10, 50), ("standard", 10, 20)]
)
def test_a_cancellation_stops_a_job_after_the_steps_in_flight(build, mode, parallelism, wallets):
    system = build(CTO_PAPER_LATENCY_MS="300", CTO_OPERATION_PARALLELISM=str(parallelism))
    system.worker()
    job_id = system.submit(mode=mode, walletCount=wallets)
    system.wait_for_events(job_id, 8)
    assert system.cancel(job_id) is JobStatus.ACTIVE
    intended, executed = system.intent_log(job_id).records, len(orders(system))
    system.wait_for_end([job_id])
    assert system.intent_log(job_id).records.keys() == intended.keys(), "no further step starts"
    assert executed <= len(orders(system)) <= executed + parallelism
    check(system, [job_id])
    reported = [
        event["details"]["lastStep"] for event in system.events(job_id) if "lastStep" in event["details"]
    ]
    assert len(reported) == len(orders(system)), "those in flight are followed and reported"
    assert system.events(job_id)[-1]["details"]["errorCode"] == "cancelled"


def test_a_job_cancelled_while_it_waits_is_not_run(system):
    job_id = system.submit()
    assert system.cancel(job_id) is JobStatus.FAILED
    events = system.events(job_id)
    system.worker()
    system.wait_for_end([system.submit()])  # sent later, so the message of the cancelled job has been handled
    assert system.events(job_id) == events
    assert not [entry for entry in orders(system) if entry.intent_id.startswith(job_id)]


def orders(system):
    return [entry for entry in ledger.entries(system.client) if entry.intent_id]

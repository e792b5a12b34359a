"""A market that executes an order without a reply, with a late reply, late, or never."""

from __future__ import annotations

import pytest
from support.criteria import check
from support.waiting import wait_until

from cto_worker.markets.paper import ledger


@pytest.mark.parametrize("fault", ["LOST", "SILENT", "LATE"])
def test_an_executed_order_is_never_reported_as_failed(build, fault):
    system = build(**{"CTO_PAPER_TIMEOUT_MS": "300", f"CTO_PAPER_{fault}_RATE": "0.5"})
    system.worker()  # one order at a time
    system.worker()  # ten
    jobs = [system.submit(mode=mode, walletCount=8) for mode in ("standard", "prefunded") * 3]
    system.wait_for_end(jobs)
    unknown = {intent_id for intent_id, record in recorded(system, jobs) if record.status == "unknown"}
    if fault == "LOST":
        assert not unknown, "the market answers a query"
    else:
        assert unknown
    if fault == "LATE":
        wait_until(lambda: unknown <= executed(system))
    assert {intent_id for intent_id, _ in recorded(system, jobs)} == executed(system), "each was executed"
    assert check(system, jobs, unknown_allowed=True)["unknown"] == len(unknown), (
        "the end of a job does not change"
    )


def test_orders_that_do_not_arrive_expire_and_are_replaced(build):
    """Orders also expire because workers die between the record of an order and its submission."""
    system = build(CTO_PAPER_DROPPED_RATE="0.5", CTO_PAPER_EXPIRY_MS="300", CTO_PAPER_TIMEOUT_MS="10000")
    system.worker(CTO_CRASH_AT="after_intent")
    system.worker()
    jobs = [system.submit(mode=mode, walletCount=8) for mode in ("standard", "prefunded") * 3]
    system.wait_for_end(jobs)
    check(system, jobs)
    records = [record for _, record in recorded(system, jobs)]
    replaced = [record for record in records if record.order.replaced]
    assert {record.status for record in replaced} >= {"confirmed"}
    for record in records:
        if record.status == "failed":
            assert record.outcome.error_code in {"order_expired", "slippage_exceeded"}
            assert record.outcome.error_code != "order_expired" or len(record.order.replaced) == 3


def recorded(system, jobs):
    return [record for job_id in jobs for record in system.intent_log(job_id).records.items()]


def executed(system):
    return {entry.intent_id for entry in ledger.entries(system.client) if entry.executed}

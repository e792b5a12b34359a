"""Criteria that hold after any fault, read from outside: journal, intent log and the market's ledger."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from itertools import pairwise

from cto_worker.domain.lamports import to_sol
from cto_worker.domain.progress_event import decode
from cto_worker.markets.paper import ledger
from cto_worker.store import keys
from support.waiting import wait_until

ENDED = {"completed", "failed"}


def check(system, job_ids, *, unknown_allowed=False):
    """Assert the criteria for these jobs, all of which have ended. Return counts of them."""
    check_balance(system)
    assert {step: orders for step, orders in orders_per_step(system).items() if orders > 1} == {}
    by_intent = {entry.intent_id: entry for entry in ledger.entries(system.market) if entry.executed}
    seen = Counter(jobs=len(job_ids))
    for job_id in job_ids:
        seen += _check_job(system, job_id, by_intent, unknown_allowed=unknown_allowed)
    return seen


def check_balance(system):
    """Wait until the ledger balances: an order may execute late, while the ledger is read."""
    with suppress(AssertionError):
        wait_until(lambda: not ledger.audit(system.market).discrepancies, timeout_s=5)
    assert ledger.audit(system.market).discrepancies == ()


def orders_per_step(system, step_of=lambda intent_id: intent_id):
    """Return how many orders the market executed for each planned step.

    It executes every order that arrives before its expiry, also a second one of an intent. A step has one
    intent; ``step_of`` returns the step of an intent where it has several.
    """
    return Counter(step_of(entry.intent_id) for entry in ledger.entries(system.market) if entry.executed)


def check_all_bought(system, job_ids):
    """Assert that every wallet of these jobs bought: no fault elsewhere counted as a failed buy."""
    for job_id in job_ids:
        wanted = json.loads(system.client.hget(keys.job(job_id), "request"))["walletCount"]
        bought = system.events(job_id)[-1]["details"]
        assert (bought["successfulBuys"], bought["failedBuys"]) == (wanted, 0), f"{job_id}: {bought}"


def check_resumed(system, job_ids, killed_ms, within_s=15):
    """Assert that the jobs of killed workers were resumed in time. Return the seconds of each takeover.

    They count from the kill to the next run's first event. A run that was killed before its first event shows
    as a skipped attempt, and has the same time again.
    """
    waits = []
    for job_id in job_ids:
        for before, after in pairwise(system.events(job_id)):
            runs = after["attempt"] - before["attempt"]
            if before["attempt"] and runs:
                # The worker died after its last event, or while it was writing that event.
                since = [ms for ms in killed_ms if before["timestamp"] - 200 <= ms <= after["timestamp"]]
                waits.append((after["timestamp"] - min(since, default=before["timestamp"])) / 1000)
                assert waits[-1] <= within_s * runs, f"{job_id} was resumed after {waits[-1]} s"
    return waits


def check_journal(view):
    """Assert the criteria for the journal of an ended job, whatever its market. Return its events."""
    events = [decode(event) for event in view.events]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.status in ENDED for event in events] == [False] * (len(events) - 1) + [True]
    for attribute in ("progress", "phase", "attempt"):
        values = [getattr(event, attribute) for event in events]
        assert values == sorted(values), f"{attribute} falls: {values}"
    reported = [event.details for event in events if event.details.total_spent is not None]
    assert [d.total_spent for d in reported] == sorted(d.total_spent for d in reported)
    return events


def _check_job(system, job_id, by_intent, *, unknown_allowed):
    view = system.history.job_details(job_id)
    events = check_journal(view)
    log = system.intent_log(job_id)
    records = log.records if log else {}
    spent, unknown, buys = 0, 0, 0
    for intent_id, record in records.items():
        assert record.outcome, f"{intent_id} was left open"
        entry = by_intent.get(intent_id)
        executed = entry is not None and not entry.kind.startswith("failed_")
        if record.status == "unknown":
            unknown += 1
            continue
        assert executed == (record.status == "confirmed"), f"{intent_id} is {record.status}"
        spent += _cost(entry) if entry else 0
        buys += bool(entry and entry.kind == "buy")
    mine = {intent_id for intent_id in by_intent if intent_id.startswith(f"{job_id}:")}
    assert mine <= set(records), "no money moves without a recorded intent"
    assert unknown_allowed or not unknown, f"{unknown} intents of {job_id} are unknown"
    assert view.result["totalSpent"] == to_sol(spent) == events[-1].details.total_spent
    assert view.result["successfulBuys"] == buys == events[-1].details.successful_buys
    return Counter(
        unknown=unknown, takeovers=events[-1].attempt - 1, completed=events[-1].status == "completed"
    )


def _cost(entry):
    """Return the lamports that the user's wallets spent."""
    return sum(
        posting.amount
        for posting in entry.postings
        if posting.asset == ledger.SOL
        and (posting.account.startswith("curve:") or posting.account.endswith("_fees"))
    )

"""What must hold after any fault, checked from outside: journal, intent log and the market's own ledger."""

from __future__ import annotations

from collections import Counter

from cto_worker import keys, ledger
from cto_worker.events import decode
from cto_worker.intents import decode_log
from cto_worker.money import to_sol

ENDED = {"completed", "failed"}


def check(system, job_ids, *, unknown_allowed=False):
    """Assert the criteria for these jobs, all of which have ended. Return what was seen, as counts."""
    entries = ledger.entries(system.client)
    assert ledger.audit(system.client).discrepancies == ()
    executions = Counter(entry.intent_id for entry in entries if entry.intent_id)
    assert max(executions.values(), default=0) <= 1, "money moves at most once"
    by_intent = {entry.intent_id: entry for entry in entries if entry.intent_id}
    seen = Counter(jobs=len(job_ids), executions_max=max(executions.values(), default=0))
    for job_id in job_ids:
        seen += _check_job(system, job_id, by_intent, unknown_allowed=unknown_allowed)
    return seen


def _check_job(system, job_id, by_intent, *, unknown_allowed):
    view = system.history.view(job_id)
    events = [decode(event) for event in view.events]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.status in ENDED for event in events] == [False] * (len(events) - 1) + [True]
    for attribute in ("progress", "phase", "attempt"):
        values = [getattr(event, attribute) for event in events]
        assert values == sorted(values), f"{attribute} falls: {values}"
    told = [event.details for event in events if event.details.total_spent is not None]
    assert [d.total_spent for d in told] == sorted(d.total_spent for d in told)
    fields = {name.decode(): text for name, text in system.client.hgetall(keys.intents(job_id)).items()}
    log = decode_log(fields)
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
    assert mine <= set(records), "nothing moves without a recorded intent"
    assert unknown_allowed or not unknown, f"{unknown} intents of {job_id} are unknown"
    assert view.result["totalSpent"] == to_sol(spent) == events[-1].details.total_spent
    assert view.result["successfulBuys"] == buys == events[-1].details.successful_buys
    return Counter(
        unknown=unknown, takeovers=events[-1].attempt - 1, completed=events[-1].status == "completed"
    )


def _cost(entry):
    """Lamports that left the user's wallets for good."""
    return sum(
        posting.amount
        for posting in entry.postings
        if posting.asset == ledger.SOL
        and (posting.account.startswith("curve:") or posting.account.endswith("_fees"))
    )

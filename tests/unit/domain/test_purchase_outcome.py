"""The outcome of operations, from their buys and from final events of older versions."""

from __future__ import annotations

import json

import pytest
from support.samples import MINT

from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import encode
from cto_worker.domain.purchase_outcome import judge, outcome_of
from cto_worker.errors import OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.jobs.park_after_restore import park_job
from cto_worker.operation.phases import MAX_STALLS
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.testing.in_memory_journal import InMemoryJournal
from cto_worker.testing.in_memory_market import InMemoryMarket

BODY = {
    "tokenAddress": MINT,
    "userId": "7",
    "userChatId": 42,
    "mode": "standard",
    "buyAmount": 0.9,
    "walletCount": 3,
}


@pytest.fixture
def journal():
    return InMemoryJournal()


def create(journal, body=BODY):
    request = parse_request(body)
    journal.create(accepted_event("j1", request), request.to_document())


def run(journal, market, **runner):
    """Run the job; return its final event as JSON, and its result."""
    try:
        result = JobRunner(Journal.of(journal), market, **runner).run_job("j1", BODY)
    except OperationFailed as failure:
        result = failure.result
    return final_event(journal, result), result


def final_event(journal, result):
    """Return the final event as JSON, which must agree with the result."""
    final = json.loads(encode(journal.jobs["j1"].events[-1]))
    assert final["status"] in {"completed", "failed"}
    assert final["details"]["outcome"] == result["outcome"] == outcome_of(final)
    assert final["details"]["needsReview"] == result["needsReview"] == journal.jobs["j1"].review
    return final


@pytest.mark.parametrize(
    ("market", "outcome", "status", "review"),
    [
        (InMemoryMarket(), "full", "completed", False),
        (InMemoryMarket(failing=("wallet-2:buy",)), "partial", "completed", False),
        (InMemoryMarket(failing=("wallet-2:transfer",)), "partial", "completed", False),
        (InMemoryMarket(refused=("wallet-2:buy",)), "partial", "completed", False),
        (InMemoryMarket(failing=("buy",)), "none", "failed", False),
        (InMemoryMarket(failing=("transfer",)), "none", "failed", False),
        (InMemoryMarket(silent=("wallet-2:buy",)), "unknown", "completed", True),
        (InMemoryMarket(silent=("wallet-2:transfer",)), "unknown", "completed", True),
        (
            InMemoryMarket(silent=("wallet-1:buy",), failing=("wallet-2", "wallet-3")),
            "unknown",
            "failed",
            True,
        ),
        (InMemoryMarket(user_exists=False), "none", "failed", False),
    ],
    ids=lambda value: "" if isinstance(value, InMemoryMarket) else str(value),
)
def test_the_outcome_follows_from_the_buys(journal, market, outcome, status, review):
    create(journal)
    final, result = run(journal, market)
    assert (result["outcome"], final["status"], result["needsReview"]) == (outcome, status, review)


@pytest.mark.parametrize(
    ("seq", "outcome", "bought"), [(2, "none", 0), (4, "none", 0), (8, "partial", 1), (9, "partial", 2)]
)
def test_the_outcome_of_a_cancelled_operation_follows_from_its_buys(journal, seq, outcome, bought):
    create(journal)

    def cancel(event):
        if event.seq == seq:
            journal.request_cancel("j1")

    journal.before_append = cancel
    final, result = run(journal, InMemoryMarket())
    assert (final["details"]["errorCode"], result["outcome"]) == ("cancelled", outcome)
    assert result["successfulBuys"] == bought


def test_a_refused_request_bought_nothing(journal):
    with pytest.raises(OperationFailed) as refusal:
        JobRunner(Journal.of(journal), InMemoryMarket()).run_job("j1", {"userId": "7"})
    assert (refusal.value.code, refusal.value.result["outcome"]) == ("invalid_request", "none")
    assert refusal.value.result["wallets"] == []


def test_every_planned_wallet_is_in_the_result_also_when_its_transfer_failed(journal):
    create(journal)
    _, result = run(journal, InMemoryMarket(failing=("wallet-1:transfer",), silent=("wallet-3:buy",)))
    shown = [(row["wallet"], row["transfer"], row["buy"], bool(row["tokens"])) for row in result["wallets"]]
    assert shown == [
        ("wallet-1", "failed", "not_started", False),
        ("wallet-2", "confirmed", "confirmed", True),
        ("wallet-3", "confirmed", "unknown", False),
    ]
    assert result["wallets"][0]["errorCode"] == "slippage_exceeded"
    assert sum(row["tokens"] for row in result["wallets"]) == result["tokensBought"]
    assert sum(row["spent"] for row in result["wallets"]) == pytest.approx(result["totalSpent"])


def test_wallets_that_a_cancelled_operation_never_reached_are_in_its_result(journal):
    create(journal)
    journal.before_append = lambda event: event.seq == 8 and journal.request_cancel("j1")
    _, result = run(journal, InMemoryMarket())
    assert [row["buy"] for row in result["wallets"]] == ["confirmed", "not_started", "not_started"]
    assert (result["plannedBuys"], result["successfulBuys"], result["failedBuys"]) == (3, 1, 0)


def test_a_wallet_that_buys_in_several_orders_has_one_row(journal):
    create(journal, BODY | {"buyAmount": 7.5})
    _, result = run(journal, InMemoryMarket(failing=("wallet-2:buy.1",)))
    rows = [(row["buy"], row["successfulBuys"], row["plannedBuys"]) for row in result["wallets"]]
    assert rows == [("confirmed", 3, 3), ("partial", 2, 3), ("confirmed", 3, 3)]
    assert (result["outcome"], result["plannedBuys"]) == ("partial", 9)


def test_planned_wallets_are_in_phase_4s_first_event_and_planned_buys_in_all_later_ones(journal):
    create(journal)
    run(journal, InMemoryMarket())
    events = journal.jobs["j1"].events
    assert [event.details.planned_buys for event in events] == [None] * 3 + [3] * (len(events) - 3)
    named = [(event.seq, event.details.planned_wallets) for event in events if event.details.planned_wallets]
    assert named == [(4, ("wallet-1", "wallet-2", "wallet-3"))]


def test_events_name_the_wallets_whose_next_step_begins(journal):
    create(journal)
    JobRunner(Journal.of(journal), InMemoryMarket(), parallelism=2).run_job("j1", BODY)
    details = [event.details for event in journal.jobs["j1"].events[3:]]
    assert [(each.starting_wallets, each.last_step and each.last_step["wallet"]) for each in details] == [
        (("wallet-1", "wallet-2"), None),
        (None, "wallet-1"),
        (("wallet-3", "wallet-1"), "wallet-2"),
        (None, "wallet-3"),
        (("wallet-2", "wallet-3"), "wallet-1"),
        (None, "wallet-2"),
        (None, "wallet-3"),
        (None, None),
    ]


def test_a_run_that_takes_over_counts_the_plan_of_the_earlier_run(journal):
    create(journal)

    class Dying(InMemoryMarket):
        def submit(self, orders):
            InMemoryMarket.submit(self, orders)
            if "wallet-2:buy" in orders[0].intent_id:
                raise SystemExit

    market = Dying()
    with pytest.raises(SystemExit):
        JobRunner(Journal.of(journal), market).run_job("j1", BODY)
    journal.now_ms += journal.lease_ms
    final, result = run(journal, market)
    assert (result["outcome"], final["details"]["plannedBuys"]) == ("full", 3)
    assert [row["buy"] for row in result["wallets"]] == ["confirmed"] * 3
    named = [event.seq for event in journal.jobs["j1"].events if event.details.planned_wallets]
    assert named == [4], "they are reported once"


def test_a_job_parked_after_a_restore_is_unknown_whatever_its_log_says(journal):
    create(journal)
    park_job(Journal.of(journal), "j1", "cto park")
    result = journal.metadata["j1"]["result"]["exc_message"][2]
    final = final_event(journal, result)
    assert (final["details"]["errorCode"], result["outcome"], result["needsReview"]) == (
        "needs_review",
        "unknown",
        True,
    )


@pytest.mark.parametrize(("log", "outcome"), [({}, "none"), ({"plan": b"["}, "unknown")])
def test_a_stalled_job_is_unknown_only_if_its_log_is_unreadable(journal, log, outcome):
    create(journal)
    for number in range(MAX_STALLS):
        journal.claim("j1", f"run {number}")
        journal.now_ms += journal.lease_ms
    journal.jobs["j1"].log.update(log)
    final, result = run(journal, InMemoryMarket())
    assert (final["details"]["errorCode"], result["outcome"]) == ("needs_review", outcome)
    assert result["needsReview"]


@pytest.mark.parametrize(
    ("status", "details", "outcome"),
    [
        ("completed", {"successfulBuys": 5, "failedBuys": 0}, "full"),
        ("completed", {"successfulBuys": 2, "failedBuys": 8}, "partial"),
        ("completed", {"successfulBuys": 2, "failedBuys": 0, "unknownBuys": 1}, "unknown"),
        ("completed", {"successfulBuys": 2, "failedBuys": 0, "unknownTransfers": 1}, "unknown"),
        ("failed", {"successfulBuys": 0, "failedBuys": 5, "errorCode": "all_buys_failed"}, "none"),
        ("failed", {"successfulBuys": 3, "failedBuys": 0, "errorCode": "cancelled"}, "partial"),
        ("failed", {"successfulBuys": 0, "failedBuys": 0, "errorCode": "needs_review"}, "unknown"),
        ("failed", {"errorCode": "insufficient_funds"}, None),
        ("completed", {}, None),
        ("in_progress", {"successfulBuys": 2, "failedBuys": 0}, None),
        ("completed", {"successfulBuys": 2, "failedBuys": 0, "outcome": "partial"}, "partial"),
    ],
)
def test_the_outcome_of_an_older_final_event_is_derived_from_its_counts(status, details, outcome):
    assert outcome_of({"status": status, "details": details}) == outcome


def test_a_job_without_a_plan_has_the_outcome_none():
    assert judge(planned=None, confirmed=0, unknown=0) == "none"

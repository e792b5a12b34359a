"""The market's answers about the orders of a job, over REST."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from flask import Flask
from redis import Redis

from api.history.archive_reader import archive_reader
from api.history.job_history import JobHistory
from api.rest import responses, review_views
from cto_worker.domain.intent_codec import decode_log, encode_record
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.lamports import to_sol
from cto_worker.domain.market_port import Order
from cto_worker.domain.operation_request import parse_request
from cto_worker.errors import MarketError, OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.market_registry import order_reader
from cto_worker.markets.paper import ledger
from cto_worker.markets.paper.ledger_summary import operation_costs
from cto_worker.markets.paper.market import PaperMarket
from cto_worker.markets.paper.order_states import KNOWN_MS
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import keys
from cto_worker.store.job_review import intent_fields


@pytest.fixture
def run(store, settings, journal, body):
    """Run an operation of two wallets on a paper market with these faults."""

    def run(job_id, ledger=store, **faults):
        rough = replace(settings, paper_latency_ms=0, paper_timeout_ms=50, **faults)
        with suppress(OperationFailed):
            document = body | {"mode": "standard", "walletCount": 2, "slippageBps": 10_000}
            JobRunner(Journal.of(journal), PaperMarket(ledger, rough)).run_job(job_id, document)
        return [step.intent.intent_id for step in decode_log(intent_fields(store, job_id)).plan.steps]

    return run


@pytest.fixture
def answer(rest):
    """Return the data of the market's answer about a job."""
    return lambda job_id: rest.get(f"/api/cto/job/{job_id}/market").get_json()["data"]


def test_the_answer_is_that_of_the_ledger(run, answer, store):
    intents = run("j1")
    found = answer("j1")
    assert (found["market"], found["available"], found["reason"]) == ("paper", True, None)
    assert [order["intentId"] for order in found["orders"]] == intents
    entries = {entry.intent_id: entry for entry in ledger.entries(store)}
    booked = {step.intent_id: step for step in operation_costs(entries.values(), "j1").steps}
    assert {order["kind"] for order in found["orders"]} == {"transfer", "buy"}
    for order in found["orders"]:
        step = booked[order["intentId"]]
        assert order.pop("at") == int(entries[order["intentId"]].entry_id.partition("-")[0])
        assert order == {
            "intentId": step.intent_id,
            "kind": step.kind,
            "wallet": step.wallet,
            "signature": step.signature,
            "explorerUrl": None,
            "executed": True,
            "final": True,
            "spent": to_sol(step.spent),
            "tokens": step.tokens,
            "error": None,
        }


def test_an_order_is_known_although_the_market_was_silent(run, answer, rest):
    run("j1", paper_silent_rate=1.0)
    (first, *_) = rest.get("/api/cto/job/j1/review").get_json()["data"]["unknownIntents"]
    orders = {order["intentId"]: order for order in answer("j1")["orders"]}
    found = orders[first["intentId"]]
    assert (found["executed"], found["final"], found["spent"]) == (True, True, 0.000005)


def test_an_order_that_failed_has_cost_fees(run, answer):
    run("j1", paper_silent_rate=1.0, paper_failure_rate=1.0)
    for order in answer("j1")["orders"]:
        assert (order["executed"], order["final"], order["spent"]) == (False, True, 0.000005)
        assert order["error"] == "the transaction failed on the chain"


def test_an_order_that_has_not_arrived_may_still_be_executed_until_it_expires(run, answer, store):
    run("j1", paper_late_rate=1.0, paper_expiry_ms=60_000)
    assert {(order["executed"], order["final"], order["at"]) for order in answer("j1")["orders"]} == {
        (False, False, None)
    }
    store.set(keys.PAPER_SKIPPED_MS, 60_001)
    assert {(order["executed"], order["final"]) for order in answer("j1")["orders"]} == {(False, True)}


def test_an_order_that_the_market_has_forgotten_is_not_reported_as_not_executed(run, answer, store):
    for intent_id in run("j1"):
        store.delete(keys.paper_intent(intent_id))
    assert {order["executed"] for order in answer("j1")["orders"]} == {False}
    store.set(keys.PAPER_SKIPPED_MS, KNOWN_MS + 60_000)
    found = answer("j1")
    assert found["available"]
    assert {(order["executed"], order["final"]) for order in found["orders"]} == {(None, False)}


@pytest.fixture
def other_ledger(settings):
    """A store of the paper market that gateways do not read: ``CTO_PAPER_URL`` is set for workers only."""
    with Redis.from_url(settings.store_url, db=1) as client:
        yield client


def is_unknown(found):
    return found["available"] and {
        (order["executed"], order["final"], order["spent"]) for order in found["orders"]
    } == {(None, False, 0)}


@pytest.mark.parametrize("expiry_ms", [0, 60_000])
def test_nothing_is_known_of_orders_in_another_ledger(run, answer, store, other_ledger, expiry_ms):
    run("j1", other_ledger, paper_silent_rate=1.0, paper_expiry_ms=expiry_ms)
    assert [entry.intent_id for entry in ledger.entries(other_ledger) if entry.executed], "it was executed"
    store.set(keys.PAPER_SKIPPED_MS, 120_000)
    assert is_unknown(answer("j1")), "the gateway's store has no ledger"
    for number in range(3):  # it has one of the same user, with more quotes than the worker's ledger
        run(f"other{number}")
    assert is_unknown(answer("j1")), "the gateway's store has another ledger"
    run("j2", other_ledger)
    assert is_unknown(answer("j2"))


def test_nothing_is_known_of_orders_after_the_ledger_was_copied_to_another_store(
    run, answer, store, other_ledger
):
    run("before")
    for key in store.keys("cto:paper:*"):
        store.copy(key, key, destination_db=1)
    run("after", other_ledger, paper_silent_rate=1.0)
    store.set(keys.PAPER_SKIPPED_MS, 120_000)
    assert is_unknown(answer("after"))
    assert {order["executed"] for order in answer("before")["orders"]} == {True}


def test_nothing_is_known_of_orders_of_another_market(run, answer, store):
    """An operator has changed ``CTO_MARKET``. The payload is not JSON, or JSON of another form."""
    first, *others = run("j1")
    log = decode_log(intent_fields(store, "j1"))
    for number, payload in enumerate((b"\x80\x01\x02", b"[]", b"{}")):
        order = Order(first, f"signature{number}", payload, expires=1, context='{"slot": 5}')
        store.hset(keys.intents("j1"), first, encode_record(replace(log.records[first], order=order)))
        found = answer("j1")["orders"]
        assert [order["executed"] for order in found] == [None, *[True for _ in others]], payload


def test_only_an_ended_job_has_an_answer(rest, journal, body):
    request = parse_request(body)
    journal.create(accepted_event("waits", request), request.to_document())
    cases = {
        "waits": (409, "job_not_ended"),
        "nobody": (404, "job_not_found"),
        "a.b": (400, "invalid_job_id"),
    }
    for job_id, expected in cases.items():
        response = rest.get(f"/api/cto/job/{job_id}/market")
        assert (response.status_code, response.get_json()["error"]["code"]) == expected
    assert rest.get("/api/cto/job/waits/market?x=1").get_json()["error"]["code"] == "invalid_query"


def broken(orders):
    raise MarketError("node.example did not answer")


@pytest.mark.parametrize(
    ("market", "reader", "reason"),
    [
        ("solana", None, "gateways cannot ask the market solana: look up each signature"),
        ("acme", broken, "the market acme did not answer: node.example did not answer. Try again later"),
    ],
)
def test_a_market_that_cannot_be_asked_is_named_with_the_explorer(
    app, run, store, settings, market, reader, reason
):
    run("j1")
    links = replace(settings, market=market, explorer_url="https://explorer.example/tx/{signature}")
    other = Flask("other")
    responses.register(other)
    other.before_request_funcs = app.before_request_funcs
    history = JobHistory(store, archive_reader(settings))
    other.register_blueprint(review_views.blueprint(store, history, links, reader))
    found = other.test_client().get("/api/cto/job/j1/market").get_json()["data"]
    assert (found["market"], found["available"]) == (market, False)
    assert reason in found["reason"]
    for order in found["orders"]:
        assert order["explorerUrl"] == f"https://explorer.example/tx/{order['signature']}"
        assert (order["executed"], order["final"], order["spent"]) == (None, False, 0)


def test_a_gateway_can_ask_a_paper_market_in_the_store_of_the_jobs_only(store, settings):
    assert order_reader(settings, store)
    assert order_reader(replace(settings, paper_url="redis://127.0.0.1:1/0"), store) is None
    assert order_reader(replace(settings, market="solana"), store) is None

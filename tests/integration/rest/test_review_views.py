"""Review and resolution over REST, on jobs that ran against a market that reports no outcomes."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from support.cases import check_all

from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.errors import OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.operation.phases import MAX_STALLS
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import keys
from cto_worker.store.job_review import intent_fields
from cto_worker.testing.in_memory_market import InMemoryMarket

FIRST, SECOND, THIRD = (f"j1:wallet-{number}:buy.1" for number in (1, 2, 3))


@pytest.fixture
def run(journal, body):
    """Run an operation whose named intents never get an outcome."""

    def run(job_id, *silent, **changes):
        document = body | {"mode": "prefunded", "buyAmount": 0.9, "walletCount": 3} | changes
        with suppress(OperationFailed):
            JobRunner(Journal.of(journal), InMemoryMarket(silent=silent)).run_job(job_id, document)

    return run


@pytest.fixture
def park(store, journal, body, run):
    """End a job for review, without an order."""

    def park(job_id):
        request = parse_request(body | {"mode": "prefunded"})
        journal.create(accepted_event(job_id, request), request.to_document())
        journal.claim(job_id, "lost")
        store.hset(keys.job(job_id), mapping={"lease": 0, "stalls": MAX_STALLS - 1})
        run(job_id)

    return park


@pytest.fixture
def resolve(rest):
    """Send a resolution. Returns the data, or status and code of the error."""

    def resolve(job_id, **body):
        response = rest.post(f"/api/cto/job/{job_id}/resolve", json=body)
        document = response.get_json()
        return document["data"] if document["success"] else (response.status_code, document["error"]["code"])

    return resolve


def test_the_review_shows_each_unknown_step_with_its_times(rest, run):
    run("j1", "wallet-2:transfer", "wallet-3:buy", mode="standard")
    review = rest.get("/api/cto/job/j1/review").get_json()["data"]
    transfer, buy = review.pop("unknownIntents")
    assert review == {
        "jobId": "j1",
        "userId": "7",
        "status": "completed",
        "needsReview": True,
        "attempts": 1,
        "errorCode": None,
        "error": None,
    }
    assert (transfer["kind"], transfer["wallet"], transfer["amount"]) == ("transfer", "wallet-2", 0.300006)
    events = rest.get("/api/cto/job/j1/events").get_json()["data"]["events"]
    reported = {
        event["details"]["lastStep"]["signature"]: event["timestamp"]
        for event in events
        if "lastStep" in event["details"]
    }
    began = [e["timestamp"] for e in events if "wallet-3" in e["details"].get("startingWallets", ())]
    assert buy == {
        "intentId": "j1:wallet-3:buy.1",
        "description": "Buying with wallet 3 of 3",
        "kind": "buy",
        "wallet": "wallet-3",
        "amount": 0.3,
        "signature": "signature 1 of j1:wallet-3:buy.1",
        "startedAt": began[-1],
        "reportedAt": reported["signature 1 of j1:wallet-3:buy.1"],
        "attempt": 1,
    }


def test_a_job_is_resolved_step_by_step(rest, run, resolve, store):
    run("j1", "wallet-1:buy", "wallet-2:buy")
    left = resolve("j1", intentId=FIRST, executed=True, spent=0.3000051, tokens=17)
    assert (left["needsReview"], [each["intentId"] for each in left["unknownIntents"]]) == (True, [SECOND])
    done = resolve("j1", intentId=SECOND, executed=False)
    assert (done["needsReview"], done["unknownIntents"]) == (False, [])
    assert rest.get("/api/cto/jobs?status=needs_review").get_json()["data"]["jobs"] == []
    status = rest.get("/api/cto/job/j1/status").get_json()["data"]
    first, second = status["resolutions"]
    assert abs(first.pop("at") - time.time() * 1_000) < 600_000
    assert first == {
        "intentId": FIRST,
        "kind": "buy",
        "wallet": "wallet-1",
        "signature": f"signature 1 of {FIRST}",
        "executed": True,
        "spent": 0.3000051,
        "tokens": 17,
        "by": "anonymous",
    }
    assert (second["intentId"], second["executed"], second["spent"]) == (SECOND, False, 0)
    assert status["operationResult"]["unknownBuys"] == 2, "the result stays that of the end"
    recorded = intent_fields(store, "j1")
    assert b'"spent_lamports":300005100,"tokens":17' in recorded[FIRST]
    assert b'"status":"failed"' in recorded[SECOND]


def test_the_status_reads_the_intent_log_only_after_a_resolution(rest, run, resolve, store):
    def commands():
        store.config_resetstat()
        status = rest.get("/api/cto/job/j1/status").get_json()["data"]
        counted = store.info("commandstats")
        reads = counted.get("cmdstat_hgetall", {"calls": 0})["calls"]
        return status["outcome"], len(status["resolutions"]), counted["cmdstat_evalsha"]["calls"], reads

    run("j1", "wallet-1:buy", "wallet-2:buy")
    commands()  # loads the script
    assert commands() == ("unknown", 0, 1, 0)
    resolve("j1", intentId=FIRST, executed=False)
    assert commands() == ("unknown", 1, 1, 2)


def test_a_parked_job_without_orders_leaves_the_list(rest, park, resolve):
    park("parked")
    review = rest.get("/api/cto/job/parked/review").get_json()["data"]
    assert (review["needsReview"], review["errorCode"]) == (True, "needs_review")
    assert review["unknownIntents"] == []
    assert not resolve("parked")["needsReview"]
    assert not resolve("parked")["needsReview"], "the call can be repeated"


def test_the_page_of_a_job_with_an_unreadable_log_is_readable(rest, run, store):
    run("j1", "wallet-1:buy", "wallet-2:buy")
    store.hset(keys.intents("j1"), FIRST, b"written by a later release")
    status = rest.get("/api/cto/job/j1/status")
    assert (status.status_code, status.get_json()["data"]["resolutions"]) == (200, [])


def test_invalid_resolutions_are_refused_and_change_nothing(rest, run, resolve, store, journal, body):
    run("j1", "wallet-1:buy", "wallet-2:buy")
    run("j2", "wallet-2:transfer", mode="standard")
    request = parse_request(body)
    journal.create(accepted_event("waits", request), request.to_document())
    before = {key: store.dump(key) for key in store.scan_iter()}
    cases = [
        ("unknown job", "nobody", {"intentId": FIRST, "executed": True}, (404, "job_not_found")),
        ("job id", "a.b", {}, (400, "invalid_job_id")),
        ("not ended", "waits", {"intentId": FIRST, "executed": True}, (409, "job_not_ended")),
        ("unknown intent", "j1", {"intentId": "x", "executed": True}, (404, "intent_not_found")),
        ("known outcome", "j1", {"intentId": THIRD, "executed": True}, (409, "intent_not_unknown")),
        ("unknown intents left", "j1", {}, (409, "outcome_unknown")),
        *(
            (str(fields), "j1", fields, (400, "invalid_request"))
            for fields in (
                {"intentId": FIRST},
                {"executed": True},
                {"spent": 1},
                {"intentId": "", "executed": True},
                {"intentId": 1, "executed": True},
                {"intentId": FIRST, "executed": 1},
                {"intentId": FIRST, "executed": "true"},
                {"intentId": FIRST, "executed": True, "spent": -1},
                {"intentId": FIRST, "executed": True, "spent": "1"},
                {"intentId": FIRST, "executed": True, "tokens": 1.5},
                {"intentId": FIRST, "executed": False, "tokens": 1},
                {"intentId": FIRST, "executed": True, "wallet": "w"},
            )
        ),
        (
            "tokens of a transfer",
            "j2",
            {"intentId": "j2:wallet-2:transfer", "executed": True, "tokens": 1},
            (400, "invalid_request"),
        ),
    ]

    def check(job_id, fields, expected):
        assert resolve(job_id, **fields) == expected

    check_all([(name, arguments) for name, *arguments in cases], check)
    assert {key: store.dump(key) for key in store.scan_iter()} == before


def test_a_review_needs_an_ended_job(rest, journal, body):
    request = parse_request(body)
    journal.create(accepted_event("waits", request), request.to_document())
    for job_id, expected in {"waits": (409, "job_not_ended"), "nobody": (404, "job_not_found")}.items():
        response = rest.get(f"/api/cto/job/{job_id}/review")
        assert (response.status_code, response.get_json()["error"]["code"]) == expected

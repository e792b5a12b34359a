"""The events of `simulate()`: they have the shape and the rules of a gateway's events."""

from __future__ import annotations

import json

import pytest
from jsonschema_rs import Draft202012Validator
from support.javascript import evaluate

from api.spec import openapi

PROGRAM = """
import { simulate } from "./src/simulate.js";
const client = simulate({ speed: 200, failureRate: %s, unknownRate: %s, seed: %d });
const tokenAddress = "9FdjJ7S6g5LjAKFANKTm4WmAexYhHGusGFGi4VxEpump";
const request = { tokenAddress, userId: "7", socketUserId: "8", userChatId: 1, buyAmount: 1, walletCount: 4 };
const standard = await client.submit({ ...request, mode: "standard" });
const prefunded = await client.submit({ ...request, mode: "prefunded" });
const tracker = client.track([standard.jobId, prefunded.jobId, "any"]);
for await (const event of tracker) console.log(JSON.stringify(event));
client.close();
process.exit();
"""


def simulate(failure_rate, seed, unknown_rate=0):
    output = evaluate(PROGRAM % (failure_rate, unknown_rate, seed))
    return [json.loads(line) for line in output.splitlines()]


RESPONSES = """
import { simulate } from "./src/simulate.js";
const client = simulate({ speed: 200, failureRate: %s });
const tokenAddress = "9FdjJ7S6g5LjAKFANKTm4WmAexYhHGusGFGi4VxEpump";
const request = { tokenAddress, userId: "7", userChatId: 1, buyAmount: 1 };
const created = await client.submit({ ...request, mode: "standard" });
const waiting = await client.jobs({ userId: "7" });
const cancelling = await client.cancel((await client.submit({ ...request, mode: "prefunded" })).jobId);
await client.track(created.jobId).done;
console.log(JSON.stringify({
  Created: created, Page: waiting, Cancelling: cancelling, JobStatus: await client.status(created.jobId),
  Summary: await client.summary({ mode: "standard", needsReview: false, from: 0 }),
}));
process.exit();
"""


def validator(name):
    components = openapi.document()["components"]["schemas"]
    strict = {name: dict(schema, additionalProperties=False) for name, schema in components.items()}
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": {"schemas": strict}})


@pytest.fixture(scope="module")
def valid():
    return validator("ProgressEvent").validate


@pytest.mark.parametrize("failure_rate", [0, 1])
def test_simulated_responses_match_the_openapi_document(failure_rate):
    responses = json.loads(evaluate(RESPONSES % failure_rate))
    result = responses["JobStatus"]["operationResult"]
    assert result["success"] == (failure_rate == 0)
    assert len(result["steps"]) == 10
    totals, ended = responses["Summary"], "completed" if result["success"] else "failed"
    assert (totals["total"], totals["byStatus"][ended], totals["totalSpent"]) == (1, 1, result["totalSpent"])
    for name, response in responses.items():
        validator(name).validate(response)


@pytest.mark.parametrize("failure_rate", [0, 0.5, 1])
def test_simulated_events_keep_the_contract(valid, failure_rate):
    all_events = simulate(failure_rate, 7)
    jobs = {event["jobId"]: [e for e in all_events if e["jobId"] == event["jobId"]] for event in all_events}
    assert len(jobs) == 3
    for events in jobs.values():
        for event in events:
            valid(event)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        for name in ("phase", "progress", "attempt"):
            assert [event[name] for event in events] == sorted(event[name] for event in events), (
                f"{name} falls"
            )
        assert [event["status"] in {"completed", "failed"} for event in events] == [False] * (
            len(events) - 1
        ) + [True]
        assert [event["progress"] for event in events[:3]] == [10, 25, 45]
        last = events[-1]["details"]
        steps = [event["details"]["lastStep"] for event in events if "lastStep" in event["details"]]
        buys = [step["status"] for step in steps if step["kind"] == "buy"]
        assert (buys.count("confirmed"), buys.count("failed")) == (last["successfulBuys"], last["failedBuys"])
        assert last["totalSpent"] == pytest.approx(sum(step["spent"] for step in steps))
        assert (events[-1]["status"] == "failed") == (last["successfulBuys"] == 0)
        assert last.get("errorCode") == (None if last["successfulBuys"] else "all_buys_failed")
        bought, planned = last["successfulBuys"], last["plannedBuys"]
        assert last["outcome"] == ("full" if bought == planned else "partial" if bought else "none")
        assert not last["needsReview"]
        named = [event["details"] for event in events if "plannedWallets" in event["details"]]
        assert [len(details["plannedWallets"]) for details in named] == [planned]


def test_the_steps_of_a_simulated_operation_overlap():
    all_events = simulate(0.5, 7)
    for job_id in {event["jobId"] for event in all_events}:
        in_flight, most = set(), 0
        for details in (event["details"] for event in all_events if event["jobId"] == job_id):
            if step := details.get("lastStep"):
                in_flight.remove(step["wallet"])
            starting = details.get("startingWallets", [])
            assert not in_flight & set(starting), "the orders of one wallet run in sequence"
            in_flight |= set(starting)
            most = max(most, len(in_flight))
        assert (len(in_flight), most) == (0, details["plannedBuys"])


def test_simulated_buys_can_stay_unknown(valid):
    ends = [event for event in simulate(0, 7, unknown_rate=0.5) if "outcome" in event["details"]]
    for end in ends:
        valid(end)
        unknown = end["details"].get("unknownBuys", 0)
        assert (end["details"]["outcome"] == "unknown") == end["details"]["needsReview"] == bool(unknown)
    assert {end["details"]["outcome"] for end in ends} >= {"unknown"}


def test_the_same_seed_gives_the_same_events():
    def events_of(seed):
        events = sorted(simulate(0.5, seed), key=lambda event: (event["jobId"], event["seq"]))
        return [event | {"timestamp": 0} for event in events]

    assert events_of(3) == events_of(3)
    assert events_of(3) != events_of(4)

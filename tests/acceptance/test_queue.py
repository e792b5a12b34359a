"""Messages of the queue, and the jobs that they start."""

from __future__ import annotations

import json

import requests
from support.samples import operation
from support.waiting import assert_stays, wait_until

from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import make_send
from cto_worker.store import keys


def test_a_cancellation_stops_the_job_before_the_next_buy(system, connect_client, user):
    client = connect_client("python", "websocket", f"user_{user}")
    job_id = system.submit(userId=user, walletCount=40, buyAmount=0.4)
    client.wait_for(lambda client: len(client.events(job_id)) >= 6)
    assert requests.post(f"{system.url}/api/cto/job/{job_id}/cancel", timeout=10).status_code == 202
    page = system.ended(job_id)
    assert page["latestProgress"]["details"]["errorCode"] == "cancelled"
    assert 0 < page["operationResult"]["successfulBuys"] < 40


def test_a_job_sent_by_task_name_is_reported_like_any_other(system, connect_client, user):
    client = connect_client("node", "websocket", f"user_{user}")
    body = operation(userId=user, buyAmount=0.01, walletCount=1)
    with celery_app(system.settings) as celery:
        result = celery.send_task("cto_worker.run_operation", args=[body], queue="cto", ignore_result=False)
        bad = celery.send_task("cto_worker.run_operation", args=[body | {"buyAmount": True}], queue="cto")
        client.wait_for(lambda client: client.ended() >= {result.id, bad.id})
        assert (result.state, result.result["successfulBuys"]) == ("SUCCESS", 1)
        assert (bad.state, bad.result.code) == ("FAILURE", "invalid_request")
    assert client.events(result.id) == system.events(result.id)
    assert system.ended(bad.id)["latestProgress"]["details"]["errorCode"] == "invalid_request"


def test_a_duplicated_message_runs_its_job_once(system, user):
    job_id = system.submit(userId=user, walletCount=40, buyAmount=0.4)
    with celery_app(system.settings) as celery:
        for _ in range(10):
            celery.send_task("cto_worker.run_operation", args=[{}], queue="cto", task_id=job_id)
    events = system.ended(job_id)["progressEvents"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {event["attempt"] for event in events} == {0, 1}
    later = system.submit(userId=user)  # when this job has run, the duplicated messages have been handled
    system.ended(later)
    assert system.get(f"/api/cto/job/{job_id}/status")["progressEvents"] == events
    ledger = system.cto("market", "ledger", "--user", user, "--json")
    assert ledger.returncode == 0, ledger.stderr
    intents = [entry["intent_id"] for entry in json.loads(ledger.stdout)["entries"] if entry["intent_id"]]
    mine = [intent_id for intent_id in intents if intent_id.startswith(job_id)]
    assert len(mine) == len(set(mine)) == 40, "each buy is executed once"


def test_a_message_of_an_expired_job_starts_nothing(system):
    job_id = system.submit()
    system.ended(job_id)
    with system.store() as store, celery_app(system.settings) as celery:
        request = json.loads(store.hget(keys.job(job_id), "request"))
        store.delete(keys.job(job_id), keys.events(job_id), keys.intents(job_id), keys.meta(job_id))
        make_send(celery)(job_id, request, False)
        system.ended(system.submit())  # sent later, so it is received later
        assert_stays(lambda: not store.exists(keys.job(job_id)), for_s=1)


def test_a_full_worker_receives_a_message_as_soon_as_a_slot_is_free(launch):
    """Celery alone would check only in the next turn of its event loop, about once a second."""
    small = launch("--no-flower", CTO_WORKER_CONCURRENCY="1", CTO_PAPER_LATENCY_MS="0").ready()
    jobs = [small.submit() for _ in range(30)]
    wait_until(
        lambda: small.get("/api/cto/jobs/stats", jobIds=",".join(jobs))["completed"] == 30, timeout_s=15
    )

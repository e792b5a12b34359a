"""An owner watches an operation live: real worker, real gateway, stock clients."""

from __future__ import annotations

import json

import pytest
import requests
from support.samples import operation
from support.waiting import assert_stays, wait_until

from cto_worker.jobs.celery_app import celery_app, make_send
from cto_worker.store import keys

CLIENTS = [(kind, transport) for kind in ("node", "python") for transport in ("websocket", "polling")]


@pytest.mark.parametrize(("kind", "transport"), CLIENTS)
def test_a_client_sees_every_event_of_its_room_as_the_journal_has_it(
    system, connect_client, user, kind, transport
):
    client = connect_client(kind, transport, f"user_{user}")
    assert client.answers() == {f"user_{user}": {"success": True, "room": f"user_{user}"}}
    job_id = system.submit(userId=user, mode="standard")
    client.wait_for(lambda client: job_id in client.ended())
    assert client.events(job_id) == system.events(job_id)
    assert [event["seq"] for event in client.events()] == list(range(1, len(client.events()) + 1))


def test_fifty_jobs_at_once_and_every_client_has_the_journals_sequence(system, connect_client, user):
    everything = [connect_client(kind, transport, f"user_{user}") for kind, transport in CLIENTS]
    admin = connect_client("node", "websocket", "admin_launches", f"user_{user}")
    jobs = [system.submit(userId=user, walletCount=40, buyAmount=0.4)]
    one = connect_client("python", "websocket", f"job_{jobs[0]}")
    modes = ["standard", "prefunded"]
    jobs += [system.submit(userId=user, mode=modes[n % 2], buyAmount=0.01) for n in range(48)]
    jobs.append(system.submit(userId=user, buyAmount=5_000))
    for client in [*everything, admin]:
        client.wait_for(lambda client: client.ended() >= set(jobs), timeout_s=120)
    one.wait_for(lambda client: jobs[0] in client.ended())
    for job_id in jobs:
        told = system.events(job_id)
        assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
        for client in [*everything, admin]:
            assert client.events(job_id) == told
    assert {event["jobId"] for event in one.events()} == {jobs[0]}
    assert one.events() == system.events(jobs[0])[-len(one.events()) :], "from its snapshot on, no hole"
    stats = system.get("/api/cto/jobs/stats", jobIds=",".join(jobs))
    assert (stats["completed"], stats["failed"], stats["notFound"]) == (49, 1, 0)


def test_rest_tells_the_same_story(system, connect_client, user):
    client = connect_client("node", "websocket", f"user_{user}")
    job_id = system.submit(userId=user)
    page = system.ended(job_id)
    client.wait_for(lambda client: job_id in client.ended())
    assert page["progressEvents"] == client.events(job_id)
    assert page["latestProgress"] == client.events(job_id)[-1]
    assert page["operationResult"]["successfulBuys"] == 2
    assert page["operationResult"]["totalSpent"] == page["latestProgress"]["details"]["totalSpent"]


def test_no_answer_to_a_polling_client_holds_more_than_every_client_reads(system, user):
    """python-engineio refuses a payload of more than 16 packets, and with it loses the events."""
    address = f"{system.url}/socket.io/?EIO=4&transport=polling"
    with requests.Session() as session:

        def poll():
            return session.get(address, timeout=30).content.decode().split("\x1e")

        address += "&sid=" + json.loads(poll()[0][1:])["sid"]
        session.post(address, data="40", timeout=10)
        session.post(address, data=f'42["join_room","user_{user}"]', timeout=10)
        job_id = system.submit(userId=user, walletCount=40, buyAmount=0.4)
        told = system.ended(job_id)["progressEvents"]
        seqs = []
        while not seqs or seqs[-1] < len(told):
            packets = poll()
            assert len(packets) <= 16
            events = [json.loads(packet[2:]) for packet in packets if packet.startswith("42")]
            seqs += [event["seq"] for name, event in events if name == "worker_progress"]
        assert seqs == list(range(1, len(told) + 1))


@pytest.mark.parametrize("kind", ["node", "python"])
def test_a_page_opened_in_the_middle_sees_where_things_stand(system, connect_client, user, kind):
    watching = connect_client("python", "websocket", f"user_{user}")
    late = connect_client(kind, "websocket", f"user_{user}-other")  # to be no later than by joining
    job_id = system.submit(userId=user, walletCount=30, buyAmount=0.3)
    watching.wait_for(lambda client: len(client.events(job_id)) >= 5)
    for room in (f"user_{user}", "admin_launches"):
        late.send("join_room", room)
    late.wait_for(lambda client: job_id in client.ended())
    seqs = [event["seq"] for event in late.events(job_id)]
    assert seqs[0] > 1
    assert seqs == list(range(seqs[0], system.events(job_id)[-1]["seq"] + 1))


def test_the_second_identity_sees_the_job_too(system, connect_client, user):
    client = connect_client("python", "websocket", f"user_{user}-web")
    job_id = system.submit(userId=user, socketUserId=f"{user}-web")
    client.wait_for(lambda client: job_id in client.ended())
    assert client.events(job_id) == system.events(job_id)


def test_a_message_that_is_left_when_its_job_has_expired_starts_nothing(system):
    job_id = system.submit()
    system.ended(job_id)
    with system.store() as store, celery_app(system.settings) as celery:
        request = json.loads(store.hget(keys.job(job_id), "request"))
        store.delete(keys.job(job_id), keys.events(job_id), keys.intents(job_id), keys.meta(job_id))
        make_send(celery)(job_id, request, False)
        system.ended(system.submit())  # sent later, so it is taken later
        assert_stays(lambda: not store.exists(keys.job(job_id)), for_s=1)


def test_nobody_else_sees_it(system, connect_client, user):
    stranger = connect_client("python", "websocket", f"user_{user}-other")
    owner = connect_client("python", "websocket", f"user_{user}")
    job_id = system.submit(userId=user)
    owner.wait_for(lambda client: job_id in client.ended())
    assert stranger.events() == []


@pytest.mark.parametrize("kind", ["node", "python"])
def test_a_refusal_comes_in_the_callback_or_as_room_error_never_both(connect_client, kind):
    client = connect_client(kind, "websocket", "nonsense", "job_unknown")
    assert client.answers()["nonsense"]["error"]["code"] == "invalid_room"
    assert client.answers()["job_unknown"] == {
        "success": False,
        "error": {"code": "job_not_found", "message": "no job unknown"},
    }
    assert client.room_errors() == []
    for message in (["join_room", "nonsense"], ["join_room"], ["join_room", 7], ["leave_room", ["a"]]):
        client.send(*message)
        client.wait_for(lambda client: client.room_errors())
        assert client.room_errors()[0]["code"] == "invalid_room"
        client.lines.clear()


def test_who_leaves_a_room_gets_nothing_more(system, connect_client, user):
    leaver = connect_client("node", "websocket", f"user_{user}")
    stayer = connect_client("python", "websocket", f"user_{user}")
    leaver.send("leave_room", f"user_{user}")
    leaver.send("join_room", "nonsense")
    leaver.wait_for(lambda client: client.room_errors())  # so the message before has been handled too
    job_id = system.submit(userId=user)
    stayer.wait_for(lambda client: job_id in client.ended())
    assert leaver.events() == []


def test_a_message_on_the_channel_that_is_no_event_does_no_harm(system, connect_client, user):
    client = connect_client("node", "websocket", f"user_{user}")
    with system.store() as store:
        for payload in (b"", b"{", b"\xff", b"null", b'{"seq":NaN}'):
            store.publish(f"cto:room:user_{user}", payload)
    job_id = system.submit(userId=user)
    client.wait_for(lambda client: job_id in client.ended())
    assert client.events() == system.events(job_id)
    assert "not an event" in system.said()


def test_a_cancellation_stops_the_job_before_the_next_buy(system, connect_client, user):
    client = connect_client("python", "websocket", f"user_{user}")
    job_id = system.submit(userId=user, walletCount=40, buyAmount=0.4)
    client.wait_for(lambda client: len(client.events(job_id)) >= 6)
    assert requests.post(f"{system.url}/api/cto/job/{job_id}/cancel", timeout=10).status_code == 202
    page = system.ended(job_id)
    assert page["latestProgress"]["details"]["errorCode"] == "cancelled"
    assert 0 < page["operationResult"]["successfulBuys"] < 40


def test_a_job_sent_by_bare_name_is_the_same_to_everybody(system, connect_client, user):
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


def test_a_doubled_message_is_run_once(system, user):
    job_id = system.submit(userId=user, walletCount=40, buyAmount=0.4)
    with celery_app(system.settings) as celery:
        for _ in range(10):
            celery.send_task("cto_worker.run_operation", args=[{}], queue="cto", task_id=job_id)
    told = system.ended(job_id)["progressEvents"]
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert {event["attempt"] for event in told} == {0, 1}
    wait = system.submit(userId=user)  # when this has run, the doubled messages have been handled too
    system.ended(wait)
    assert system.get(f"/api/cto/job/{job_id}/status")["progressEvents"] == told
    ledger = system.cto("market", "ledger", "--user", user, "--json")
    assert ledger.returncode == 0, ledger.stderr
    intents = [entry["intent_id"] for entry in json.loads(ledger.stdout)["entries"] if entry["intent_id"]]
    mine = [intent_id for intent_id in intents if intent_id.startswith(job_id)]
    assert len(mine) == len(set(mine)) == 40, "each buy once"


def test_a_full_worker_takes_the_next_message_when_a_thread_is_free(launch):
    """Celery alone looks again only when its event loop next turns, about once a second."""
    small = launch("--no-flower", CTO_WORKER_CONCURRENCY="1", CTO_PAPER_LATENCY_MS="0").ready()
    jobs = [small.submit() for _ in range(30)]
    wait_until(
        lambda: small.get("/api/cto/jobs/stats", jobIds=",".join(jobs))["completed"] == 30, timeout_s=15
    )

"""Streams of Server-Sent Events: start, resume, gaps and refusals."""

from __future__ import annotations

import requests
from support.clients import wait_until_left
from support.waiting import wait_until

from cto_worker.store import keys


def submit_long(system, user):
    """Submit a job that takes about two seconds."""
    return system.submit(userId=user, walletCount=40, buyAmount=0.4)


def error(response, status):
    assert response.status_code == status, response.text
    return response.json()["error"]


def test_a_job_stream_starts_with_the_latest_event_and_ends_with_the_job(system, stream, user):
    job_id = submit_long(system, user)
    wait_until(lambda: len(system.events(job_id)) > 5)
    client = stream(f"/api/cto/job/{job_id}/stream").wait_for(lambda client: client.has_ended())
    seqs = [event["seq"] for event in client.events()]
    assert seqs[0] > 1
    assert client.events() == system.events(job_id)[-len(seqs) :]
    assert [line["id"] for line in client.lines[:-1]] == [str(seq) for seq in seqs]
    wait_until_left(system, f"job_{job_id}")
    late = stream(f"/api/cto/job/{job_id}/stream").wait_for(lambda client: client.has_ended())
    assert late.events() == system.events(job_id)[-1:]


def ended(events):
    return bool(events) and events[-1]["status"] in {"completed", "failed"}


def test_a_resumed_job_stream_has_no_gap_and_no_repeat(system, stream, user):
    job_id = submit_long(system, user)
    path, events, last_event_id = f"/api/cto/job/{job_id}/stream", [], "0"
    while not ended(events):
        client = stream(path, last_event_id).wait_for(
            lambda client: len(client.events()) >= 5 or client.has_ended()
        )
        client.close()
        events += client.events()
        last_event_id = client.last_event_id
        assert last_event_id == str(events[-1]["seq"])
        if not ended(events):  # while no client is connected, more events are written
            count = len(events)
            wait_until(lambda count=count: len(system.events(job_id)) > count)
    assert events == system.events(job_id)
    for last in (len(events), len(events) + 5):
        answer = requests.get(system.url + path, headers={"Last-Event-ID": str(last)}, timeout=10)
        assert (answer.status_code, answer.content) == (204, b""), (
            "an EventSource would reconnect after any other status"
        )


def test_a_user_stream_resumes_every_job_of_the_user(system, stream, user):
    path = f"/api/cto/stream?userId={user}"
    before = system.submit(userId=user)
    system.ended(before)
    first = stream(path)
    wait_until(lambda: first.last_event_id)
    jobs = [submit_long(system, user) for _ in range(3)]
    first.wait_for(lambda client: all(len(client.events(job_id)) >= 5 for job_id in jobs)).close()
    assert {part.partition(":")[0] for part in first.last_event_id.split(",")} == set(jobs)
    jobs += [system.submit(userId=user), system.submit(userId=user, buyAmount=5_000)]
    for job_id in jobs:
        system.ended(job_id)  # while no client is connected; the last two start and end in this time
    second = stream(path, first.last_event_id).wait_for(lambda client: client.ended() >= set(jobs))
    jobs.append(system.submit(userId=user))
    second.wait_for(lambda client: jobs[-1] in client.ended()).close()
    for job_id in jobs:
        assert first.events(job_id) + second.events(job_id) == system.events(job_id)
    assert first.events(before) + second.events(before) == []
    third = stream(path, second.last_event_id)
    jobs.append(system.submit(userId=user))
    third.wait_for(lambda client: jobs[-1] in client.ended())
    assert third.events() == system.events(jobs[-1])


def test_a_user_stream_without_events_resumes_with_the_first_job(system, stream, user):
    first = stream(f"/api/cto/stream?userId={user}")
    wait_until(lambda: first.last_event_id == "-")
    first.close()
    job_id = system.submit(userId=user)
    system.ended(job_id)
    second = stream(f"/api/cto/stream?userId={user}", "-")
    assert second.wait_for(lambda client: job_id in client.ended()).events() == system.events(job_id)


def test_a_cursor_gives_no_access_to_jobs_of_others(system, stream, user):
    foreign = system.submit(userId=f"{user}-other")
    system.ended(foreign)
    client = stream(f"/api/cto/stream?userId={user}", f"{foreign}:1")
    job_id = system.submit(userId=user)
    client.wait_for(lambda client: job_id in client.ended())
    assert {event["jobId"] for event in client.events()} == {job_id}


def test_a_gap_is_reported_and_the_stream_continues_after_it(system, stream, open_websocket, user):
    job_id = system.submit(userId=user)
    system.ended(job_id)
    events = system.events(job_id)
    with system.store() as store:
        store.xtrim(keys.events(job_id), minid="4-0", approximate=False)
    client = stream(f"/api/cto/job/{job_id}/stream", "1").wait_for(lambda client: client.has_ended())
    assert client.lines[0] == {"gap": {"jobId": job_id, "oldestSeq": 4}, "id": "1"}
    assert client.events() == events[3:]
    client = stream(f"/api/cto/stream?userId={user}", f"{job_id}:2")
    client.wait_for(lambda client: job_id in client.ended())
    assert client.lines[0]["gap"] == {"jobId": job_id, "oldestSeq": 4}
    assert client.events() == events[3:]
    assert (
        "gap"
        not in stream(f"/api/cto/job/{job_id}/stream", "3").wait_for(lambda client: client.lines).lines[0]
    )
    client = open_websocket()
    client.send(type="resume", jobId=job_id, after=2, id=9)
    refused = client.wait_for(lambda client: client.received("error")).received("error")[0]
    assert (refused["code"], refused["oldestSeq"], refused["id"]) == ("gap", 4, 9)


def test_an_empty_last_event_id_is_ignored(system, stream, user):
    job_id = system.submit(userId=user)
    system.ended(job_id)
    client = stream(f"/api/cto/job/{job_id}/stream?after=0", "")
    client.wait_for(lambda client: client.ended())
    assert client.events()[0]["seq"] == 1, "the query counts"
    stream(f"/api/cto/stream?userId={user}", "")  # is accepted


def test_a_refused_stream_has_a_json_error(system, user):
    def ask(path, **headers):
        return requests.get(f"{system.url}/api/cto/{path}", headers=headers, timeout=10)

    job_id = system.submit(userId=user)
    assert error(ask("job/unknown/stream"), 404)["code"] == "job_not_found"
    assert error(ask("job/no%20id/stream"), 400)["code"] == "invalid_job_id"
    assert error(ask(f"job/{job_id}/stream?after=x"), 400)["code"] == "invalid_query"
    assert error(ask(f"job/{job_id}/stream", **{"Last-Event-ID": "-1"}), 400)["code"] == "invalid_query"
    assert "userId" in error(ask("stream"), 400)["details"]["fields"]
    assert "userId" in error(ask("stream?userId=a%20b"), 400)["details"]["fields"]
    refused = error(ask(f"stream?userId={user}", **{"Last-Event-ID": "7"}), 400)
    assert "Last-Event-ID" in refused["details"]["fields"]
    both = ask(f"job/{job_id}/stream?after={10**15}", **{"Last-Event-ID": "1"})
    assert "after" in error(both, 400)["details"]["fields"], "also beside the header, which has precedence"
    assert error(ask(f"stream?userId={user}", Host="evil.example"), 403)["code"] == "host_not_allowed"
    for path in (f"stream?userId={user}", f"job/{job_id}/stream"):
        refused = ask(path, Origin="http://evil.example")
        assert error(refused, 403)["code"] == "origin_not_allowed"
    assert not system.is_followed(f"user_{user}")

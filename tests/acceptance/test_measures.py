"""What operators read at ``/metrics`` of a running system."""

from __future__ import annotations

import re

import pytest
import requests
from support.waiting import wait_until


def told(system, name):
    """The sum of a metric's samples."""
    text = requests.get(f"{system.url}/metrics", timeout=10).text
    return sum(float(value) for value in re.findall(rf"^cto_{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def run_until_more(system, user, name):
    """Run operations until a metric grows. Return their ids."""
    before, jobs = told(system, name), []

    def grows():
        jobs.append(system.submit(userId=user))
        system.ended(jobs[-1])
        return told(system, name) > before

    wait_until(grows)
    return jobs


@pytest.mark.parametrize("kind", ["node", "python"])
def test_the_way_to_a_client_is_timed_over_websockets(system, connect_client, user, kind):
    client = connect_client(kind, "websocket", f"user_{user}")
    jobs = run_until_more(system, user, "gateway_client_latency_seconds_count")
    client.wait_for(lambda client: client.ended() >= set(jobs))
    assert (
        0
        < told(system, "gateway_client_latency_seconds_sum")
        < told(system, "gateway_client_latency_seconds_count") * 5
    )


def test_the_way_to_a_client_is_timed_over_plain_websockets(system, plain_socket, user):
    plain_socket(f"user_{user}")
    run_until_more(system, user, "gateway_client_latency_seconds_count")


def test_a_client_that_polls_is_not_asked_and_misses_nothing(system, connect_client, user):
    client = connect_client("python", "polling", f"user_{user}")
    jobs = run_until_more(system, user, "gateway_relay_lag_seconds_count")
    client.wait_for(lambda client: client.ended() >= set(jobs))
    for job_id in jobs:
        assert [event["seq"] for event in client.events(job_id)] == list(
            range(1, len(client.events(job_id)) + 1)
        )


def test_every_gateway_tells_what_all_processes_have_counted(launch, user):
    system = launch("--no-flower", "--workers", "2", "--gateways", "2").ready()
    wait_until(lambda: told(system, "processes") == 4)
    jobs = [system.submit(userId=user) for _ in range(10)]
    for job_id in jobs:
        system.ended(job_id)
    wait_until(lambda: told(system, "jobs_ended_total") == len(jobs))
    assert [told(system, "jobs_ended_total") for _ in range(10)] == [len(jobs)] * 10, (
        "whichever gateway answers"
    )
    assert told(system, "worker_slots") == 200

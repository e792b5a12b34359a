"""The metrics of a running system at ``/metrics``."""

from __future__ import annotations

import re

import pytest
import requests
from support.waiting import wait_until


def metric(system, name):
    """Return the sum of a metric's samples."""
    text = requests.get(f"{system.url}/metrics", timeout=10).text
    return sum(float(value) for value in re.findall(rf"^cto_{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def run_until_more(system, user, name):
    """Run operations until a metric grows. Return their ids."""
    before, jobs = metric(system, name), []

    def grows():
        jobs.append(system.submit(userId=user))
        system.ended(jobs[-1])
        return metric(system, name) > before

    wait_until(grows)
    return jobs


@pytest.mark.parametrize("kind", ["node", "python"])
def test_the_latency_to_a_socketio_client_is_measured(system, connect_client, user, kind):
    client = connect_client(kind, "websocket", f"user_{user}")
    jobs = run_until_more(system, user, "gateway_client_latency_seconds_count")
    client.wait_for(lambda client: client.ended() >= set(jobs))
    assert (
        0
        < metric(system, "gateway_client_latency_seconds_sum")
        < metric(system, "gateway_client_latency_seconds_count") * 5
    )


def test_the_latency_to_a_websocket_client_is_measured(system, open_websocket, user):
    open_websocket(f"user_{user}")
    run_until_more(system, user, "gateway_client_latency_seconds_count")


def test_a_polling_client_receives_every_event_while_relay_lag_is_measured(system, connect_client, user):
    client = connect_client("python", "polling", f"user_{user}")
    jobs = run_until_more(system, user, "gateway_relay_lag_seconds_count")
    client.wait_for(lambda client: client.ended() >= set(jobs))
    for job_id in jobs:
        assert [event["seq"] for event in client.events(job_id)] == list(
            range(1, len(client.events(job_id)) + 1)
        )


def test_every_gateway_returns_the_sums_of_all_processes(launch, user):
    system = launch("--no-flower", "--workers", "2", "--gateways", "2").ready()
    wait_until(lambda: metric(system, "processes") == 4)
    jobs = [system.submit(userId=user) for _ in range(10)]
    for job_id in jobs:
        system.ended(job_id)
    wait_until(lambda: metric(system, "jobs_ended_total") == len(jobs))
    assert [metric(system, "jobs_ended_total") for _ in range(10)] == [len(jobs)] * 10, "from either gateway"
    assert metric(system, "worker_slots") == 200

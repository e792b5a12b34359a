"""Operators find operations in a real Flower, and nobody else does."""

from __future__ import annotations

import requests
from waiting import wait_until

PASSWORD = "a password of some length"


def seen(system, job_id, auth):
    """A task's page, without what is between the words; empty when Flower does not know it yet."""
    answer = requests.get(f"{flower(system)}/task/{job_id}", auth=auth, timeout=10)
    return answer.text if answer.ok else ""


def flower(system):
    return f"http://127.0.0.1:{system.settings.flower_port}"


def test_a_running_and_a_failed_operation_are_found_by_their_job_ids(launch):
    system = launch(
        CTO_PAPER_LATENCY_MS="500", CTO_FLOWER_HOST="0.0.0.0", CTO_FLOWER_PASSWORD=PASSWORD
    ).ready()
    operator = ("operator", PASSWORD)

    def answers():
        try:
            return requests.get(f"{flower(system)}/healthcheck", timeout=5).ok
        except requests.RequestException:
            return False

    wait_until(answers)
    wait_until(lambda: "enabled by remote" in system.said())  # from then on the worker tells it of tasks
    failing = system.submit(userId="flower-poor", buyAmount=1_000)
    running = system.submit(userId="flower-rich", walletCount=40, buyAmount=0.8, mode="standard")
    wait_until(lambda: "FAILURE" in seen(system, failing, operator))
    page = seen(system, failing, operator)
    for text in (failing, "flower-poor", "prefunded", "insufficient_funds"):
        assert text in page, text
    wait_until(lambda: "phase 4 of 5" in seen(system, running, operator))
    page = seen(system, running, operator)
    for text in (running, "flower-rich", "standard", "PROGRESS"):
        assert text in page, text
    for stranger in (None, ("operator", "wrong")):
        for path in ("/", "/workers", f"/task/{running}", "/api/tasks"):
            answer = requests.get(flower(system) + path, auth=stranger, timeout=10)
            assert answer.status_code == 401, (path, answer.status_code)
    assert PASSWORD not in system.said()


def test_a_flower_that_others_could_reach_needs_a_password(launch):
    system = launch(CTO_FLOWER_HOST="0.0.0.0")
    assert system.process.wait(30) != 0
    assert "CTO_FLOWER_PASSWORD" in system.said()

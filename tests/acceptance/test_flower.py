"""Operators find operations in a real Flower, and nobody else does."""

from __future__ import annotations

from uuid import uuid4

import pytest
import requests
from support.waiting import wait_until

from cto_worker.config import Settings
from cto_worker.errors import ConfigError
from cto_worker.jobs.celery_app import celery_app
from cto_worker.observability.flower_options import names

PASSWORD = "a password of some length"


def seen(system, job_id, auth):
    """A task's page, without what is between the words; empty when Flower does not know it yet."""
    answer = requests.get(f"{flower(system)}/task/{job_id}", auth=auth, timeout=10)
    return answer.text if answer.ok else ""


def flower(system):
    return f"http://127.0.0.1:{system.settings.flower_port}"


def answers(system):
    try:
        return requests.get(f"{flower(system)}/healthcheck", timeout=5).ok
    except requests.RequestException:
        return False


def test_a_running_and_a_failed_operation_are_found_by_their_job_ids(launch):
    system = launch(
        CTO_PAPER_LATENCY_MS="500", CTO_FLOWER_HOST="0.0.0.0", CTO_FLOWER_PASSWORD=PASSWORD
    ).ready()
    operator = ("operator", PASSWORD)
    wait_until(lambda: answers(system))
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


def test_on_this_machine_it_answers_to_names_of_this_machine_and_controls_nothing(launch):
    system = launch(CTO_FLOWER_NAMES="flower.example,ops.example").ready()
    wait_until(lambda: answers(system))

    def asked(host, path="/tasks", method="GET"):
        return requests.request(method, flower(system) + path, headers={"Host": host}, timeout=10)

    for host in (
        "127.0.0.1:5555",
        "localhost",
        "LOCALHOST:1",
        "[::1]:5555",
        "flower.example",
        "ops.example:443",
    ):
        assert asked(host).status_code == 200, host
    for host in ("evil.example", "evil.example:5555", "127.0.0.1.evil.example", "10.0.0.1"):
        for path in ("/", "/tasks", "/api/tasks", "/metrics", "/static/css/flower.css", "/healthcheck"):
            refused = asked(host, path)
            assert (refused.status_code, "CTO_FLOWER_NAMES" in refused.text) == (403, True), (host, path)
        assert asked(host, "/api/worker/shutdown/any", "POST").status_code == 403, host
    wait_until(lambda: "the host evil.example is not allowed: add it to CTO_FLOWER_NAMES" in system.said())


@pytest.mark.parametrize("control", ["no", "yes"])
def test_it_controls_only_when_a_setting_says_so(launch, control):
    system = launch(CTO_FLOWER_CONTROL=control, CTO_FLOWER_PASSWORD=PASSWORD).ready()
    wait_until(lambda: answers(system))
    operator = ("operator", PASSWORD)
    statuses = {
        path: requests.post(f"{flower(system)}/api/{path}", data=b"{}", auth=operator, timeout=20).status_code
        for path in (
            "worker/shutdown/nobody",
            "worker/pool/restart/nobody",
            "worker/queue/add-consumer/nobody?queue=x",
            "task/revoke/none",
            "task/send-task/cto_worker.nothing",
            "task/abort/none",
            "task/rate-limit/cto_worker.run_operation",
        )
    }
    if control == "no":
        assert set(statuses.values()) == {403}, statuses
    else:
        assert statuses["task/revoke/none"] == 200, statuses
    page = requests.get(f"{flower(system)}/tasks", auth=operator, timeout=10)
    assert page.status_code == 200


def test_it_keeps_so_many_tasks_and_forgets_workers_that_have_ended(launch):
    system = launch(CTO_FLOWER_TASKS="100", CTO_FLOWER_PASSWORD=PASSWORD).ready()
    wait_until(lambda: answers(system))
    app, operator = celery_app(system.settings), ("operator", PASSWORD)

    def told(path):
        return requests.get(f"{flower(system)}{path}", auth=operator, timeout=30)

    def tell(number, uuid):
        with app.events.default_dispatcher(hostname=f"worker@{number}") as dispatcher:
            dispatcher.send("worker-heartbeat", freq=2, active=0, processed=1)
            dispatcher.send(
                "task-received", uuid=uuid, name="cto_worker.run_operation", args="()", kwargs="{}"
            )
            dispatcher.send("task-succeeded", uuid=uuid, runtime=0.1, result="{}")

    wait_until(lambda: "enabled by remote" in system.said())
    jobs = [str(uuid4()) for _ in range(400)]
    for number, uuid in enumerate(jobs):
        tell(number, uuid)
    wait_until(lambda: told(f"/api/task/info/{jobs[-1]}").ok)
    assert set(jobs[-99:]) <= set(told("/api/tasks").json()) <= set(jobs[-100:])

    def measured():
        text = told("/metrics").text
        return {number for number in range(400) if f'"worker@{number}"' in text}

    wait_until(lambda: len(measured()) <= 200)
    assert 399 in measured()
    app.close()


def test_which_names_it_answers_to_depends_on_who_can_reach_it():
    assert names(Settings()) >= {"localhost", "127.0.0.1", "[::1]"}
    assert "127.0.0.2" in names(Settings(flower_host="127.0.0.2"))
    assert "ops.example" in names(Settings(flower_names=("ops.example",), flower_password=PASSWORD))
    assert "evil.example" not in names(Settings(flower_password=PASSWORD))
    assert names(Settings(flower_host="0.0.0.0", flower_password=PASSWORD)) is None
    assert "127.0.0.1" in names(Settings(flower_host="0.0.0.0", flower_names=("ops.example",)))
    for wrong in ("https://ops.example", "OPS.example", "ops.example:5555", "a b"):
        with pytest.raises(ConfigError, match=r"CTO_FLOWER_NAMES.*not a host name"):
            Settings.from_env({"CTO_FLOWER_NAMES": wrong})

"""A running Flower: operations, host names, passwords and limits."""

from __future__ import annotations

from uuid import uuid4

import pytest
import requests
from support.processes import environment
from support.system import System
from support.waiting import wait_until

from cto_worker.config import Settings
from cto_worker.errors import ConfigError
from cto_worker.jobs.celery_app import celery_app
from cto_worker.observability.flower_options import names

PASSWORD = "a password of some length"


def task_page(system, job_id, auth):
    """Return the page of a task; an empty string if Flower does not know the task yet."""
    answer = requests.get(f"{flower(system)}/task/{job_id}", auth=auth, timeout=10)
    return answer.text if answer.ok else ""


def flower(system):
    return f"http://127.0.0.1:{system.settings.flower_port}"


def answers(system):
    try:
        return requests.get(f"{flower(system)}/healthcheck", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def public():
    """A system with slow transfers and buys, whose Flower has a public address and keeps 100 tasks."""
    flower = {"CTO_FLOWER_HOST": "0.0.0.0", "CTO_FLOWER_PASSWORD": PASSWORD, "CTO_FLOWER_TASKS": "100"}
    system = System(environment(**flower, CTO_PAPER_LATENCY_MS="500")).ready()
    yield system
    system.close()


def test_a_running_and_a_failed_operation_are_found_by_their_job_ids(public):
    system, operator = public, ("operator", PASSWORD)
    wait_until(lambda: answers(system))
    wait_until(lambda: "enabled by remote" in system.output())  # from then on the worker sends task events
    failing = system.submit(userId="flower-poor", buyAmount=1_000)
    running = system.submit(userId="flower-rich", walletCount=40, buyAmount=0.8, mode="standard")
    wait_until(lambda: "FAILURE" in task_page(system, failing, operator))
    page = task_page(system, failing, operator)
    for text in (failing, "flower-poor", "prefunded", "insufficient_funds"):
        assert text in page, text
    wait_until(lambda: "phase 4 of 5" in task_page(system, running, operator))
    page = task_page(system, running, operator)
    for text in (running, "flower-rich", "standard", "PROGRESS"):
        assert text in page, text
    for login in (None, ("operator", "wrong")):
        for path in ("/", "/workers", f"/task/{running}", "/api/tasks"):
            answer = requests.get(flower(system) + path, auth=login, timeout=10)
            assert answer.status_code == 401, (path, answer.status_code)
    assert PASSWORD not in system.output()


def test_flower_on_a_public_address_requires_a_password(launch):
    system = launch(CTO_FLOWER_HOST="0.0.0.0")
    assert system.process.wait(30) != 0
    assert "CTO_FLOWER_PASSWORD" in system.output()


def test_flower_on_loopback_accepts_known_names_and_no_commands(launch):
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
            assert f"The host {host} is not allowed: use {flower(system)} on" in refused.text
        assert asked(host, "/api/worker/shutdown/any", "POST").status_code == 403, host
    wait_until(lambda: "the host evil.example is not allowed: add it to CTO_FLOWER_NAMES" in system.output())


def command_statuses(system):
    """Send each command of Flower's API. Return the statuses by path."""
    wait_until(lambda: answers(system))
    paths = (
        "worker/shutdown/nobody",
        "worker/pool/restart/nobody",
        "worker/queue/add-consumer/nobody?queue=x",
        "task/revoke/none",
        "task/send-task/cto_worker.nothing",
        "task/abort/none",
        "task/rate-limit/cto_worker.run_operation",
    )
    operator = ("operator", PASSWORD)
    statuses = {
        path: requests.post(f"{flower(system)}/api/{path}", data=b"{}", auth=operator, timeout=20).status_code
        for path in paths
    }
    assert requests.get(f"{flower(system)}/tasks", auth=operator, timeout=10).status_code == 200
    return statuses


def test_flower_refuses_commands_by_default(public):
    statuses = command_statuses(public)
    assert set(statuses.values()) == {403}, statuses


def test_flower_accepts_commands_with_the_setting(launch):
    statuses = command_statuses(launch(CTO_FLOWER_CONTROL="yes", CTO_FLOWER_PASSWORD=PASSWORD).ready())
    assert statuses["task/revoke/none"] == 200, statuses


def test_flower_keeps_a_limited_number_of_tasks_and_workers(public):
    wait_until(lambda: answers(public))
    app, operator = celery_app(public.settings), ("operator", PASSWORD)

    def get(path):
        return requests.get(f"{flower(public)}{path}", auth=operator, timeout=30)

    def send_events(number, uuid):
        with app.events.default_dispatcher(hostname=f"worker@{number}") as dispatcher:
            dispatcher.send("worker-heartbeat", freq=2, active=0, processed=1)
            dispatcher.send(
                "task-received", uuid=uuid, name="cto_worker.run_operation", args="()", kwargs="{}"
            )
            dispatcher.send("task-succeeded", uuid=uuid, runtime=0.1, result="{}")

    wait_until(lambda: "enabled by remote" in public.output())
    jobs = [str(uuid4()) for _ in range(400)]
    for number, uuid in enumerate(jobs):
        send_events(number, uuid)
    wait_until(lambda: get(f"/api/task/info/{jobs[-1]}").ok)
    assert set(jobs[-99:]) <= set(get("/api/tasks").json()) <= set(jobs[-100:])

    def workers():
        text = get("/metrics").text
        return {number for number in range(400) if f'"worker@{number}"' in text}

    wait_until(lambda: len(workers()) <= 200)
    assert 399 in workers()
    app.close()


def test_the_accepted_host_names_depend_on_the_address_and_the_password():
    assert names(Settings()) >= {"localhost", "127.0.0.1", "[::1]"}
    assert "127.0.0.2" in names(Settings(flower_host="127.0.0.2"))
    assert "ops.example" in names(Settings(flower_names=("ops.example",), flower_password=PASSWORD))
    assert "evil.example" not in names(Settings(flower_password=PASSWORD))
    assert names(Settings(flower_host="0.0.0.0", flower_password=PASSWORD)) is None
    assert "127.0.0.1" in names(Settings(flower_host="0.0.0.0", flower_names=("ops.example",)))
    for wrong in ("https://ops.example", "OPS.example", "ops.example:5555", "a b"):
        with pytest.raises(ConfigError, match=r"CTO_FLOWER_NAMES.*not a host name"):
            Settings.from_env({"CTO_FLOWER_NAMES": wrong})

"""The check that a system has started, while another system answers at its gateway's address."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from support.local_server import Handler, LocalServer

from api.cli.rest_client import RestClient
from api.cli.system.demo import is_ready
from api.cli.system.up import READY_EVERY_S, Readiness
from cto_worker.observability.process_heartbeat import ProcessHeartbeat


class Ready(Handler):
    """Answers as the gateway of another system does."""

    def respond(self):
        self.answer(200, b'{"success": true, "data": {}}')


@pytest.fixture
def occupied(store, settings):
    """Settings of a gateway at whose address another system answers, with an empty store."""
    with closing(LocalServer(Ready)) as server:
        yield replace(settings, port=server.port)


def start(store, kind):
    ProcessHeartbeat(store, kind, CollectorRegistry(), dict).send()


def reached(readiness):
    """Let the time pass until the check looks again."""
    threading.Event().wait(READY_EVERY_S)
    return readiness.reached()


def test_an_answer_of_another_system_is_not_taken_for_the_demos(store, occupied):
    gateway = RestClient(occupied.base_url)
    assert not is_ready(store, gateway)
    start(store, "gateway")
    assert is_ready(store, gateway)


def test_a_system_is_ready_after_its_own_processes_have_started(store, occupied):
    readiness = Readiness(occupied, {"worker": 1, "gateway": 1}, flower=False)
    assert not reached(readiness)
    start(store, "worker")
    assert not reached(readiness)
    start(store, "gateway")
    assert reached(readiness)


def test_processes_of_an_earlier_run_do_not_count(store, occupied):
    for kind in ("worker", "gateway"):
        start(store, kind)
    readiness = Readiness(occupied, {"worker": 1, "gateway": 1}, flower=False)
    assert not any(reached(readiness) for _ in range(2))

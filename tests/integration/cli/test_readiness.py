"""The check that a system has started, while another system answers at its gateway's address."""

from __future__ import annotations

import http.server
import threading
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from api.cli.rest_client import RestClient
from api.cli.system.demo import is_ready
from api.cli.system.up import READY_EVERY_S, Readiness
from cto_worker.observability.process_heartbeat import ProcessHeartbeat


class Ready(http.server.BaseHTTPRequestHandler):
    """Answers as the gateway of another system does."""

    def do_GET(self):
        body = b'{"success": true, "data": {}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def occupied(store, settings):
    """Settings of a gateway at whose address another system answers, with an empty store."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield replace(settings, port=server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


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

"""The rate limit: exact for concurrent requests, and while the store that counts is unreachable."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from support.tokens import AUDIENCE, SECRET, token
from support.waiting import wait_until

from api.rest.concurrency_limit import MAX_RUNNING_PER_CALLER
from cto_worker.config import Settings
from cto_worker.store.store_connection import connect

LIMIT, REQUESTS = 12, 200
BEARER = {"Authorization": f"Bearer {token('7')}"}


@pytest.fixture
def guarded(detached):
    """A gateway that requires tokens, and its store."""
    return detached(jwt_secret=SECRET, jwt_audience=AUDIENCE, rate_limit=f"{LIMIT}/hour")[:2]


def test_while_the_store_is_unreachable_every_request_is_refused(guarded, body):
    app, server = guarded
    rest = app.test_client()
    assert rest.post("/api/cto/jobs", json=body, headers=BEARER).status_code == 202
    server.stop()
    answers = [rest.post("/api/cto/jobs", json=body, headers=BEARER) for _ in range(LIMIT + 1)]
    answers += [rest.get("/api/cto/jobs") for _ in range(2)]
    assert {answer.get_json()["error"]["code"] for answer in answers} == {"store_unavailable"}
    server.start()
    wait_until(lambda: rest.get("/api/cto/jobs", headers=BEARER).status_code == 200)
    jobs = rest.get("/api/cto/jobs", headers=BEARER).get_json()["data"]["jobs"]
    assert len(jobs) == 1, "the first job is kept, and no other was created"


def test_while_the_store_is_unreachable_the_gateway_counts_pages_itself(guarded):
    app, server = guarded
    rest = app.test_client()
    server.stop()
    statuses = [rest.get("/openapi.json").status_code for _ in range(LIMIT + 1)]
    assert statuses == [200] * LIMIT + [429]
    assert rest.get("/healthz").status_code == 200


def test_exactly_the_limit_of_concurrent_requests_passes(guarded):
    app, _ = guarded
    for headers, passed in ((BEARER, 200), ({}, 401)):
        answers = send_concurrently(app, REQUESTS, headers)
        assert Counter(answer.status_code for answer in answers) == {passed: LIMIT, 429: REQUESTS - LIMIT}
        for answer in answers:
            assert (int(answer.headers.get("Retry-After", 0)) > 0) == (answer.status_code == 429)
            assert answer.headers["X-RateLimit-Limit"] == str(LIMIT)


def send_concurrently(app, count, headers):
    """Send ``count`` requests at the same time; return their responses."""
    barrier, answers = threading.Barrier(count), []

    def send():
        barrier.wait()
        answers.append(app.test_client().get("/api/cto/jobs", headers=headers))

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_refused_caller_causes_few_store_commands(guarded):
    app, server = guarded
    rest = app.test_client()
    for _ in range(LIMIT):
        assert rest.get("/api/cto/jobs", headers=BEARER).status_code == 200
    with connect(Settings(data_dir=server.data_dir.parent)) as store:
        before = store.info("commandstats")["cmdstat_evalsha"]["calls"]
        statuses = [rest.get("/api/cto/jobs", headers=BEARER).status_code for _ in range(20)]
        commands = store.info("commandstats")["cmdstat_evalsha"]["calls"] - before
    assert statuses == [429] * 20
    assert commands < 20, "one or two per second"


def test_addresses_of_one_ipv6_network_are_counted_together(guarded):
    app, _ = guarded

    def left(address):
        answer = app.test_client().get("/api/cto/jobs", environ_base={"REMOTE_ADDR": address})
        return int(answer.headers["X-RateLimit-Remaining"])

    assert [left(f"2001:db8::{host}") for host in (1, 2, 3)] == [LIMIT - 1, LIMIT - 2, LIMIT - 3]
    assert left("2001:db8:0:1::1") == LIMIT - 1
    assert [left("10.0.0.1"), left("::ffff:10.0.0.1")] == [LIMIT - 1, LIMIT - 2]


def test_a_client_that_sends_its_body_slowly_occupies_no_slot(guarded):
    app, _ = guarded
    slow = [SlowBody() for _ in range(MAX_RUNNING_PER_CALLER + 1)]
    threads = [threading.Thread(target=post, args=[app, body]) for body in slow]
    for thread in threads:
        thread.start()
    for body in slow:
        assert body.read_started.wait(30)
    assert app.test_client().get("/api/cto/jobs", headers=BEARER).status_code == 200
    for body in slow:
        body.available.set()
    for thread in threads:
        thread.join()


class SlowBody:
    """A request's body that cannot be read before ``available`` is set."""

    def __init__(self):
        self.read_started, self.available = threading.Event(), threading.Event()

    def read(self, _=-1):
        self.read_started.set()
        self.available.wait(30)
        return b""


def post(app, stream):
    overrides = {"wsgi.input": stream, "CONTENT_LENGTH": "7", "CONTENT_TYPE": "application/json"}
    app.test_client().post("/api/cto/jobs", headers=BEARER, environ_overrides=overrides)

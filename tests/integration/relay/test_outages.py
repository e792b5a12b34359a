"""The relay on a real store that is lost for a while."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.proxy import Proxy
from support.relays import Interrupted, event, kill_pubsub, resumed, running_relay, start, start_and_end
from support.waiting import assert_stays, wait_until

from api.relay.join_queue import BATCH_SIZE
from api.relay.relay import HEARTBEAT_INTERVAL_S, LISTEN_TIMEOUT_S, Relay
from cto_worker.domain.journal_ports import Entry
from cto_worker.domain.progress_event import Status
from cto_worker.store import keys
from cto_worker.store.journal_queries import JournalQueries


@pytest.fixture
def link(tmp_path, settings):
    """A proxy in front of the store, and a store client that uses it and does not retry."""
    proxy = Proxy(tmp_path / "p.sock", settings.socket_path)
    url = f"unix://{tmp_path}/p.sock"
    with Redis.from_url(url, socket_timeout=0.5, retry=Retry(NoBackoff(), 0)) as client:
        yield proxy, client
    proxy.close()


@pytest.fixture
def proxied(link):
    """The proxy, and a relay that uses it."""
    proxy, client = link
    with running_relay(client) as relay:
        yield proxy, relay


def test_events_that_pub_sub_lost_are_read_from_the_journal(relay, journal, store, inbox):
    relay.join(inbox("socket"), "user_7")
    start(journal)
    inbox.has("socket", [("j1", 1)])
    kill_pubsub(store)
    for seq in range(2, 20):
        journal.append(Entry(event(seq)))
    start(journal, "accepted-meanwhile")
    wait_until(lambda: len(inbox.received["socket"]) == 20)
    journal.append(Entry(event(20)))
    wait_until(lambda: len(inbox.received["socket"]) == 21)
    assert [seq for job, seq in inbox.received["socket"] if job == "j1"] == list(range(1, 21))


def test_a_store_lost_between_two_batches_of_joins_loses_no_request_and_no_event(
    link, journal, inbox, caplog
):
    start(journal)
    proxy, client = link
    names = [f"socket-{number}" for number in range(3 * BATCH_SIZE - 50)]
    answers = {name: [] for name in names[1::2]}
    # Queried once at the start and for each batch, of which the second fails.
    relay = Relay(client, Interrupted(client, "latest_serial", 3, proxy.black_hole.set))

    all_ready = threading.Barrier(len(names) + 1)

    def join_or_resume(name):
        all_ready.wait()
        if name in answers:
            relay.resume(inbox(name), "j1", 0, answers[name].append)
        else:
            relay.join(inbox(name), "user_7")

    with ThreadPoolExecutor(len(names)) as pool:
        requests = [pool.submit(join_or_resume, name) for name in names]
        all_ready.wait()
        loop = threading.Thread(target=relay.run)
        loop.start()
        wait_until(lambda: "lost the store" in caplog.text)
        proxy.black_hole.clear()
        for request in requests:
            request.result()
    journal.append(Entry(event(2)))
    for name in names:
        inbox.has(name, [("j1", 2)] if name in answers else [("j1", 1), ("j1", 2)])
    for answer in answers.values():
        assert [[event.seq for event in events] for events in answer] == [[1]]
    relay.stop()
    loop.join()


def test_a_gap_is_reported_to_subscribers_that_lack_the_expired_events(proxied, journal, store, inbox):
    proxy, relay = proxied
    start(journal)
    for name in ("behind", "current"):
        relay.join(inbox(name), "user_7")
    resumed(relay, inbox("current"), 8)
    with proxy.broken():
        for seq in range(2, 9):
            journal.append(Entry(event(seq)))
        store.xtrim(keys.events("j1"), minid="6-0", approximate=False)
    inbox.has("behind", [("j1", seq) for seq in (1, 6, 7, 8)])
    journal.append(Entry(event(9)))
    inbox.has("behind", [("j1", seq) for seq in (1, 6, 7, 8, 9)])
    inbox.has("current", [("j1", 1), ("j1", 9)])
    assert inbox.gaps == {"behind": [("j1", 6)]}


def test_seconds_since_heartbeat_grow_only_while_the_link_is_dead(proxied):
    proxy, relay = proxied
    assert_stays(lambda: relay.seconds_since_heartbeat < HEARTBEAT_INTERVAL_S + LISTEN_TIMEOUT_S + 1, 5)
    proxy.black_hole.set()
    wait_until(lambda: relay.seconds_since_heartbeat > HEARTBEAT_INTERVAL_S + LISTEN_TIMEOUT_S + 1)
    proxy.black_hole.clear()
    proxy.cut()
    wait_until(lambda: relay.seconds_since_heartbeat < 1)


def test_a_job_that_ended_while_the_store_was_lost_is_sent_to_its_end(relay, journal, store, inbox):
    relay.join(inbox("socket"), "user_7")
    start(journal)
    inbox.has("socket", [("j1", 1)])
    kill_pubsub(store)
    journal.append(Entry(event(2)))
    journal.append(Entry(event(3, status=Status.COMPLETED, progress=100)))
    inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


def test_jobs_that_started_and_ended_while_the_store_was_lost_are_sent(proxied, journal, inbox, monkeypatch):
    monkeypatch.setattr("api.relay.room_delivery.JOB_BATCH_SIZE", 2)
    proxy, relay = proxied
    for room in ("user_7", "user_9", "user_8", "admin_launches"):
        relay.join(inbox(room), room)
    start_and_end(journal, "before")
    inbox.has("user_7", [("before", 1), ("before", 2)])
    jobs = [f"j{number}" for number in range(5)]
    with proxy.broken():
        for job_id in jobs:
            start_and_end(journal, job_id, socket_user_id="9")
    start(journal, "after")
    events = [(job_id, seq) for job_id in jobs for seq in (1, 2)]
    inbox.has("user_7", [("before", 1), ("before", 2), *events, ("after", 1)])
    inbox.has("admin_launches", [("before", 1), ("before", 2), *events, ("after", 1)])
    inbox.has("user_9", events)
    assert "user_8" not in inbox.received


def test_a_subscriber_that_joins_after_the_end_of_a_job_is_not_sent_the_job(store, journal, inbox):
    def break_the_link():
        kill_pubsub(store)
        start_and_end(journal, "j1")

    # Queried once at the start, and then for each of the two joins.
    with running_relay(store, Interrupted(store, "latest_serial", 3, break_the_link)) as relay:
        relay.join(inbox("before"), "user_7")
        relay.join(inbox("after"), "user_7")
        start(journal, "j2")
        inbox.has("before", [("j1", 1), ("j1", 2), ("j2", 1)])
        inbox.has("after", [("j2", 1)])


def test_interrupted_catching_up_continues_where_it_stopped(link, journal, inbox, monkeypatch):
    monkeypatch.setattr("api.relay.relay.JOB_BATCH_SIZE", 2)
    proxy, client = link
    jobs = [f"j{number}" for number in range(9)]
    # Queried once at the start. Of the five pages after the outage the third fails.
    history = Interrupted(client, "jobs_accepted_after", 4, proxy.black_hole.set)
    with running_relay(client, history) as relay:
        relay.join(inbox("socket"), "user_7")
        with proxy.broken():
            for job_id in jobs:
                start_and_end(journal, job_id)
        wait_until(lambda: history.count < 0)
        assert inbox.received["socket"] == [(job_id, seq) for job_id in jobs[:4] for seq in (1, 2)]
        proxy.black_hole.clear()
        inbox.has("socket", [(job_id, seq) for job_id in jobs for seq in (1, 2)])


def test_an_end_is_remembered_until_a_heartbeat_shows_that_it_cannot_be_replayed(
    relay, journal, store, inbox, monkeypatch
):
    monkeypatch.setattr("api.relay.relay.HEARTBEAT_INTERVAL_S", 1_000)
    monkeypatch.setattr("api.relay.room_delivery.REMEMBERED_ENDS", 2)
    relay.join(inbox("socket"), "user_7")
    jobs = [f"j{number}" for number in range(10)]
    for job_id in jobs:
        start_and_end(journal, job_id)
    events = [(job_id, seq) for job_id in jobs for seq in (1, 2)]
    inbox.has("socket", events)
    kill_pubsub(store)
    start_and_end(journal, "next")
    inbox.has("socket", [*events, ("next", 1), ("next", 2)])


def test_on_store_lost_is_called_before_the_relay_reconnects(store):
    lost = []
    relay = Relay(store, JournalQueries(store), on_store_lost=lambda: lost.append(True))
    loop = threading.Thread(target=relay.run)
    loop.start()
    wait_until(lambda: store.client_list(_type="pubsub"))
    assert not lost
    kill_pubsub(store)
    wait_until(lambda: lost)
    relay.stop()
    loop.join()


def test_a_silently_dead_link_is_noticed_and_replaced(proxied, journal, inbox, monkeypatch, caplog):
    """Bytes are accepted and never delivered, as by a firewall that has dropped the connection's state."""
    monkeypatch.setattr("api.relay.relay.HEARTBEAT_INTERVAL_S", 0.1)
    monkeypatch.setattr("api.relay.relay.SILENCE_TIMEOUT_S", 0.5)
    proxy, relay = proxied
    relay.join(inbox("socket"), "user_7")
    start(journal)
    inbox.has("socket", [("j1", 1)])
    proxy.black_hole.set()
    journal.append(Entry(event(2)))
    wait_until(lambda: "lost the store" in caplog.text)
    proxy.black_hole.clear()
    inbox.has("socket", [("j1", 1), ("j1", 2)])
    journal.append(Entry(event(3)))
    inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])

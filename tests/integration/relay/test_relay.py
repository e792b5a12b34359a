"""The relay on a real store: order, no repeats, snapshots, gaps, and invalid messages."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from msgspec.structs import replace
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.proxy import Proxy
from support.samples import FIRST_EVENT as FIRST
from support.waiting import assert_stays, wait_until

from api.errors import RelayUnavailableError, TooManyRoomsError
from api.relay.join_queue import BATCH_SIZE
from api.relay.relay import HEARTBEAT_INTERVAL_S, LISTEN_TIMEOUT_S, Relay
from api.relay.subscriber import Subscriber
from cto_worker.config import Settings
from cto_worker.domain.journal import Entry
from cto_worker.domain.progress_event import Status, encode
from cto_worker.errors import EventsGoneError, JobNotFoundError
from cto_worker.store import keys
from cto_worker.store.journal import RedisJournal
from cto_worker.store.journal_queries import JournalQueries


def event(seq, job_id="j1", **changes):
    status = Status.STARTED if seq == 1 else Status.IN_PROGRESS
    return replace(
        FIRST, **{"job_id": job_id, "seq": seq, "attempt": int(seq > 1), "status": status, **changes}
    )


class Recorder(Subscriber):
    """A subscriber that passes everything on at once."""

    def __init__(self, put_event, put_gap):
        super().__init__()
        self.put_event, self.put_gap = put_event, put_gap


class Inbox:
    """Subscribers by name, and the events that each was sent, as (job, seq)."""

    def __init__(self):
        self.received = {}
        self.gaps = {}
        self._subscribers = {}
        self._changed = threading.Condition()

    def __call__(self, name):
        return self._subscribers.setdefault(
            name,
            Recorder(
                lambda event: self.put(name, event), lambda *gap: self.gaps.setdefault(name, []).append(gap)
            ),
        )

    def put(self, name, event):
        with self._changed:
            self.received.setdefault(name, []).append((event.job_id, event.seq))
            self._changed.notify_all()

    def has(self, name, expected, timeout_s=5):
        with self._changed:
            arrived = self._changed.wait_for(lambda: expected[-1] in self.received.get(name, []), timeout_s)
        assert arrived, f"{name} got {self.received.get(name)}"
        assert self.received[name] == expected


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def journal(store):
    return RedisJournal(store, Settings())


@contextmanager
def running_relay(store, history=None, **limits):
    relay = Relay(store, history or JournalQueries(store), **limits)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        yield relay
    finally:
        relay.stop()
        thread.join()


@pytest.fixture
def relay(store):
    with running_relay(store) as relay:
        yield relay


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


class Interrupted(JournalQueries):
    """Calls ``act`` right before the query ``name`` runs for the nth time."""

    def __init__(self, store, name, count, act):
        super().__init__(store)
        self.name, self.count, self.act = name, count, act

    def latest_serial(self):
        self.interrupt("latest_serial")
        return super().latest_serial()

    def jobs_accepted_after(self, serial, limit):
        self.interrupt("jobs_accepted_after")
        return super().jobs_accepted_after(serial, limit)

    def interrupt(self, name):
        self.count -= name == self.name
        if self.count == 0:
            self.count = -1
            self.act()


def kill_pubsub(store):
    for client in store.client_list(_type="pubsub"):
        store.client_kill_filter(_id=client["id"])


def start(journal, job_id="j1", **changes):
    journal.create(event(1, job_id, **changes), {})
    journal.claim(job_id, "me")


def start_and_end(journal, job_id, **changes):
    start(journal, job_id, **changes)
    journal.append(Entry(event(2, job_id, status=Status.COMPLETED, progress=100, **changes)))


def test_a_member_gets_every_event_of_its_room_in_order(relay, journal, inbox):
    relay.join(inbox("socket"), "user_7")
    start(journal)
    for seq in range(2, 200):
        journal.append(Entry(event(seq)))
    inbox.has("socket", [("j1", seq) for seq in range(1, 200)])


def test_a_socket_in_every_room_of_a_job_gets_each_event_once(relay, journal, inbox):
    start(journal, socket_user_id="9")
    for room in ("user_7", "user_9", "job_j1", "admin_launches"):
        relay.join(inbox("socket"), room)
    for seq in range(2, 50):
        journal.append(Entry(event(seq, socket_user_id="9")))
    inbox.has("socket", [("j1", seq) for seq in range(1, 50)])


def test_a_socket_that_joins_room_after_room_gets_each_event_once(relay, journal, inbox):
    start(journal, socket_user_id="9")
    seq = 1
    for room in ("user_7", "user_9", "job_j1", "admin_launches"):
        relay.join(inbox("socket"), room)
        for _ in range(10):
            seq += 1
            journal.append(Entry(event(seq, socket_user_id="9")))
        inbox.has("socket", [("j1", number) for number in range(1, seq + 1)])


def test_joining_sends_the_latest_event_of_unfinished_jobs_only(relay, journal, inbox):
    start(journal)
    journal.append(Entry(event(2)))
    start(journal, "j2")
    start(journal, "ended")
    journal.append(Entry(event(2, "ended", status=Status.COMPLETED, progress=100)))
    start(journal, "others", user_id="8")
    relay.join(inbox("socket"), "user_7")
    assert inbox.received == {"socket": [("j1", 2), ("j2", 1)]}


def test_members_of_other_rooms_get_no_event(relay, journal, inbox):
    relay.join(inbox("mine"), "user_7")
    relay.join(inbox("other"), "user_8")
    start(journal)
    inbox.has("mine", [("j1", 1)])
    assert "other" not in inbox.received


def test_a_subscriber_that_has_left_gets_no_further_event(relay, journal, inbox):
    start(journal)
    relay.join(inbox("stays"), "user_7")
    relay.join(inbox("leaves"), "user_7")
    relay.leave(inbox("leaves"), "user_7")
    journal.append(Entry(event(2)))
    inbox.has("stays", [("j1", 1), ("j1", 2)])
    assert inbox.received["leaves"] == [("j1", 1)]


def test_channels_of_rooms_without_members_are_unsubscribed(relay, store, inbox):
    relay.join(inbox("socket"), "user_7")
    assert store.pubsub_channels("cto:room:*") == [b"cto:room:user_7"]
    relay.remove(inbox("socket"))
    wait_until(lambda: store.pubsub_channels("cto:room:*") == [])


def test_the_channel_of_a_room_without_a_successful_join_is_unsubscribed(relay, store, inbox):
    relay.remove(inbox("gone"))
    relay.join(inbox("gone"), "user_7")
    wait_until(lambda: store.pubsub_channels("cto:room:*") == [])
    with pytest.raises(JobNotFoundError):
        resumed(relay, inbox("socket"), 0, "nothing")
    wait_until(lambda: store.pubsub_channels("cto:room:*") == [])


def test_a_job_watched_while_it_grows_has_no_hole_and_no_repeat(relay, journal, inbox):
    """Sockets join at any time during a job. Each gets a snapshot and then every later event."""
    start(journal)
    sockets = [f"socket-{number}" for number in range(40)]

    def write():
        for seq in range(2, 400):
            journal.append(Entry(event(seq)))

    writer = threading.Thread(target=write)
    writer.start()
    for socket in sockets:
        relay.join(inbox(socket), "user_7")
    writer.join()
    journal.append(Entry(event(400, status=Status.COMPLETED, progress=100)))
    for socket in sockets:
        wait_until(lambda socket=socket: ("j1", 400) in inbox.received.get(socket, []))
        seqs = [seq for _, seq in inbox.received[socket]]
        assert seqs == list(range(seqs[0], 401))


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


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"\xff\xfe", b"null", b'{"jobId":"j1"}', b"NaN", b"[" * 50_000, b"x" * 1_000_000]
)
def test_an_invalid_message_is_logged_and_skipped(relay, journal, store, inbox, caplog, payload):
    relay.join(inbox("socket"), "user_7")
    store.publish(keys.CHANNEL_PREFIX + "user_7", payload)
    start(journal)
    inbox.has("socket", [("j1", 1)])
    assert "not an event" in caplog.text


def test_a_stale_or_repeated_message_is_dropped(relay, journal, store, inbox):
    relay.join(inbox("socket"), "user_7")
    start(journal)
    journal.append(Entry(event(2)))
    for seq in (1, 2, 1):
        store.publish(keys.CHANNEL_PREFIX + "user_7", encode(event(seq)))
    journal.append(Entry(event(3)))
    inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


def test_a_repeated_terminal_event_is_dropped(relay, journal, store, inbox):
    relay.join(inbox("socket"), "user_7")
    start(journal)
    end = event(2, status=Status.FAILED, progress=100)
    journal.append(Entry(end))
    store.publish(keys.CHANNEL_PREFIX + "user_7", encode(end))
    start(journal, "next")
    inbox.has("socket", [("j1", 1), ("j1", 2), ("next", 1)])


def test_joining_without_a_running_relay_is_refused(store, inbox, monkeypatch):
    monkeypatch.setattr("api.relay.join_queue.JOIN_TIMEOUT_S", 0.05)
    relay = Relay(store, JournalQueries(store))
    with pytest.raises(RelayUnavailableError):
        relay.join(inbox("socket"), "user_7")
    assert inbox.received == {}


def test_an_invalid_journal_entry_stops_neither_catching_up_nor_later_events(
    relay, journal, store, inbox, caplog
):
    relay.join(inbox("socket"), "user_7")
    start(journal)
    start(journal, "j2")
    inbox.has("socket", [("j1", 1), ("j2", 1)])
    store.xadd(keys.events("j1"), {"event": b"{"}, id="2-0")
    store.hset(keys.job("j1"), mapping={"seq": 2})
    kill_pubsub(store)  # the relay reconnects and catches up, beyond the invalid entry
    wait_until(lambda: "not an event" in caplog.text)
    journal.append(Entry(event(3)))
    journal.append(Entry(event(2, "j2")))
    wait_until(lambda: len(inbox.received["socket"]) == 4)
    assert set(inbox.received["socket"][2:]) == {("j1", 3), ("j2", 2)}
    assert "unexpected error in the relay" not in caplog.text


def test_a_job_with_an_invalid_latest_entry_does_not_prevent_a_join(relay, journal, store, inbox):
    start(journal)
    store.xadd(keys.events("j1"), {"event": b"{"}, id="2-0")
    start(journal, "j2")
    relay.join(inbox("socket"), "user_7")
    assert inbox.received == {"socket": [("j2", 1)]}


def test_the_relay_continues_after_an_unexpected_error(store, journal, caplog):
    class Broken(Inbox):
        """Sending fails once with an unexpected error."""

        def put(self, name, event):
            if event.seq == 2 and "unexpected error in the relay" not in caplog.text:
                raise KeyError("unexpected")
            super().put(name, event)

    inbox = Broken()
    with running_relay(store) as relay:
        relay.join(inbox("socket"), "user_7")
        start(journal)
        journal.append(Entry(event(2)))
        wait_until(lambda: "unexpected error in the relay" in caplog.text)
        journal.append(Entry(event(3)))
        inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


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


# Resuming


def resumed(relay, subscriber, after, job_id="j1"):
    """Return the seqs in the answer to a resume."""
    answer = []
    relay.resume(subscriber, job_id, after, answer.extend)
    return [event.seq for event in answer]


def test_resuming_sends_the_missed_events_and_then_every_later_one(relay, journal, inbox):
    start(journal)
    for seq in range(2, 30):
        journal.append(Entry(event(seq)))
    assert resumed(relay, inbox("socket"), 10) == list(range(11, 30))
    journal.append(Entry(event(30)))
    journal.append(Entry(event(31)))
    inbox.has("socket", [("j1", 30), ("j1", 31)])


def test_resuming_while_the_job_grows_has_no_hole_and_no_repeat(relay, journal, inbox):
    start(journal)

    def write():
        for seq in range(2, 300):
            journal.append(Entry(event(seq)))

    writer = threading.Thread(target=write)
    writer.start()
    sockets = [f"socket-{number}" for number in range(40)]
    for socket in sockets:
        subscriber = inbox(socket)
        relay.resume(
            subscriber,
            "j1",
            1,
            lambda events, subscriber=subscriber: [subscriber.put_event(event) for event in events],
        )
    writer.join()
    journal.append(Entry(event(300, status=Status.COMPLETED, progress=100)))
    for socket in sockets:
        wait_until(lambda socket=socket: ("j1", 300) in inbox.received.get(socket, []))
        assert [seq for _, seq in inbox.received[socket]] == list(range(2, 301))


def test_a_member_that_resumes_gets_no_live_event_twice(relay, journal, inbox):
    start(journal)
    relay.join(inbox("socket"), "user_7")
    journal.append(Entry(event(2)))
    inbox.has("socket", [("j1", 1), ("j1", 2)])
    assert resumed(relay, inbox("socket"), 0) == [1, 2]
    journal.append(Entry(event(3)))
    inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


def test_expired_events_are_reported_as_a_gap(relay, journal, store, inbox):
    start(journal)
    for seq in range(2, 10):
        journal.append(Entry(event(seq)))
    store.xtrim(keys.events("j1"), minid="6-0", approximate=False)
    with pytest.raises(EventsGoneError) as gap:
        resumed(relay, inbox("socket"), 3)
    assert gap.value.oldest_seq == 6
    assert resumed(relay, inbox("socket"), 5) == [6, 7, 8, 9]


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


def test_an_unknown_job_cannot_be_resumed(relay, inbox):
    with pytest.raises(JobNotFoundError):
        resumed(relay, inbox("socket"), 0, "nothing")


def test_a_subscriber_that_joins_again_gets_the_missed_events(relay, journal, inbox):
    start(journal)
    relay.join(inbox("socket"), "user_7")
    relay.leave(inbox("socket"), "user_7")
    journal.append(Entry(event(2)))
    journal.append(Entry(event(3)))
    relay.join(inbox("socket"), "user_7")
    inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


def test_seconds_since_heartbeat_grow_only_while_the_link_is_dead(proxied):
    proxy, relay = proxied
    assert_stays(lambda: relay.seconds_since_heartbeat < HEARTBEAT_INTERVAL_S + LISTEN_TIMEOUT_S + 1, 5)
    proxy.black_hole.set()
    wait_until(lambda: relay.seconds_since_heartbeat > HEARTBEAT_INTERVAL_S + LISTEN_TIMEOUT_S + 1)
    proxy.black_hole.clear()
    proxy.cut()
    wait_until(lambda: relay.seconds_since_heartbeat < 1)


def test_a_subscriber_that_has_left_is_not_caught_up(relay, journal, store, inbox):
    start(journal)
    start(journal, "j2", user_id="8")
    relay.join(inbox("socket"), "user_7")
    relay.join(inbox("socket"), "user_8")
    relay.leave(inbox("socket"), "user_7")
    kill_pubsub(store)
    journal.append(Entry(event(2)))
    journal.append(Entry(event(2, "j2", user_id="8")))
    inbox.has("socket", [("j1", 1), ("j2", 1), ("j2", 2)])


class CountedReads(JournalQueries):
    """Counts how often each job's events are read."""

    def __init__(self, store):
        super().__init__(store)
        self.reads = Counter()

    def events_of_jobs(self, jobs):
        self.reads.update(job_id for job_id, _ in jobs)
        return super().events_of_jobs(jobs)


def test_jobs_that_were_left_are_not_read_after_an_outage(store, journal, inbox):
    history = CountedReads(store)
    left = [f"left-{number}" for number in range(20)]
    with running_relay(store, history) as relay:
        relay.join(inbox("socket"), "user_7")
        start(journal)
        for job_id in left:
            start(journal, job_id, user_id="8")
            relay.join(inbox("socket"), f"job_{job_id}")
            relay.leave(inbox("socket"), f"job_{job_id}")
            journal.append(Entry(event(2, job_id, user_id="8")))
        kill_pubsub(store)
        journal.append(Entry(event(2)))
        wait_until(lambda: ("j1", 2) in inbox.received["socket"])
        wait_until(lambda: history.reads["j1"])
        assert history.reads.keys() == {"j1"}
        seen = len(inbox.received["socket"])
        for job_id in left:
            relay.join(inbox("socket"), f"job_{job_id}")
        assert inbox.received["socket"][seen:] == [(job_id, 2) for job_id in left], (
            "nothing is lost or repeated"
        )


def test_the_cursors_of_jobs_that_were_left_are_limited(relay, journal, inbox, monkeypatch):
    monkeypatch.setattr("api.relay.ordered_delivery.REMEMBERED_LEFT", 3)
    subscriber = inbox("socket")
    relay.join(subscriber, "user_7")
    start(journal)
    for number in range(20):
        start(journal, f"left-{number}", user_id="8")
        relay.join(subscriber, f"job_left-{number}")
        relay.leave(subscriber, f"job_left-{number}")
    inbox.has("socket", [("j1", 1), *((f"left-{number}", 1) for number in range(20))])
    assert set(subscriber.cursors) == {"j1", "left-17", "left-18", "left-19"}


@pytest.mark.parametrize("room", ["user_7", "job_j1"])
def test_a_job_is_followed_again_after_its_room_was_left_and_joined(relay, journal, store, inbox, room):
    start(journal)
    relay.join(inbox("socket"), room)
    relay.leave(inbox("socket"), room)
    relay.join(inbox("socket"), room)
    kill_pubsub(store)
    journal.append(Entry(event(2, status=Status.COMPLETED, progress=100)))
    inbox.has("socket", [("j1", 1), ("j1", 2)])


@pytest.mark.parametrize("resumes", [False, True], ids=["joined", "resumed"])
@pytest.mark.parametrize("room", ["user_7", "user_9", "admin_launches"])
def test_a_job_whose_room_was_left_is_followed_in_another_room(relay, journal, store, inbox, room, resumes):
    start(journal, socket_user_id="9")
    if resumes:
        assert resumed(relay, inbox("socket"), 1) == []
    else:
        relay.join(inbox("socket"), "job_j1")
    relay.join(inbox("socket"), room)
    relay.leave(inbox("socket"), "job_j1")
    kill_pubsub(store)
    journal.append(Entry(event(2, socket_user_id="9")))
    journal.append(Entry(event(3, socket_user_id="9", status=Status.COMPLETED, progress=100)))
    inbox.has("socket", [("j1", seq) for seq in ((2, 3) if resumes else (1, 2, 3))])
    assert not inbox("socket").followed
    assert not inbox("socket").left


def test_a_job_that_ended_while_the_store_was_lost_is_sent_to_its_end(relay, journal, store, inbox):
    relay.join(inbox("socket"), "user_7")
    start(journal)
    inbox.has("socket", [("j1", 1)])
    kill_pubsub(store)
    journal.append(Entry(event(2)))
    journal.append(Entry(event(3, status=Status.COMPLETED, progress=100)))
    inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


def test_jobs_that_started_and_ended_while_the_store_was_lost_are_sent(proxied, journal, inbox, monkeypatch):
    monkeypatch.setattr("api.relay.ordered_delivery.JOB_BATCH_SIZE", 2)
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
    monkeypatch.setattr("api.relay.ordered_delivery.REMEMBERED_ENDS", 2)
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


def test_a_job_room_is_left_with_the_last_event(relay, journal, inbox):
    rooms = inbox("socket").rooms
    for number in range(50):
        start(journal, f"j{number}")
        relay.join(inbox("socket"), f"job_j{number}")
    assert len(rooms) == 50
    relay.join(inbox("user"), "user_7")
    for number in range(50):
        journal.append(Entry(event(2, f"j{number}", status=Status.COMPLETED, progress=100)))
    wait_until(lambda: len(inbox.received["socket"]) == 100)
    wait_until(lambda: not rooms)
    assert set(inbox("user").rooms) == {"user_7"}
    assert all(resumed(relay, inbox("socket"), 0, f"j{number}") == [1, 2] for number in range(50))
    assert not rooms


def test_a_job_room_is_left_with_the_last_event_of_a_resume_too(relay, journal, inbox):
    start(journal)
    assert resumed(relay, inbox("socket"), 1) == []
    assert set(inbox("socket").rooms) == {"job_j1"}
    journal.append(Entry(event(2, status=Status.COMPLETED, progress=100)))
    wait_until(lambda: not inbox("socket").rooms)
    assert resumed(relay, inbox("other"), 1) == [2]
    assert not inbox("other").rooms


def test_the_room_of_an_ended_job_gets_no_members(relay, journal, inbox):
    start_and_end(journal, "j1")
    relay.join(inbox("joins"), "job_j1", ended=True)
    answers = []
    relay.resume(inbox("resumes"), "j1", 2, answers.append, ended=True)
    assert answers == [[]]
    assert not inbox("joins").rooms
    assert not inbox("resumes").rooms
    assert inbox.received == {}


def test_the_rooms_of_a_subscriber_are_limited(store, journal, inbox):
    with running_relay(store, max_rooms=2) as relay:
        for job_id in ("j1", "j2"):
            start(journal, job_id)
        subscriber = inbox("socket")
        relay.join(subscriber, "user_7")
        relay.join(subscriber, "job_j1")
        with pytest.raises(TooManyRoomsError, match="2 rooms"):
            relay.join(subscriber, "job_j2")
        with pytest.raises(TooManyRoomsError, match="2 rooms"):
            resumed(relay, subscriber, 0, "j2")
        relay.join(subscriber, "user_7")
        assert resumed(relay, subscriber, 0, "j1") == [1]
        journal.append(Entry(event(2, status=Status.COMPLETED, progress=100)))
        wait_until(lambda: set(subscriber.rooms) == {"user_7"})
        assert resumed(relay, subscriber, 0, "j2") == [1]
        relay.resume(subscriber, "j1", 0, lambda _: None, ended=True)
        assert set(subscriber.rooms) == {"user_7", "job_j2"}

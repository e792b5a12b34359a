"""The relay on a real store: order, once each, snapshots, gaps, and what not an event."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from faults.proxy import Proxy
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.samples import FIRST_EVENT as FIRST
from support.waiting import assert_stays, wait_until

from api.errors import RelayUnavailableError, TooManyRoomsError
from api.relay.join_queue import ADMITTED_AT_ONCE
from api.relay.relay import BEAT_S, LISTEN_TIMEOUT_S, Relay
from api.relay.subscriber import Subscriber
from cto_worker.config import Settings
from cto_worker.domain.events import Status, encode
from cto_worker.errors import EventsGoneError, JobNotFoundError
from cto_worker.store import keys
from cto_worker.store.history import History
from cto_worker.store.journal import RedisJournal


def event(seq, job_id="j1", **changes):
    status = Status.STARTED if seq == 1 else Status.IN_PROGRESS
    return replace(
        FIRST, **{"job_id": job_id, "seq": seq, "attempt": int(seq > 1), "status": status, **changes}
    )


class Inbox:
    """Readers by name, and what each was sent, as (job, seq)."""

    def __init__(self):
        self.received = {}
        self.gaps = {}
        self._readers = {}
        self._changed = threading.Condition()

    def __call__(self, name):
        return self._readers.setdefault(
            name,
            Subscriber(
                lambda frame: self.put(name, frame), lambda *gap: self.gaps.setdefault(name, []).append(gap)
            ),
        )

    def put(self, name, frame):
        with self._changed:
            self.received.setdefault(name, []).append((frame.job_id, frame.seq))
            self._changed.notify_all()

    def has(self, sid, expected, timeout_s=5):
        with self._changed:
            arrived = self._changed.wait_for(lambda: expected[-1] in self.received.get(sid, []), timeout_s)
        assert arrived, f"{sid} got {self.received.get(sid)}"
        assert self.received[sid] == expected


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def journal(store):
    return RedisJournal(store, Settings())


@contextmanager
def running_relay(store, history=None, **limits):
    relay = Relay(store, history or History(store), **limits)
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
    """A proxy before the store, and a client of the store behind it that tries everything once."""
    proxy = Proxy(tmp_path / "p.sock", settings.socket_path)
    url = f"unix://{tmp_path}/p.sock"
    with Redis.from_url(url, socket_timeout=0.5, retry=Retry(NoBackoff(), 0)) as client:
        yield proxy, client
    proxy.close()


@pytest.fixture
def proxied(link):
    """The proxy, and a relay behind it."""
    proxy, client = link
    with running_relay(client) as relay:
        yield proxy, relay


class Interrupted(History):
    """Lets something happen right before the journal is asked a certain thing for the nth time."""

    def __init__(self, store, asked, count, happens):
        super().__init__(store)
        self.asked, self.count, self.happens = asked, count, happens

    def latest_serial(self):
        self.interrupt("latest_serial")
        return super().latest_serial()

    def jobs_accepted_after(self, serial, limit):
        self.interrupt("jobs_accepted_after")
        return super().jobs_accepted_after(serial, limit)

    def interrupt(self, asked):
        self.count -= asked == self.asked
        if self.count == 0:
            self.count = -1
            self.happens()


def kill_pubsub(store):
    for client in store.client_list(_type="pubsub"):
        store.client_kill_filter(_id=client["id"])


def begin(journal, job_id="j1", **changes):
    journal.create(event(1, job_id, **changes), {})
    journal.claim(job_id, "me")


def begin_and_end(journal, job_id, **changes):
    begin(journal, job_id, **changes)
    journal.append(event(2, job_id, status=Status.COMPLETED, progress=100, **changes), {})


def test_a_member_gets_every_event_of_its_room_in_order(relay, journal, inbox):
    relay.join(inbox("socket"), "user_7")
    begin(journal)
    for seq in range(2, 200):
        journal.append(event(seq))
    inbox.has("socket", [("j1", seq) for seq in range(1, 200)])


def test_a_socket_in_every_room_of_a_job_gets_each_event_once(relay, journal, inbox):
    begin(journal, socket_user_id="9")
    for room in ("user_7", "user_9", "job_j1", "admin_launches"):
        relay.join(inbox("socket"), room)
    for seq in range(2, 50):
        journal.append(event(seq, socket_user_id="9"))
    inbox.has("socket", [("j1", seq) for seq in range(1, 50)])


def test_a_socket_that_joins_room_after_room_gets_each_event_once(relay, journal, inbox):
    begin(journal, socket_user_id="9")
    seq = 1
    for room in ("user_7", "user_9", "job_j1", "admin_launches"):
        relay.join(inbox("socket"), room)
        for _ in range(10):
            seq += 1
            journal.append(event(seq, socket_user_id="9"))
        inbox.has("socket", [("j1", number) for number in range(1, seq + 1)])


def test_joining_shows_the_latest_event_of_open_jobs_only(relay, journal, inbox):
    begin(journal)
    journal.append(event(2))
    begin(journal, "j2")
    begin(journal, "ended")
    journal.append(event(2, "ended", status=Status.COMPLETED, progress=100), {})
    begin(journal, "others", user_id="8")
    relay.join(inbox("socket"), "user_7")
    assert inbox.received == {"socket": [("j1", 2), ("j2", 1)]}


def test_members_of_other_rooms_get_nothing(relay, journal, inbox):
    relay.join(inbox("mine"), "user_7")
    relay.join(inbox("other"), "user_8")
    begin(journal)
    inbox.has("mine", [("j1", 1)])
    assert "other" not in inbox.received


def test_who_has_left_gets_nothing_more(relay, journal, inbox):
    begin(journal)
    relay.join(inbox("stays"), "user_7")
    relay.join(inbox("leaves"), "user_7")
    relay.leave(inbox("leaves"), "user_7")
    journal.append(event(2))
    inbox.has("stays", [("j1", 1), ("j1", 2)])
    assert inbox.received["leaves"] == [("j1", 1)]


def test_channels_of_rooms_without_members_are_dropped(relay, store, inbox):
    relay.join(inbox("socket"), "user_7")
    assert store.pubsub_channels("cto:room:*") == [b"cto:room:user_7"]
    relay.forget(inbox("socket"))
    wait_until(lambda: store.pubsub_channels("cto:room:*") == [])


def test_the_channel_of_a_room_that_nobody_got_into_is_dropped(relay, store, inbox):
    relay.forget(inbox("gone"))
    relay.join(inbox("gone"), "user_7")
    wait_until(lambda: store.pubsub_channels("cto:room:*") == [])
    with pytest.raises(JobNotFoundError):
        resumed(relay, inbox("socket"), 0, "nothing")
    wait_until(lambda: store.pubsub_channels("cto:room:*") == [])


def test_a_job_watched_while_it_grows_has_no_hole_and_no_repeat(relay, journal, inbox):
    """Sockets join at every moment of a job; each gets its snapshot and then every later event."""
    begin(journal)
    sockets = [f"socket-{number}" for number in range(40)]

    def write():
        for seq in range(2, 400):
            journal.append(event(seq))

    writer = threading.Thread(target=write)
    writer.start()
    for socket in sockets:
        relay.join(inbox(socket), "user_7")
    writer.join()
    journal.append(event(400, status=Status.COMPLETED, progress=100), {})
    for socket in sockets:
        wait_until(lambda socket=socket: ("j1", 400) in inbox.received.get(socket, []))
        seqs = [seq for _, seq in inbox.received[socket]]
        assert seqs == list(range(seqs[0], 401))


def test_what_pub_sub_lost_is_read_from_the_journal(relay, journal, store, inbox):
    relay.join(inbox("socket"), "user_7")
    begin(journal)
    inbox.has("socket", [("j1", 1)])
    kill_pubsub(store)
    for seq in range(2, 20):
        journal.append(event(seq))
    begin(journal, "born-meanwhile")
    wait_until(lambda: len(inbox.received["socket"]) == 20)
    journal.append(event(20))
    wait_until(lambda: len(inbox.received["socket"]) == 21)
    assert [seq for job, seq in inbox.received["socket"] if job == "j1"] == list(range(1, 21))


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"\xff\xfe", b"null", b'{"jobId":"j1"}', b"NaN", b"[" * 50_000, b"x" * 1_000_000]
)
def test_a_message_that_is_no_event_is_logged_and_skipped(relay, journal, store, inbox, caplog, payload):
    relay.join(inbox("socket"), "user_7")
    store.publish(keys.CHANNEL_PREFIX + "user_7", payload)
    begin(journal)
    inbox.has("socket", [("j1", 1)])
    assert "not an event" in caplog.text


def test_a_stale_or_repeated_message_is_dropped(relay, journal, store, inbox):
    relay.join(inbox("socket"), "user_7")
    begin(journal)
    journal.append(event(2))
    for seq in (1, 2, 1):
        store.publish(keys.CHANNEL_PREFIX + "user_7", encode(event(seq)))
    journal.append(event(3))
    inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


def test_a_terminal_event_brought_again_is_dropped(relay, journal, store, inbox):
    relay.join(inbox("socket"), "user_7")
    begin(journal)
    end = event(2, status=Status.FAILED, progress=100)
    journal.append(end, {})
    store.publish(keys.CHANNEL_PREFIX + "user_7", encode(end))
    begin(journal, "next")
    inbox.has("socket", [("j1", 1), ("j1", 2), ("next", 1)])


def test_joining_without_a_running_relay_is_refused(store, inbox, monkeypatch):
    monkeypatch.setattr("api.relay.join_queue.JOIN_TIMEOUT_S", 0.05)
    relay = Relay(store, History(store))
    with pytest.raises(RelayUnavailableError):
        relay.join(inbox("socket"), "user_7")
    assert inbox.received == {}


def test_a_journal_entry_that_is_no_event_stops_neither_catching_up_nor_what_follows(
    relay, journal, store, inbox, caplog
):
    relay.join(inbox("socket"), "user_7")
    begin(journal)
    begin(journal, "j2")
    inbox.has("socket", [("j1", 1), ("j2", 1)])
    store.xadd(keys.events("j1"), {"event": b"{"}, id="2-0")
    store.hset(keys.job("j1"), mapping={"seq": 2})
    kill_pubsub(store)  # whoever reconnects catches up, through the bad entry
    wait_until(lambda: "not an event" in caplog.text)
    journal.append(event(3))
    journal.append(event(2, "j2"))
    wait_until(lambda: len(inbox.received["socket"]) == 4)
    assert set(inbox.received["socket"][2:]) == {("j1", 3), ("j2", 2)}
    assert "the relay broke" not in caplog.text


def test_a_job_whose_latest_entry_is_no_event_keeps_nobody_out_of_a_room(relay, journal, store, inbox):
    begin(journal)
    store.xadd(keys.events("j1"), {"event": b"{"}, id="2-0")
    begin(journal, "j2")
    relay.join(inbox("socket"), "user_7")
    assert inbox.received == {"socket": [("j2", 1)]}


def test_whatever_breaks_the_relay_it_goes_on(store, journal, caplog):
    class Broken(Inbox):
        """Sending to sockets fails once, as nobody foresaw."""

        def put(self, name, frame):
            if frame.seq == 2 and "the relay broke" not in caplog.text:
                raise KeyError("nobody foresaw it")
            super().put(name, frame)

    inbox = Broken()
    with running_relay(store) as relay:
        relay.join(inbox("socket"), "user_7")
        begin(journal)
        journal.append(event(2))
        wait_until(lambda: "the relay broke" in caplog.text)
        journal.append(event(3))
        inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


def test_a_store_lost_between_two_batches_of_joiners_costs_nobody_anything(link, journal, inbox, caplog):
    begin(journal)
    proxy, client = link
    subscribers = [f"socket-{number}" for number in range(3 * ADMITTED_AT_ONCE - 50)]
    answers = {name: [] for name in subscribers[1::2]}
    # Asked once at the start and for each batch, of which the second fails.
    relay = Relay(client, Interrupted(client, "latest_serial", 3, proxy.black_hole.set))

    all_there = threading.Barrier(len(subscribers) + 1)

    def ask(name):
        all_there.wait()
        if name in answers:
            relay.resume(inbox(name), "j1", 0, answers[name].append)
        else:
            relay.join(inbox(name), "user_7")

    with ThreadPoolExecutor(len(subscribers)) as pool:
        asked = [pool.submit(ask, name) for name in subscribers]
        all_there.wait()
        loop = threading.Thread(target=relay.run)
        loop.start()
        wait_until(lambda: "lost the store" in caplog.text)
        proxy.black_hole.clear()
        for request in asked:
            request.result()
    journal.append(event(2))
    for name in subscribers:
        inbox.has(name, [("j1", 2)] if name in answers else [("j1", 1), ("j1", 2)])
    for told in answers.values():
        assert [[frame.seq for frame in frames] for frames in told] == [[1]]
    relay.stop()
    loop.join()


# Resuming


def resumed(relay, subscriber, after, job_id="j1"):
    """The seqs with which a resume is answered."""
    answered = []
    relay.resume(subscriber, job_id, after, answered.extend)
    return [frame.seq for frame in answered]


def test_resuming_brings_what_is_missing_and_then_every_later_event(relay, journal, inbox):
    begin(journal)
    for seq in range(2, 30):
        journal.append(event(seq))
    assert resumed(relay, inbox("socket"), 10) == list(range(11, 30))
    journal.append(event(30))
    journal.append(event(31))
    inbox.has("socket", [("j1", 30), ("j1", 31)])


def test_resuming_while_the_job_grows_has_no_hole_and_no_repeat(relay, journal, inbox):
    begin(journal)

    def write():
        for seq in range(2, 300):
            journal.append(event(seq))

    writer = threading.Thread(target=write)
    writer.start()
    sockets = [f"socket-{number}" for number in range(40)]
    for socket in sockets:
        subscriber = inbox(socket)
        relay.resume(
            subscriber,
            "j1",
            1,
            lambda frames, subscriber=subscriber: [subscriber.put(frame) for frame in frames],
        )
    writer.join()
    journal.append(event(300, status=Status.COMPLETED, progress=100), {})
    for socket in sockets:
        wait_until(lambda socket=socket: ("j1", 300) in inbox.received.get(socket, []))
        assert [seq for _, seq in inbox.received[socket]] == list(range(2, 301))


def test_who_is_in_a_room_of_the_job_and_resumes_gets_no_event_twice_live(relay, journal, inbox):
    begin(journal)
    relay.join(inbox("socket"), "user_7")
    journal.append(event(2))
    inbox.has("socket", [("j1", 1), ("j1", 2)])
    assert resumed(relay, inbox("socket"), 0) == [1, 2]
    journal.append(event(3))
    inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


def test_what_the_journal_no_longer_has_is_told_as_a_gap(relay, journal, store, inbox):
    begin(journal)
    for seq in range(2, 10):
        journal.append(event(seq))
    store.xtrim(keys.events("j1"), minid="6-0", approximate=False)
    with pytest.raises(EventsGoneError) as gap:
        resumed(relay, inbox("socket"), 3)
    assert gap.value.oldest_seq == 6
    assert resumed(relay, inbox("socket"), 5) == [6, 7, 8, 9]


def test_a_gap_is_told_to_those_who_follow_the_job_and_lack_what_is_gone(proxied, journal, store, inbox):
    proxy, relay = proxied
    begin(journal)
    for name in ("behind", "abreast"):
        relay.join(inbox(name), "user_7")
    resumed(relay, inbox("abreast"), 8)
    with proxy.broken():
        for seq in range(2, 9):
            journal.append(event(seq))
        store.xtrim(keys.events("j1"), minid="6-0", approximate=False)
    inbox.has("behind", [("j1", seq) for seq in (1, 6, 7, 8)])
    journal.append(event(9))
    inbox.has("behind", [("j1", seq) for seq in (1, 6, 7, 8, 9)])
    inbox.has("abreast", [("j1", 1), ("j1", 9)])
    assert inbox.gaps == {"behind": [("j1", 6)]}


def test_a_job_that_nobody_knows_cannot_be_resumed(relay, inbox):
    with pytest.raises(JobNotFoundError):
        resumed(relay, inbox("socket"), 0, "nothing")


def test_who_joins_again_is_shown_what_it_missed_meanwhile(relay, journal, inbox):
    begin(journal)
    relay.join(inbox("socket"), "user_7")
    relay.leave(inbox("socket"), "user_7")
    journal.append(event(2))
    journal.append(event(3))
    relay.join(inbox("socket"), "user_7")
    inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


def test_it_is_known_for_how_long_no_event_could_have_come(proxied):
    proxy, relay = proxied
    assert_stays(lambda: relay.seconds_since_heartbeat < BEAT_S + LISTEN_TIMEOUT_S + 1, 5)
    proxy.black_hole.set()
    wait_until(lambda: relay.seconds_since_heartbeat > BEAT_S + LISTEN_TIMEOUT_S + 1)
    proxy.black_hole.clear()
    proxy.cut()
    wait_until(lambda: relay.seconds_since_heartbeat < 1)


def test_who_has_left_is_not_caught_up_either(relay, journal, store, inbox):
    begin(journal)
    begin(journal, "j2", user_id="8")
    relay.join(inbox("socket"), "user_7")
    relay.join(inbox("socket"), "user_8")
    relay.leave(inbox("socket"), "user_7")
    kill_pubsub(store)
    journal.append(event(2))
    journal.append(event(2, "j2", user_id="8"))
    inbox.has("socket", [("j1", 1), ("j2", 1), ("j2", 2)])


def test_a_job_that_ended_while_the_store_was_lost_is_told_to_its_end(relay, journal, store, inbox):
    relay.join(inbox("socket"), "user_7")
    begin(journal)
    inbox.has("socket", [("j1", 1)])
    kill_pubsub(store)
    journal.append(event(2))
    journal.append(event(3, status=Status.COMPLETED, progress=100), {})
    inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


def test_jobs_that_began_and_ended_while_the_store_was_lost_are_told(proxied, journal, inbox, monkeypatch):
    monkeypatch.setattr("api.relay.membership.JOBS_AT_ONCE", 2)
    proxy, relay = proxied
    for room in ("user_7", "user_9", "user_8", "admin_launches"):
        relay.join(inbox(room), room)
    begin_and_end(journal, "before")
    inbox.has("user_7", [("before", 1), ("before", 2)])
    jobs = [f"j{number}" for number in range(5)]
    with proxy.broken():
        for job_id in jobs:
            begin_and_end(journal, job_id, socket_user_id="9")
    begin(journal, "after")
    told = [(job_id, seq) for job_id in jobs for seq in (1, 2)]
    inbox.has("user_7", [("before", 1), ("before", 2), *told, ("after", 1)])
    inbox.has("admin_launches", [("before", 1), ("before", 2), *told, ("after", 1)])
    inbox.has("user_9", told)
    assert "user_8" not in inbox.received


def test_who_joins_after_the_end_of_a_job_is_not_caught_up_with_it(store, journal, inbox):
    def break_the_link():
        kill_pubsub(store)
        begin_and_end(journal, "j1")

    # Asked once at the start, and then for each of the two.
    with running_relay(store, Interrupted(store, "latest_serial", 3, break_the_link)) as relay:
        relay.join(inbox("before"), "user_7")
        relay.join(inbox("after"), "user_7")
        begin(journal, "j2")
        inbox.has("before", [("j1", 1), ("j1", 2), ("j2", 1)])
        inbox.has("after", [("j2", 1)])


def test_catching_up_that_is_interrupted_goes_on_where_it_was(link, journal, inbox, monkeypatch):
    monkeypatch.setattr("api.relay.relay.JOBS_AT_ONCE", 2)
    proxy, client = link
    jobs = [f"j{number}" for number in range(9)]
    # Asked once at the start. Of the five pages after the break the third fails.
    history = Interrupted(client, "jobs_accepted_after", 4, proxy.black_hole.set)
    with running_relay(client, history) as relay:
        relay.join(inbox("socket"), "user_7")
        with proxy.broken():
            for job_id in jobs:
                begin_and_end(journal, job_id)
        wait_until(lambda: history.count < 0)
        assert inbox.received["socket"] == [(job_id, seq) for job_id in jobs[:4] for seq in (1, 2)]
        proxy.black_hole.clear()
        inbox.has("socket", [(job_id, seq) for job_id in jobs for seq in (1, 2)])


def test_an_end_is_remembered_until_a_heartbeat_tells_that_nobody_needs_it(
    relay, journal, store, inbox, monkeypatch
):
    monkeypatch.setattr("api.relay.relay.BEAT_S", 1_000)
    monkeypatch.setattr("api.relay.membership.REMEMBERED_ENDS", 2)
    relay.join(inbox("socket"), "user_7")
    jobs = [f"j{number}" for number in range(10)]
    for job_id in jobs:
        begin_and_end(journal, job_id)
    told = [(job_id, seq) for job_id in jobs for seq in (1, 2)]
    inbox.has("socket", told)
    kill_pubsub(store)
    begin_and_end(journal, "next")
    inbox.has("socket", [*told, ("next", 1), ("next", 2)])


def test_that_the_store_was_lost_is_told_before_it_is_looked_for_again(store):
    lost = []
    relay = Relay(store, History(store), lost=lambda: lost.append(True))
    loop = threading.Thread(target=relay.run)
    loop.start()
    wait_until(lambda: store.client_list(_type="pubsub"))
    assert not lost
    kill_pubsub(store)
    wait_until(lambda: lost)
    relay.stop()
    loop.join()


def test_a_link_that_has_died_in_silence_is_noticed_and_made_anew(
    proxied, journal, inbox, monkeypatch, caplog
):
    """Bytes are taken and never delivered, as by a firewall that has forgotten the connection."""
    monkeypatch.setattr("api.relay.relay.BEAT_S", 0.1)
    monkeypatch.setattr("api.relay.relay.SILENCE_S", 0.5)
    proxy, relay = proxied
    relay.join(inbox("socket"), "user_7")
    begin(journal)
    inbox.has("socket", [("j1", 1)])
    proxy.black_hole.set()
    journal.append(event(2))
    wait_until(lambda: "lost the store" in caplog.text)
    proxy.black_hole.clear()
    inbox.has("socket", [("j1", 1), ("j1", 2)])
    journal.append(event(3))
    inbox.has("socket", [("j1", 1), ("j1", 2), ("j1", 3)])


def test_a_job_is_left_with_its_last_event(relay, journal, inbox):
    rooms = inbox("socket").rooms
    for number in range(50):
        begin(journal, f"j{number}")
        relay.join(inbox("socket"), f"job_j{number}")
    assert len(rooms) == 50
    relay.join(inbox("user"), "user_7")
    for number in range(50):
        journal.append(event(2, f"j{number}", status=Status.COMPLETED, progress=100), {})
    wait_until(lambda: len(inbox.received["socket"]) == 100)
    wait_until(lambda: not rooms)
    assert set(inbox("user").rooms) == {"user_7"}
    assert all(resumed(relay, inbox("socket"), 0, f"j{number}") == [1, 2] for number in range(50))
    assert not rooms


def test_the_last_event_that_a_resume_brings_leaves_the_job_too(relay, journal, inbox):
    begin(journal)
    assert resumed(relay, inbox("socket"), 1) == []
    assert set(inbox("socket").rooms) == {"job_j1"}
    journal.append(event(2, status=Status.COMPLETED, progress=100), {})
    wait_until(lambda: not inbox("socket").rooms)
    assert resumed(relay, inbox("other"), 1) == [2]
    assert not inbox("other").rooms


def test_nobody_enters_the_room_of_a_job_that_has_ended(relay, journal, inbox):
    begin_and_end(journal, "j1")
    relay.join(inbox("joins"), "job_j1", ended=True)
    answered = []
    relay.resume(inbox("resumes"), "j1", 2, answered.append, ended=True)
    assert answered == [[]]
    assert not inbox("joins").rooms
    assert not inbox("resumes").rooms
    assert inbox.received == {}


def test_a_reader_may_be_in_so_many_rooms(store, journal, inbox):
    with running_relay(store, most_rooms=2) as relay:
        for job_id in ("j1", "j2"):
            begin(journal, job_id)
        subscriber = inbox("socket")
        relay.join(subscriber, "user_7")
        relay.join(subscriber, "job_j1")
        with pytest.raises(TooManyRoomsError, match="2 rooms"):
            relay.join(subscriber, "job_j2")
        with pytest.raises(TooManyRoomsError, match="2 rooms"):
            resumed(relay, subscriber, 0, "j2")
        relay.join(subscriber, "user_7")
        assert resumed(relay, subscriber, 0, "j1") == [1]
        journal.append(event(2, status=Status.COMPLETED, progress=100), {})
        wait_until(lambda: set(subscriber.rooms) == {"user_7"})
        assert resumed(relay, subscriber, 0, "j2") == [1]
        relay.resume(subscriber, "j1", 0, lambda _: None, ended=True)
        assert set(subscriber.rooms) == {"user_7", "job_j2"}

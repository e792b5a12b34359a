"""The relay on a real store: joining, order, no repeats, and invalid messages."""

from __future__ import annotations

import threading

import pytest
from support.relays import Inbox, event, kill_pubsub, resumed, running_relay, start
from support.waiting import wait_until

from api.errors import RelayUnavailableError
from api.relay.relay import Relay
from cto_worker.domain.journal_ports import Entry
from cto_worker.domain.progress_event import Status, encode
from cto_worker.errors import JobNotFoundError
from cto_worker.store import keys
from cto_worker.store.journal_queries import JournalQueries


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

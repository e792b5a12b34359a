"""The relay on a real store: resuming a job."""

from __future__ import annotations

import threading

import pytest
from support.relays import event, resumed, start
from support.waiting import wait_until

from cto_worker.domain.journal_ports import Entry
from cto_worker.domain.progress_event import Status
from cto_worker.errors import EventsGoneError, JobNotFoundError
from cto_worker.store import keys


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

"""The relay on a real store: rooms that are left, and rooms of jobs that have ended."""

from __future__ import annotations

from collections import Counter

import pytest
from support.relays import event, kill_pubsub, resumed, running_relay, start, start_and_end
from support.waiting import wait_until

from api.errors import TooManyRoomsError
from cto_worker.domain.journal_ports import Entry
from cto_worker.domain.progress_event import Status
from cto_worker.store.journal_queries import JournalQueries


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
    monkeypatch.setattr("api.relay.room_delivery.REMEMBERED_LEFT", 3)
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

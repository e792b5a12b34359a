"""Relays on the store of the test, their subscribers, and jobs to follow."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from msgspec.structs import replace

from api.relay.relay import Relay
from api.relay.subscriber import Subscriber
from cto_worker.domain.journal_ports import Entry
from cto_worker.domain.progress_event import Status
from cto_worker.store.journal_queries import JournalQueries
from support.samples import FIRST_EVENT as FIRST


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

    def has(self, name, expected, timeout_s=60):
        with self._changed:
            arrived = self._changed.wait_for(lambda: expected[-1] in self.received.get(name, []), timeout_s)
        assert arrived, f"{name} got {self.received.get(name)}"
        assert self.received[name] == expected


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


def resumed(relay, subscriber, after, job_id="j1"):
    """Return the seqs in the answer to a resume."""
    answer = []
    relay.resume(subscriber, job_id, after, answer.extend)
    return [event.seq for event in answer]

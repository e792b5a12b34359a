"""The bot backend's client, on a real store."""

from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace
from support.samples import MINT

from cto_worker.client import Client
from cto_worker.domain.journal_ports import Entry
from cto_worker.domain.progress_event import JobStatus, Status
from cto_worker.errors import (
    EventsGoneError,
    InvalidRequestError,
    JobEndedError,
    JobNotFoundError,
)
from cto_worker.store import keys

REQUEST = {
    "tokenAddress": MINT,
    "userId": "7",
    "userChatId": 42,
    "mode": "prefunded",
    "buyAmount": 0.5,
    "walletCount": 2,
}


@pytest.fixture
def client(settings):
    with Client(settings) as client:
        yield client


def append(journal, job_id, first, seqs, *, last=None):
    """Append events of a job to the journal, in the role of a worker."""
    for seq in seqs:
        ended = {"status": Status.COMPLETED, "phase": 5, "progress": 100} if seq == last else {}
        event = replace(first, job_id=job_id, seq=seq, attempt=1, status=Status.IN_PROGRESS, phase=4)
        journal.append(Entry(replace(event, **ended)))


def first_event(client, job_id):
    return next(client.follow([job_id]))


def test_a_job_is_submitted_once_for_a_key_and_its_events_are_followed_to_the_end(client, journal):
    job_id = client.submit(REQUEST, idempotency_key="one")
    assert client.submit(REQUEST, idempotency_key="one") == job_id
    assert client.status(job_id).status is JobStatus.WAITING
    first = first_event(client, job_id)
    journal.claim(job_id, "me")
    received = []
    follower = threading.Thread(
        target=lambda: received.extend(event.seq for event in client.follow([job_id]))
    )
    follower.start()
    append(journal, job_id, first, range(2, 31), last=30)
    follower.join(20)
    assert received == list(range(1, 31))
    assert [event.seq for event in client.follow([job_id], {job_id: 27})] == [28, 29, 30]
    assert list(client.follow([job_id], {job_id: 30})) == []


def test_several_jobs_are_followed_until_the_last_has_ended(client, journal):
    job_ids = [client.submit(REQUEST) for _ in range(3)]
    first = first_event(client, job_ids[0])
    for number, job_id in enumerate(job_ids):
        journal.claim(job_id, "me")
        append(journal, job_id, first, range(2, 6 + number), last=5 + number)
    received = {}
    for event in client.follow(job_ids, {job_ids[0]: 5}):
        received.setdefault(event.job_id, []).append(event.seq)
    assert received == {job_ids[1]: [1, 2, 3, 4, 5, 6], job_ids[2]: [1, 2, 3, 4, 5, 6, 7]}


def test_invalid_calls_raise(client, store):
    with pytest.raises(InvalidRequestError):
        client.submit({"userId": "7"})
    for call in (client.status, client.cancel, lambda job_id: next(client.follow([job_id]))):
        with pytest.raises(JobNotFoundError):
            call("unknown")
    job_id = client.submit(REQUEST)
    assert client.cancel(job_id) is JobStatus.FAILED
    with pytest.raises(JobEndedError):
        client.cancel(job_id)
    assert [event.status for event in client.follow([job_id])] == [Status.STARTED, Status.FAILED]
    store.xtrim(keys.events(job_id), minid="2-0", approximate=False)
    with pytest.raises(EventsGoneError) as gone:
        next(client.follow([job_id]))
    assert gone.value.oldest_seq == 2

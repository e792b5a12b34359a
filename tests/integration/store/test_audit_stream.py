"""The audit log in the store: numbers, hashes, the writes it belongs to, and concurrent processes."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import pytest
from msgspec.structs import replace
from support.samples import FIRST_EVENT

from cto_worker.domain.audit_entry import GENESIS, Actor, Change, link
from cto_worker.domain.journal_ports import Idempotency, Journal
from cto_worker.domain.progress_event import decode
from cto_worker.operation.cancel_job import cancel
from cto_worker.store import keys
from cto_worker.store.audit_stream import append, continue_from, head, newest_first, oldest, trim
from cto_worker.store.journal_queries import JournalQueries

ACTOR = Actor("7", "user", "192.0.2.7")
PROCESSES, EACH = 8, 100
APPEND = """
import sys
from redis import Redis
from cto_worker.domain.audit_entry import Change, local_actor
from cto_worker.store.audit_stream import append
with Redis.from_url(sys.argv[1]) as store:
    for number in range(int(sys.argv[2])):
        append(store, Change(actor=local_actor(), action="test", target=f"{sys.argv[3]}-{number}"), 0)
"""


def change(action="test", **fields):
    return Change(actor=ACTOR, action=action, **fields)


def entries(store):
    return list(newest_first(store))[::-1]


def assert_intact(chain):
    assert [entry.number for entry in chain] == list(range(1, len(chain) + 1))
    assert all(entry.intact for entry in chain)
    assert not chain or chain[0].previous == GENESIS
    assert all(after.previous == before.hash for before, after in pairwise(chain))


def test_entries_are_numbered_and_linked(store):
    texts = ["", 'é\u2028 \\ "', "x" * 5_000]
    for number, text in enumerate(texts, 1):
        assert append(store, change(target=text, before={"a": 1}, after=None), 0) == number
    chain = entries(store)
    assert_intact(chain)
    assert chain[1].hash == link(chain[0].hash, chain[1].content)
    assert [entry.fields["target"] for entry in chain] == [text or None for text in texts]
    fields = chain[0].fields
    assert (fields["actor"], fields["role"], fields["address"]) == ("7", "user", "192.0.2.7")
    assert (fields["before"], fields["after"]) == ({"a": 1}, None)
    assert head(store) == (3, chain[-1].hash)


def test_the_hashes_of_the_store_are_sha256(store):
    """The script's own SHA-256 agrees with the library's for many inputs."""
    for number in range(300):
        append(store, change(target=str(number)), 0)
    assert_intact(entries(store))


@pytest.mark.timeout(120)
def test_the_chain_of_concurrent_processes_is_intact(store, settings):
    command = [sys.executable, "-c", APPEND, settings.store_url, str(EACH)]
    processes = [subprocess.Popen([*command, str(number)]) for number in range(PROCESSES)]
    assert [process.wait(100) for process in processes] == [0] * PROCESSES
    chain = entries(store)
    assert len(chain) == PROCESSES * EACH
    assert_intact(chain)
    targets = [entry.fields["target"] for entry in chain]
    assert len(set(targets)) == len(targets)


def test_a_submission_is_entered_with_its_job_and_only_once(store, journal):
    key = Idempotency("user:7", "k", "f")
    entered = change("job.submit", job_id=FIRST_EVENT.job_id)
    for _ in range(2):
        journal.create(FIRST_EVENT, {"a": 1}, key, change=entered)
    (entry,) = entries(store)
    assert entry.fields["jobId"] == FIRST_EVENT.job_id


def test_an_entry_costs_a_submission_no_round_trip(store, journal):
    append(store, change(), 0)  # loads the scripts
    journal.create(FIRST_EVENT, {}, change=change("job.submit"))
    store.config_resetstat()
    journal.create(replace(FIRST_EVENT, job_id="j2"), {}, change=change("job.submit"))
    calls = {name: stats["calls"] for name, stats in store.info("commandstats").items()}
    assert (calls["cmdstat_evalsha"], calls["cmdstat_waitaof"]) == (1, 1)
    assert "cmdstat_eval" not in calls
    assert len(entries(store)) == 3


def test_a_cancellation_is_entered_once(store, journal):
    journal.create(FIRST_EVENT, {})
    journal.claim(FIRST_EVENT.job_id, "me")
    latest = decode(JournalQueries(store).latest(FIRST_EVENT.job_id).event)
    for _ in range(2):
        cancel(Journal.of(journal), FIRST_EVENT.job_id, latest, ACTOR)
    (entry,) = entries(store)
    fields = entry.fields
    assert (fields["action"], fields["jobId"]) == ("job.cancel", FIRST_EVENT.job_id)
    assert fields["before"] == {"status": "waiting", "cancelRequested": False}
    assert fields["after"] == {"cancelRequested": True}


def test_a_submission_changes_nothing_if_it_cannot_be_entered(store, journal):
    store.set(keys.AUDIT_HEAD, "not a hash")
    with pytest.raises(Exception, match="WRONGTYPE"):
        journal.create(FIRST_EVENT, {}, change=change("job.submit"))
    assert store.keys() == [keys.AUDIT_HEAD.encode()]


def test_the_chain_continues_after_its_entries_were_archived(store):
    for _ in range(3):
        append(store, change(), 0)
    before = entries(store)
    trim(store, 3)
    assert entries(store) == []
    assert append(store, change(), 0) == 4
    (entry,) = oldest(store)
    assert entry.previous == before[-1].hash
    assert [each.number for each in oldest(store, after=3)] == [4]


def test_the_chain_continues_without_its_head(store):
    append(store, change(), 0)
    store.delete(keys.AUDIT_HEAD)
    append(store, change(), 0)
    assert_intact(entries(store))


def test_a_store_that_lost_entries_continues_after_the_archived_ones(store):
    append(store, change(), 0)
    assert continue_from(store, 7, "a" * 64)
    assert append(store, change(), 0) == 8
    assert entries(store)[-1].previous == "a" * 64
    assert not continue_from(store, 7, "a" * 64), "the store has newer entries"
    assert head(store)[0] == 8


def test_many_entries_are_read_in_batches(store):
    rows = {"content": json.dumps({"at": 1}), "previous": "", "hash": ""}
    with store.pipeline() as pipeline:
        for number in range(1, 1_203):
            pipeline.xadd(keys.AUDIT, rows, id=f"{number}-0")
        pipeline.execute()
    assert [entry.number for entry in newest_first(store)] == list(range(1_202, 0, -1))

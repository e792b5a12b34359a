"""Parking all unfinished jobs after a restore."""

from __future__ import annotations

import json
import threading

import pytest
from kombu import Queue
from prometheus_client import CollectorRegistry
from support.waiting import wait_until

from cto_worker.domain.intent_codec import decode_log
from cto_worker.domain.journal_ports import Journal
from cto_worker.errors import WorkersRunningError
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import JobProducer, make_send
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.jobs.park_after_restore import REASON, park_all, park_all_in_time
from cto_worker.observability.process_heartbeat import ProcessHeartbeat
from cto_worker.store import keys
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.testing.in_memory_market import InMemoryMarket

JOB = "00000000-0000-4000-8000-00000000000"


class PowerCutError(BaseException):
    """Ends a run at any point."""


class Cut(InMemoryMarket):
    """A market that executes one order, and never answers."""

    def submit(self, orders):
        super().submit(orders)
        raise PowerCutError


@pytest.fixture
def celery(settings):
    with celery_app(settings) as app:
        yield app


@pytest.fixture
def park(store, journal, celery):
    return lambda: list(park_all(store, Journal.of(journal), celery))


@pytest.fixture
def send(celery):
    """Send the task by name without recording a job, as any Celery client may."""
    return lambda job_id, *args: celery.send_task(keys.TASK_NAME, args=args, task_id=job_id, queue=keys.QUEUE)


def last(store, job_id):
    return json.loads(JournalQueries(store).latest(job_id).event)


def test_a_waiting_job_is_ended_and_its_message_removed(store, journal, body, park):
    job_id = JobProducer(journal, lambda *_: None).submit(body).job_id
    assert park() == [job_id]
    event = last(store, job_id)
    assert (event["status"], event["details"]["errorCode"], event["details"]["error"]) == (
        "failed",
        "needs_review",
        REASON,
    )
    assert park() == []
    assert last(store, job_id) == event


def test_an_order_in_flight_is_unknown(store, journal, body, park):
    with pytest.raises(PowerCutError):
        JobRunner(Journal.of(journal), Cut()).run_job(f"{JOB}1", body | {"mode": "prefunded"})
    store.hset(keys.job(f"{JOB}1"), "lease", 0)
    assert park() == [f"{JOB}1"]
    log = decode_log({name.decode(): text for name, text in store.hgetall(keys.intents(f"{JOB}1")).items()})
    assert [record.status for record in log.records.values()] == ["unknown"]


def test_a_job_that_exists_only_as_a_message_is_recorded_and_ended(store, body, send, celery, park):
    send(f"{JOB}1", body)
    send(f"{JOB}2", body)
    send(f"{JOB}3", "no request", "at all")
    send("no id of ours", body)
    with celery.connection_for_read() as connection:
        # A worker has received this message, and lost power before it could do anything.
        taken = Queue(keys.QUEUE, channel=connection.default_channel).get()
        assert taken.headers["id"] == f"{JOB}1"
        assert store.hlen("unacked") == 1
        assert sorted(park()) == [f"{JOB}1", f"{JOB}2", f"{JOB}3"]
    assert not store.exists(keys.QUEUE, "unacked", "unacked_index")
    assert {last(store, f"{JOB}{n}")["details"]["errorCode"] for n in (1, 2, 3)} == {"needs_review"}
    assert last(store, f"{JOB}2")["userId"] == body["userId"]


def test_a_job_with_an_unexpired_lease_is_not_ended(store, journal, body, park):
    running, waiting = (JobProducer(journal, lambda *_: None).submit(body).job_id for _ in range(2))
    journal.claim(running, "a worker")
    with pytest.raises(WorkersRunningError, match=running):
        park()
    assert last(store, running)["status"] == "started"
    assert last(store, waiting)["status"] == "failed"


def test_jobs_that_an_earlier_attempt_ended_are_returned_too(store, journal, body, celery):
    running, waiting = (JobProducer(journal, lambda *_: None).submit(body).job_id for _ in range(2))
    journal.claim(running, "a worker")

    def run_out():
        wait_until(lambda: last(store, waiting)["status"] == "failed")
        store.hset(keys.job(running), "lease", 0)

    lease = threading.Thread(target=run_out)
    lease.start()
    assert set(park_all_in_time(store, Journal.of(journal), celery, 60)) == {running, waiting}
    lease.join()
    assert {JournalQueries(store).latest(job_id).user_id for job_id in (running, waiting)} == {"7"}


def test_the_message_of_an_expired_job_is_ignored(store, celery, body, park):
    make_send(celery)("gone", body, False)
    assert park() == []
    assert not store.exists(keys.job("gone"), keys.QUEUE)


def test_no_job_is_ended_while_a_worker_runs(store, journal, body, park):
    waiting = JobProducer(journal, lambda *_: None).submit(body).job_id
    ProcessHeartbeat(store, "worker", CollectorRegistry(), dict).send()
    with pytest.raises(WorkersRunningError, match="stop every worker"):
        park()
    assert last(store, waiting)["status"] == "started"

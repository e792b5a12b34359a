"""The metrics at ``GET /metrics``."""

from __future__ import annotations

import dataclasses
import json
import time
from uuid import uuid4

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import ConnectionError as StoreConnectionError
from support.samples import FIRST_EVENT
from support.waiting import wait_until

from api.errors import RoomError
from api.limits.fifo_semaphore import FifoSemaphore
from api.metric_definitions import HEARTBEAT_LATE
from api.relay.encoded_event import EncodedEvent
from api.relay.room_delivery import RoomDelivery
from api.relay.send_queue import MAX_BYTES, SendQueue, flush
from api.relay.subscriber import Subscriber
from api.rest import metrics_endpoint
from cto_worker.domain.audit_entry import GENESIS, Actor, Change
from cto_worker.domain.journal_ports import Entry, Journal
from cto_worker.domain.progress_event import Details, Status, encode
from cto_worker.errors import OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.observability.heartbeat_reader import (
    SILENCE_MS,
    read_system_counts,
    recent_processes,
    running_processes,
)
from cto_worker.observability.metered_journal import metered
from cto_worker.observability.metric_definitions import REGISTRY
from cto_worker.observability.process_heartbeat import FORGET_MS, ProcessHeartbeat
from cto_worker.store import keys
from cto_worker.store.audit_stream import append, trim
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.store.rdb_snapshot import snapshot
from cto_worker.store.store_connection import connect
from cto_worker.testing.in_memory_market import InMemoryMarket


@pytest.fixture
def scrape(app, rest, store):
    """Read the metrics: name, and label values in the order of the labels' names → value."""
    app.register_blueprint(
        metrics_endpoint.blueprint(lambda: read_system_counts(store), JournalQueries(store).backlog)
    )
    return lambda: read(rest)


def read(rest):
    answer = rest.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return {
        (sample.name.removeprefix("cto_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.fixture
def growth(store, scrape):
    """Return the increase of each metric while ``act`` ran."""
    sender = ProcessHeartbeat(store, "gateway", REGISTRY, dict)
    sender.send()

    def growth(act):
        before = scrape()
        act()
        sender.send()
        after = scrape()
        return {name: value - before.get(name, 0) for name, value in after.items()}

    return growth


def big_event(job_id, seq):
    details = Details(current_operation="x" * (MAX_BYTES // 10))
    event = replace(FIRST_EVENT, job_id=job_id, seq=seq, status=Status.IN_PROGRESS, details=details)
    return EncodedEvent(encode(event))


def test_a_metric_without_counts_is_zero(scrape):
    scraped = scrape()
    assert scraped["gateway_events_relayed_total",] == 0
    assert scraped["gateway_refused_total", "full"] == 0
    assert scraped["journal_step_seconds_bucket", "+Inf"] == scraped["journal_step_seconds_count",] == 0
    assert scraped["processes", "worker"] == scraped["processes", "gateway"] == 0


def test_counts_of_all_processes_are_summed_and_outlive_them(store, scrape):
    def process(kind, **gauges):
        registry = CollectorRegistry()
        jobs = Counter("cto_jobs_ended", "", ["mode", "status", "outcome", "error_code"], registry=registry)
        step = Histogram("cto_journal_step_seconds", "", buckets=(0.001, 0.1), registry=registry)
        return ProcessHeartbeat(store, kind, registry, lambda: gauges), jobs, step

    for number in (1, 2):
        sender, jobs, step = process("worker", operations=number, slots=20)
        for _ in range(number):
            jobs.labels("standard", "failed", "none", "cancelled").inc()
            step.observe(0.0005)
            step.observe(3)
            sender.send()
    gateway = process("gateway", socketio=7, **{HEARTBEAT_LATE: 3})[0]
    gateway.send()
    scraped = scrape()
    assert scraped["jobs_ended_total", "cancelled", "standard", "none", "failed"] == 3
    assert (
        scraped["journal_step_seconds_bucket", "0.001"] == scraped["journal_step_seconds_bucket", "0.1"] == 3
    )
    assert scraped["journal_step_seconds_count",] == 6
    assert scraped["journal_step_seconds_sum",] == pytest.approx(9.0015)
    name = sender._name
    assert [(key[1:], value) for key, value in scraped.items() if key[0] == "gateway_sockets"] == [
        (("socketio", name), 7)
    ]
    assert scraped["gateway_canary_late_seconds", name] == 3
    assert (scraped["worker_operations", name], scraped["worker_slots", name]) == (2, 20)
    silent = store.hgetall(keys.PROCESSES)

    def silent_for(ms):
        for process_id, words in silent.items():
            at_ms, rest_of_it = words.split(b" ", 1)
            store.hset(keys.PROCESSES, process_id, b"%d %s" % (int(at_ms) - ms, rest_of_it))

    silent_for(SILENCE_MS + 1_000)
    gone = scrape()
    assert gone["processes", "worker"] == gone["processes", "gateway"] == 0
    assert gone["jobs_ended_total", "cancelled", "standard", "none", "failed"] == 3
    gateway._number -= 1
    gateway.send()
    assert scrape()["processes", "gateway"] == 0, "a late repeated heartbeat is recognized"
    silent_for(FORGET_MS + 1_000)
    process("gateway")[0].send()
    assert store.hlen(keys.PROCESSES) == 1, "those that are gone are forgotten"


def test_a_killed_process_is_lost_and_an_ended_one_is_not(store, scrape):
    registry = CollectorRegistry()
    senders = {}
    for name in ("killed:1", "ended:1", "restarted:1"):
        senders[name] = ProcessHeartbeat(store, "worker", registry, lambda: {"operations": 0, "slots": 1})
        senders[name]._name = name
        senders[name].send()
    senders["ended:1"].end()
    scraped = scrape()
    assert (scraped["processes", "worker"], scraped["processes_lost", "worker"]) == (2, 0)
    assert running_processes(store, "worker") == ["killed:1", "restarted:1"]
    assert recent_processes(store, "worker") == ["ended:1", "killed:1", "restarted:1"], (
        "`cto park` waits for all"
    )
    assert running_processes(store, "gateway") == []
    for process_id, words in store.hgetall(keys.PROCESSES).items():
        at_ms, rest_of_it = words.split(b" ", 1)
        long_ago_ms = int(at_ms) - SILENCE_MS - 1_000
        store.hset(keys.PROCESSES, process_id, b"%d %s" % (long_ago_ms, rest_of_it))
    again = ProcessHeartbeat(store, "worker", registry, lambda: {"operations": 0, "slots": 1})
    again._name = "restarted:1"
    again.send()
    scraped = scrape()
    assert (scraped["processes", "worker"], scraped["processes_lost", "worker"]) == (1, 1), "killed:1"
    assert scraped["processes_lost", "gateway"] == 0


def test_the_time_of_the_last_snapshot_is_reported(store, scrape):
    before = scrape()["store_snapshot_seconds",]
    wait_until(lambda: time.time() >= before + 1)
    snapshot(store)
    assert scrape()["store_snapshot_seconds",] > before


def test_counts_that_could_not_be_sent_are_added_later_and_once(settings, store, tmp_path):
    near = dataclasses.replace(settings, data_dir=tmp_path)
    registry = CollectorRegistry()
    counter = Counter("cto_sweeps", "", registry=registry)
    sender = ProcessHeartbeat(connect(near, retry_timeouts=False), "worker", registry, dict)
    counter.inc(2)
    with pytest.raises(StoreConnectionError):
        sender.send()
    counter.inc(3)
    near.socket_path.symlink_to(settings.socket_path)
    sender.send()
    assert read_system_counts(store).counts["cto_sweeps_total", ()] == 5
    # The heartbeat had arrived, and only the answer was lost: the store recognizes it by its number.
    counter.inc(7)
    sender.send()
    repeated = {"id": sender._id, "number": sender._number, "content": '{"kind": "worker"}'}
    sender._write(['["cto_sweeps_total"]', 7], forget_ms=FORGET_MS, of_minute=0, **repeated)
    assert read_system_counts(store).counts["cto_sweeps_total", ()] == 12


def test_an_operation_is_counted_as_it_is_journalled(store, journal, growth, body):
    completed, failed = str(uuid4()), str(uuid4())
    market, history = InMemoryMarket(failing=("wallet-2:buy",)), JournalQueries(store)

    def run():
        runner = JobRunner(metered(Journal.of(journal)), market)
        runner.run_job(completed, body | {"walletCount": 3})
        with pytest.raises(OperationFailed):
            runner.run_job(failed, body | {"mode": "prefunded", "buyAmount": 5_000, "walletCount": 1})

    grown = growth(run)
    assert grown["jobs_ended_total", "", "standard", "partial", "completed"] == 1
    assert grown["jobs_ended_total", "insufficient_funds", "prefunded", "none", "failed"] == 1
    assert [grown["phase_seconds_count", "standard", str(phase)] for phase in (1, 2, 3, 4)] == [1] * 4
    assert grown["phase_seconds_count", "prefunded", "2"] == 1
    assert ("phase_seconds_count", "prefunded", "4") not in grown
    buys = [grown["intents_total", "buy", status] for status in ("intended", "confirmed", "failed")]
    assert buys == [3, 2, 1]
    assert grown["intents_total", "transfer", "confirmed"] == 3
    assert grown["spent_sol_total",] == pytest.approx(history.job_details(completed).result["totalSpent"])
    events = history.latest(completed).seq + history.latest(failed).seq
    assert grown["events_journalled_total",] == events
    assert grown["jobs_accepted_total",] == 2


def test_a_phase_that_another_run_started_is_not_timed(journal, growth):
    first = replace(FIRST_EVENT, job_id="j1", timestamp=1_000)
    journal.create(first, {})
    later = replace(first, attempt=1, status=Status.IN_PROGRESS)

    def run():
        one, other = metered(Journal.of(journal)), metered(Journal.of(journal))
        one.leases.claim("j1", "one")
        one.events.append(Entry(replace(later, seq=2, phase=2, timestamp=3_000)))
        journal.release("j1", 1)
        other.leases.claim("j1", "other")
        other.events.append(Entry(replace(later, seq=3, phase=2, attempt=2, timestamp=9_000)))
        other.events.append(Entry(replace(later, seq=4, phase=3, attempt=2, timestamp=9_500)))
        other.events.append(Entry(replace(later, seq=5, phase=4, attempt=2, timestamp=9_750)))

    grown = growth(run)
    assert grown["phase_seconds_count", "standard", "1"] == 1
    assert grown["phase_seconds_sum", "standard", "1"] == pytest.approx(2)
    assert not grown.get(("phase_seconds_count", "standard", "2"))
    assert grown["phase_seconds_sum", "standard", "3"] == pytest.approx(0.25)
    assert grown["takeovers_total",] == 1


def test_merged_events_and_disconnects_of_slow_subscribers_are_counted(growth):
    slow = SendQueue()

    def send(jobs):
        for seq, job_id in enumerate(jobs, 1):
            slow.put_event(big_event(job_id, seq))
        flush()

    spared = growth(lambda: send(["j1"] * 11))
    assert spared["gateway_events_merged_total",] == 8
    assert spared["gateway_clients_dropped_total",] == 0
    dropped = growth(lambda: send(f"j{number}" for number in range(2, 20)))
    assert dropped["gateway_clients_dropped_total",] == 1
    assert dropped["gateway_events_dropped_total",] > 1


def test_events_are_counted_once_per_subscriber(growth, store):
    delivery, frames = RoomDelivery(JournalQueries(store)), [big_event("j1", seq) for seq in range(1, 4)]
    subscribers = [Subscriber() for _ in range(5)]

    def send():
        for frame in frames:
            delivery.send(frame, subscribers)
            delivery.send(frame, subscribers)  # a repeated event is not sent again

    assert growth(send)["gateway_events_relayed_total",] == 15


def test_a_client_refused_for_lack_of_a_slot_is_counted(growth):
    slots = FifoSemaphore(0, timeout_s=0.01)

    def ask():
        with pytest.raises(RoomError), slots.slot():
            pass

    assert growth(ask)["gateway_refused_total", "busy"] == 1


def test_requests_are_timed_by_route_and_unknown_routes_share_one(growth, rest):
    def ask():
        for path in ("/api/cto/job/j1/status", "/api/cto/job/j2/status", "/nothing/1", "/nothing/2"):
            rest.get(path)
        rest.open("/", method="BREW")

    grown = growth(ask)
    status = ("GET", "/api/cto/job/<job_id>/status", "404")
    assert grown["gateway_request_seconds_count", *status] == 2
    assert grown["gateway_request_seconds_bucket", "10.0", *status] == 2
    unknown = {name[1:]: value for name, value in grown.items() if "unknown" in name and "count" in name[0]}
    assert unknown == {("any", "unknown", "404"): 2, ("any", "unknown", "405"): 1}


def test_internal_errors_are_counted(app, growth, rest):
    @app.get("/broken")
    def broken():
        raise ZeroDivisionError

    grown = growth(lambda: (rest.get("/broken"), rest.get("/healthz")))
    assert grown["gateway_broken_total",] == 1


def test_unfinished_work_of_the_whole_system_is_reported(scrape, journal):
    nothing = scrape()
    assert nothing["store_up",] == 1
    assert nothing["oldest_waiting_seconds",] == 0
    assert nothing["jobs", "waiting"] == nothing["jobs", "active"] == 0
    for number in range(3):
        now_ms = time.time_ns() // 1_000_000
        journal.create(replace(FIRST_EVENT, job_id=f"j{number}", timestamp=now_ms), {})
    journal.claim("j0", "me")
    journal.append(Entry(replace(FIRST_EVENT, job_id="j0", seq=2, attempt=1, status=Status.IN_PROGRESS)))
    scraped = scrape()
    assert (scraped["jobs", "waiting"], scraped["jobs", "active"]) == (2, 1)
    assert scraped["jobs_accepted_total",] == 3
    assert 0 < scraped["store_memory_bytes",] < scraped["store_memory_limit_bytes",]
    assert scraped["queue_messages", "cto"] == scraped["queue_messages", "cto.resumed"] == 0
    assert 0 < wait_until(lambda: scrape()["oldest_waiting_seconds",]) < 60


def test_audit_entries_that_wait_for_the_archive_are_counted(scrape, store):
    def waiting():
        metrics = scrape()
        return metrics["audit_backlog",], metrics["audit_oldest_seconds",]

    assert waiting() == (0, 0)
    ten_minutes_ago = json.dumps({"at": round(1_000 * (time.time() - 600))})
    store.xadd(keys.AUDIT, {"content": ten_minutes_ago, "previous": GENESIS, "hash": "ab" * 32}, id="1-0")
    append(store, Change(actor=Actor("7", "user", "192.0.2.7"), action="test"), 0)
    number, age_s = waiting()
    assert number == 2
    assert age_s > 590
    trim(store, archived=1)
    number, age_s = waiting()
    assert number == 1
    assert age_s < 590
    store.delete(keys.AUDIT)
    store.xadd(keys.AUDIT, {"content": "modified"}, id="2-0")
    assert waiting() == (1, 0)


def test_an_unreachable_store_is_the_only_thing_reported(app, rest):
    def away():
        raise StoreConnectionError

    app.register_blueprint(metrics_endpoint.blueprint(away, away))
    assert read(rest) == {("store_up",): 0, ("metrics_token_expiry_seconds",): float("inf")}

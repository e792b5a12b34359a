"""``GET /api/cto/system`` against processes, jobs and counts in a real store."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from api.metric_definitions import HEARTBEAT_LATE
from cto_worker.domain.market_port import MarketDescription, Money
from cto_worker.domain.operation_request import parse_request
from cto_worker.observability.last_hour_statistics import quantile, read_last_hour
from cto_worker.observability.metric_definitions import PHASE_BUCKETS_S
from cto_worker.observability.process_heartbeat import VERSION, ProcessHeartbeat
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import keys

LOCAL_CHAIN = MarketDescription("solana: local chain", Money.LOCAL_CHAIN)


@pytest.fixture
def system(rest):
    return lambda: rest.get("/api/cto/system").get_json()["data"]


class Counts:
    """A process that counts jobs, and sends heartbeats."""

    def __init__(self, store, kind="worker", market=None, **gauges):
        registry = CollectorRegistry()
        self.ended = Counter(
            "cto_jobs_ended", "", ["mode", "status", "outcome", "error_code"], registry=registry
        )
        labels = {"buckets": PHASE_BUCKETS_S, "registry": registry}
        self.phase = Histogram("cto_phase_seconds", "", ["mode", "phase"], **labels)
        self.job = Histogram("cto_job_seconds", "", ["mode"], **labels)
        self.sweeps = Counter("cto_sweeps", "", registry=registry)
        self.heartbeat = ProcessHeartbeat(store, kind, registry, lambda: gauges, market)


def test_workers_and_gateways_are_listed_with_their_state(store, system):
    Counts(store, market=LOCAL_CHAIN, operations=3, slots=20).heartbeat.send()
    Counts(store, "gateway", socketio=7, websocket=2, **{HEARTBEAT_LATE: 0.5}).heartbeat.send()
    found = system()
    (worker,), (gateway,) = found["workers"], found["gateways"]
    assert 0 <= worker.pop("heartbeatAgeMs") < 15_000
    assert worker == {
        "id": worker["id"],
        "operations": 3,
        "slots": 20,
        "version": VERSION,
        "market": "solana: local chain",
        "money": "local_chain",
    }
    assert gateway["connections"] == {"socketio": 7, "websocket": 2}
    assert gateway["relayDelayMs"] == 500
    assert found["lost"] == []
    assert found["version"] == VERSION


def test_money_is_called_play_money_only_if_all_running_workers_report_the_same(store, system, rest):
    def money():
        return rest.get("/api/cto/market").get_json()["data"]["money"]

    def worker(name, market):
        heartbeat = Counts(store, market=market).heartbeat
        heartbeat._name = name
        heartbeat.send()
        return heartbeat

    assert money() == "", "no worker runs"
    Counts(store, "gateway").heartbeat.send()
    local = worker("a", LOCAL_CHAIN), worker("b", LOCAL_CHAIN)
    assert money() == "local_chain"
    for other in (MarketDescription("solana: mainnet"), None):  # the latter of an earlier release
        heartbeat = worker("c", other)
        assert money() == "", other
        heartbeat.end()
        assert money() == "local_chain", "the other worker has shut down"
    local[0].end()
    worker("b", MarketDescription("solana: mainnet"))
    assert money() == "real", "the newest heartbeat of a name counts"


def test_a_worker_of_an_earlier_release_has_no_market(store, system):
    Counts(store).heartbeat.send()
    (worker,) = system()["workers"]
    assert (worker["market"], worker["money"]) == ("", "")


def test_the_backlog_names_the_oldest_waiting_job(system, journal, body, store):
    assert system()["oldestWaiting"] is None
    for job_id in ("first", "second"):
        event = accepted_event(job_id, parse_request(body))
        journal.create(event, {})
    store.rpush(keys.QUEUE, "a message")
    store.hincrby(keys.job("first"), "created", -60_000)
    found = system()
    assert found["oldestWaiting"]["jobId"] == "first"
    assert found["oldestWaiting"]["ageMs"] >= 60_000
    assert found["queues"] == {"cto": 1, "cto.resumed": 0}
    assert found["jobs"] == {"waiting": 2, "active": 0, "needsReview": 0, "unarchived": 0}


def test_the_last_hour_has_throughput_and_latency(store, system):
    counts = Counts(store)
    counts.heartbeat.send()
    for _ in range(90):
        counts.ended.labels("standard", "completed", "full", "").inc()
        counts.job.labels("standard").observe(0.08)
        counts.phase.labels("standard", 1).observe(0.02)
    for _ in range(10):
        counts.ended.labels("prefunded", "failed", "none", "all_buys_failed").inc()
        counts.job.labels("prefunded").observe(9)
    for outcome in ("partial", "partial", "unknown"):
        counts.ended.labels("standard", "completed", outcome, "").inc()
    counts.phase.labels("standard", 4).observe(100)  # not the wait for a worker
    counts.heartbeat.send()
    found = system()
    hour = found["lastHour"]
    assert (hour["completed"], hour["failed"]) == (93, 10)
    assert [hour[outcome] for outcome in ("full", "partial", "none", "unknown")] == [90, 2, 10, 1]
    assert 10 < hour["wait"]["p50Ms"] <= hour["wait"]["p99Ms"] <= 50
    assert 50 < hour["duration"]["p50Ms"] <= 100
    assert 5_000 < hour["duration"]["p95Ms"] <= 10_000
    assert len(found["minutes"]) == 60
    assert sum(minute["full"] for minute in found["minutes"]) == 90
    assert hour["since"] == found["minutes"][0]["since"]
    assert {after["since"] - before["since"] for before, after in pairwise(found["minutes"])} == {60_000}
    assert found["minutes"][0]["duration"] is None


def test_a_minute_is_kept_for_an_hour_and_has_few_counts(store):
    counts = Counts(store)
    counts.sweeps.inc()
    counts.ended.labels("standard", "completed", "full", "").inc()
    counts.phase.labels("standard", 4).observe(100)
    counts.heartbeat.send()
    (key,) = store.scan_iter(f"{keys.MINUTE_PREFIX}*")
    assert 3_600 < store.ttl(key) <= keys.MINUTE_TTL_S
    assert store.hgetall(key) == {
        b'["cto_jobs_ended_total", ["error_code", ""], ["mode", "standard"], ["outcome", "full"], '
        b'["status", "completed"]]': b"1"
    }
    assert len(store.hgetall(keys.COUNTS)) > 3, "the sums have all counts"


def test_a_repeated_heartbeat_counts_once(store):
    counts = Counts(store)
    counts.ended.labels("standard", "completed", "full", "").inc()
    counts.heartbeat.send()
    counts.heartbeat._stored = {}  # as if the first answer were lost
    counts.heartbeat._number -= 1
    counts.heartbeat.send()
    assert read_last_hour(store)[0].completed == 1


def test_minutes_before_the_hour_do_not_count(store):
    field = '["cto_jobs_ended_total", ["status", "completed"]]'
    now = int(time.time()) // 60
    for minute in (now, now - 30, now - 61):
        store.hset(f"{keys.MINUTE_PREFIX}{minute}", field, 1)
    assert read_last_hour(store)[0].completed == 2


def test_quantiles_are_interpolated():
    infinite = float("inf")
    assert quantile([(1, 10), (2, 20), (infinite, 20)], 0.5) == 1
    assert quantile([(1, 10), (2, 20), (infinite, 20)], 0.75) == 1.5
    assert quantile([(1, 0), (2, 4), (infinite, 4)], 0.5) == 1.5
    assert quantile([(1, 0), (2, 0), (infinite, 4)], 0.5) == 2, "the last bound that is known"

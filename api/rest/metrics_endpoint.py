"""``GET /metrics`` for operators: the metrics of the whole system, in the Prometheus text format.

The store has the counts of all processes (:mod:`cto_worker.observability.process_heartbeat`) and the backlog.
So every gateway returns the same metrics, and Prometheus scrapes only one of them.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from api.auth.authentication import caller
from api.auth.caller import Action
from api.errors import ForbiddenError
from api.metric_definitions import HEARTBEAT_LATE
from cto_worker.observability.metric_definitions import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cto_worker.observability.heartbeat_reader import Process, SystemCounts
    from cto_worker.store.backlog import Backlog

log = logging.getLogger(__name__)

PROCESS_KINDS = ("gateway", "worker")
_ORDER = ("_bucket", "_count", "_sum", "_total")


def blueprint(sums: Callable[[], SystemCounts], backlog: Callable[[], Backlog]) -> Blueprint:
    """Return the route."""
    routes = Blueprint("metrics", __name__)
    system = _System(sums, backlog)

    @routes.get("/metrics")
    def metrics() -> Response:
        if not caller().may(Action.WATCH_ALL):
            raise ForbiddenError("forbidden", "metrics need a token with the role admin or service")
        return Response(generate_latest(system), content_type=CONTENT_TYPE_LATEST)

    return routes


class _System(Collector):
    """All metrics; only two while the store is unreachable: ``cto_store_up`` and the token's expiry."""

    def __init__(self, sums: Callable[[], SystemCounts], backlog: Callable[[], Backlog]) -> None:
        self._sums, self._backlog = sums, backlog

    def collect(self) -> Iterator[Metric]:
        """Read the metrics from the store."""
        yield GaugeMetricFamily(
            "cto_metrics_token_expiry_seconds",
            "Expiry of the token in this request (Unix time).",
            caller().expires_s,
        )
        try:
            sums, backlog = self._sums(), self._backlog()
        except RedisError as error:
            log.warning("cannot read the metrics: the store is unreachable: %s", error)
            yield GaugeMetricFamily("cto_store_up", "Whether the store responds: 1 or 0.", 0)
            return
        yield GaugeMetricFamily("cto_store_up", "Whether the store responds: 1 or 0.", 1)
        yield from _backlog_metrics(backlog)
        yield from _process_metrics(sums.processes)
        yield _by_kind(
            "cto_processes_lost",
            "Processes that stopped in the last day without ending properly, and were not replaced.",
            sums.lost,
        )
        for family in REGISTRY.collect():
            yield _summed(family, sums)


def _backlog_metrics(backlog: Backlog) -> Iterator[Metric]:
    yield CounterMetricFamily("cto_jobs_accepted", "Accepted jobs.", backlog.accepted)
    jobs = GaugeMetricFamily("cto_jobs", "Jobs that are waiting, active, or need review.", labels=["status"])
    for status, number in backlog.jobs.items():
        jobs.add_metric([status], number)
    yield jobs
    messages = GaugeMetricFamily(
        "cto_queue_messages", "Messages that no worker has taken from the queue.", labels=["queue"]
    )
    for queue, number in backlog.messages.items():
        messages.add_metric([queue], number)
    yield messages
    yield GaugeMetricFamily(
        "cto_archive_backlog", "Ended jobs that are not in the archive yet.", backlog.unarchived
    )
    yield GaugeMetricFamily(
        "cto_archive_success_seconds", "Time when jobs were last archived (Unix time).", backlog.archived_s
    )
    yield GaugeMetricFamily(
        "cto_audit_backlog",
        "Entries of the audit log that are not in the archive yet.",
        backlog.audit_entries,
    )
    yield GaugeMetricFamily(
        "cto_audit_oldest_seconds", "Age of the oldest of these entries.", backlog.oldest_audit_entry_s
    )
    yield GaugeMetricFamily(
        "cto_oldest_waiting_seconds",
        "Waiting time of the oldest waiting job, in seconds.",
        backlog.oldest_waiting_s,
    )
    yield GaugeMetricFamily("cto_store_memory_bytes", "Memory used by the store.", backlog.memory_bytes)
    yield GaugeMetricFamily(
        "cto_store_memory_limit_bytes",
        "Memory limit of the store: its maxmemory, or the memory of its machine.",
        backlog.memory_limit_bytes,
    )
    yield GaugeMetricFamily(
        "cto_store_snapshot_seconds",
        "Time of the store's last snapshot, or of its start (Unix time).",
        backlog.snapshot_s,
    )


def _process_metrics(processes: list[Process]) -> Iterator[Metric]:
    yield _by_kind("cto_processes", "Running processes.", processes)
    sockets = GaugeMetricFamily(
        "cto_gateway_sockets", "Connected clients that receive events.", labels=["process", "door"]
    )
    late = GaugeMetricFamily(
        "cto_gateway_canary_late_seconds",
        "Seconds since the relay last received its heartbeat.",
        labels=["process"],
    )
    running = GaugeMetricFamily("cto_worker_operations", "Running operations.", labels=["process"])
    slots = GaugeMetricFamily(
        "cto_worker_slots", "Operations that may run at the same time.", labels=["process"]
    )
    for process in processes:
        if process.kind == "gateway":
            clients = dict(process.gauges)  # by transport
            late.add_metric([process.name], clients.pop(HEARTBEAT_LATE, 0.0))
            for transport, number in clients.items():
                sockets.add_metric([process.name, transport], number)
        elif process.kind == "worker":
            running.add_metric([process.name], process.gauges["operations"])
            slots.add_metric([process.name], process.gauges["slots"])
    yield from (sockets, late, running, slots)


def _by_kind(name: str, documentation: str, processes: list[Process]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=["kind"])
    counts = Counter(process.kind for process in processes)
    for kind in PROCESS_KINDS:
        family.add_metric([kind], counts[kind])
    return family


def _summed(family: Metric, sums: SystemCounts) -> Metric:
    """Return a metric with the sums over all processes; 0 for labels that no process has counted yet."""
    names = {family.name + ending for ending in _ORDER}
    counted = {(sample.name, tuple(sorted(sample.labels.items()))): 0.0 for sample in family.samples}
    counted |= {key: value for key, value in sums.counts.items() if key[0] in names}
    summed = Metric(family.name, family.documentation, family.type)
    for name, labels in sorted(counted, key=_sort_key):
        summed.add_sample(name, dict(labels), counted[name, labels])
    return summed


def _sort_key(key: tuple[str, Iterable[tuple[str, str]]]) -> tuple[list[tuple[str, str]], str, float]:
    """Sort by labels; a histogram's buckets come first, in ascending order."""
    name, labels = key
    bounds = [float(value) for label, value in labels if label == "le"]
    return [pair for pair in labels if pair[0] != "le"], name, bounds[0] if bounds else 0.0

"""``GET /metrics``, for operators: what the whole system has counted and what waits in it, for Prometheus.

All of it stands in the store: what processes have counted (:mod:`cto_worker.observability.heartbeat`), and
what waits. So every
gateway tells the same, and one of them is asked for all.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from api.auth.authentication import caller
from api.auth.policy import Action
from api.errors import ForbiddenError
from api.metrics import CANARY_LATE
from cto_worker.observability.metrics import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cto_worker.observability.heartbeat import Process, SystemCounts
    from cto_worker.store.history import Backlog

log = logging.getLogger(__name__)

KINDS = ("gateway", "worker")  # of processes
_ORDER = ("_bucket", "_count", "_sum", "_total")


def blueprint(sums: Callable[[], SystemCounts], backlog: Callable[[], Backlog]) -> Blueprint:
    """Return the route."""
    routes = Blueprint("metrics", __name__)
    registry = CollectorRegistry()
    registry.register(_System(sums, backlog))

    @routes.get("/metrics")
    def metrics() -> Response:
        if not caller().may(Action.WATCH_ALL):
            raise ForbiddenError("forbidden", "metrics are for operators")
        told = generate_latest(registry) + generate_latest(_Token(caller().expires_s))
        return Response(told, content_type=CONTENT_TYPE_LATEST)

    return routes


class _Token(Collector):
    """When the token expires that Prometheus shows; told without a store, too."""

    def __init__(self, expires_s: float) -> None:
        self._expires_s = expires_s

    def collect(self) -> Iterator[Metric]:
        """Tell it, in seconds since the Unix epoch."""
        yield GaugeMetricFamily(
            "cto_metrics_token_expiry_seconds",
            "When the token shown here expires (Unix time).",
            self._expires_s,
        )


class _System(Collector):
    """All metrics. While the store is out of reach, only that."""

    def __init__(self, sums: Callable[[], SystemCounts], backlog: Callable[[], Backlog]) -> None:
        self._sums, self._backlog = sums, backlog

    def describe(self) -> Iterator[Metric]:
        """Name nothing, so that nothing is asked before there is somebody who wants to know."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Ask the store, as prometheus_client asks."""
        try:
            sums, backlog = self._sums(), self._backlog()
        except RedisError as error:
            log.warning("cannot tell what was counted: %s", error)
            yield GaugeMetricFamily("cto_store_up", "Whether the store answers.", 0)
            return
        yield GaugeMetricFamily("cto_store_up", "Whether the store answers.", 1)
        yield from _waiting(backlog)
        yield from _alive(sums.processes)
        yield _counted("cto_processes_lost", "Processes that fell silent in the last day.", sums.lost)
        for family in REGISTRY.collect():
            yield _summed(family, sums)


def _waiting(backlog: Backlog) -> Iterator[Metric]:
    yield CounterMetricFamily("cto_jobs_accepted", "Jobs that have been accepted.", backlog.accepted)
    jobs = GaugeMetricFamily("cto_jobs", "Jobs that wait, run, or need an operator.", labels=["status"])
    for status, number in backlog.jobs.items():
        jobs.add_metric([status], number)
    yield jobs
    messages = GaugeMetricFamily("cto_queue_messages", "Messages no worker has taken.", labels=["queue"])
    for queue, number in backlog.messages.items():
        messages.add_metric([queue], number)
    yield messages
    yield GaugeMetricFamily(
        "cto_oldest_waiting_seconds", "How long the oldest job that waits has.", backlog.oldest_waiting_s
    )
    yield GaugeMetricFamily("cto_store_memory_bytes", "Memory that the store uses.", backlog.memory_bytes)
    yield GaugeMetricFamily(
        "cto_store_memory_limit_bytes", "Memory that it may use.", backlog.memory_limit_bytes
    )
    yield GaugeMetricFamily(
        "cto_store_snapshot_seconds",
        "When the store last wrote a snapshot, or was started (Unix time).",
        backlog.snapshot_s,
    )


def _alive(processes: list[Process]) -> Iterator[Metric]:
    yield _counted("cto_processes", "Processes that live.", processes)
    sockets = GaugeMetricFamily(
        "cto_gateway_sockets", "Clients that get events now.", labels=["process", "door"]
    )
    late = GaugeMetricFamily(
        "cto_gateway_canary_late_seconds", "Since when no canary has come back.", labels=["process"]
    )
    running = GaugeMetricFamily("cto_worker_operations", "Operations that run now.", labels=["process"])
    room = GaugeMetricFamily("cto_worker_slots", "Operations that may run at once.", labels=["process"])
    for process in processes:
        if process.kind == "gateway":
            doors = dict(process.gauges)
            late.add_metric([process.name], doors.pop(CANARY_LATE, 0.0))
            for door, number in doors.items():
                sockets.add_metric([process.name, door], number)
        elif process.kind == "worker":
            running.add_metric([process.name], process.gauges["operations"])
            room.add_metric([process.name], process.gauges["slots"])
    yield from (sockets, late, running, room)


def _counted(name: str, documentation: str, processes: list[Process]) -> Metric:
    counted = GaugeMetricFamily(name, documentation, labels=["kind"])
    kinds = Counter(process.kind for process in processes)
    for kind in KINDS:
        counted.add_metric([kind], kinds[kind])
    return counted


def _summed(family: Metric, sums: SystemCounts) -> Metric:
    """What all processes have counted of this; what none has counted yet is told as 0."""
    names = {family.name + ending for ending in _ORDER}
    counted = {(sample.name, tuple(sorted(sample.labels.items()))): 0.0 for sample in family.samples}
    counted |= {key: value for key, value in sums.counts.items() if key[0] in names}
    told = Metric(family.name, family.documentation, family.type)
    for name, labels in sorted(counted, key=_place):
        told.add_sample(name, dict(labels), counted[name, labels])
    return told


def _place(key: tuple[str, Iterable[tuple[str, str]]]) -> tuple[list[tuple[str, str]], str, float]:
    """By labels; of each histogram its buckets first, the smallest first."""
    name, labels = key
    bounds = [float(value) for label, value in labels if label == "le"]
    return [pair for pair in labels if pair[0] != "le"], name, bounds[0] if bounds else 0.0

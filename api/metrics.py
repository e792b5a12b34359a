"""What this gateway has counted since it started, and what waits in the whole system, for Prometheus.

``GET /metrics`` is for operators only. Whoever counts adds to :data:`counts`, which costs next to nothing;
metrics are made of it when asked for. What waits stands in the store, so it is right however many processes
there are.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from api.auth import ForbiddenError, caller
from api.policy import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.core import Metric

    from cto_worker.history import Backlog

log = logging.getLogger(__name__)

counts: Counter[str] = Counter()  # of this process

_PREFIX = "cto_gateway_"
_COUNTERS = {  # what is counted: its name, and what it tells
    "relayed": ("events_relayed", "Events put to clients, once for each client."),
    "merged": ("events_merged", "Events left out because a client reads too slowly."),
    "dropped": ("clients_dropped", "Clients cut off because they do not read what they asked for."),
    "busy": ("turns_refused", "Joins, resumes and streams that were told `busy`: their turn did not come."),
    "silent": ("silent_sessions_closed", "Socket.IO sessions closed because they never asked to be let in."),
    "full": ("full_refused", "Connections refused because the gateway has no room for more."),
    "address_full": ("address_full_refused", "Connections refused because too many come from their address."),
    "user_full": ("user_full_refused", "Connections refused because their user has too many."),
}


def blueprint(
    gateway: int, sockets: Callable[[], Mapping[str, int]], backlog: Callable[[], Backlog]
) -> Blueprint:
    """Return the route. ``sockets`` tells how many clients get events now, by the door they came through."""
    routes = Blueprint("metrics", __name__)
    registry = CollectorRegistry()
    registry.register(_Gateway(str(gateway), sockets))
    registry.register(_System(backlog))

    @routes.get("/metrics")
    def metrics() -> Response:
        if not caller().may(Action.WATCH_ALL):
            raise ForbiddenError("forbidden", "metrics are for operators")
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return routes


class _Gateway(Collector):
    """All metrics of this process."""

    def __init__(self, number: str, sockets: Callable[[], Mapping[str, int]]) -> None:
        self._number, self._sockets = number, sockets

    def collect(self) -> Iterator[Metric]:
        """Read what has been counted, as prometheus_client asks."""
        for counted, (name, told) in _COUNTERS.items():
            counter = CounterMetricFamily(_PREFIX + name, told, labels=["gateway"])
            counter.add_metric([self._number], counts[counted])
            yield counter
        open_now = GaugeMetricFamily(
            f"{_PREFIX}sockets", "Clients that get events now.", labels=["gateway", "door"]
        )
        for door, number in self._sockets().items():
            open_now.add_metric([self._number, door], number)
        yield open_now


class _System(Collector):
    """What every gateway tells alike. While the store is out of reach, only that."""

    def __init__(self, backlog: Callable[[], Backlog]) -> None:
        self._backlog = backlog

    def describe(self) -> Iterator[Metric]:
        """Name nothing, so that nothing is asked before there is somebody who wants to know."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Ask the store, as prometheus_client asks."""
        try:
            backlog = self._backlog()
        except RedisError as error:
            log.warning("cannot tell what waits: %s", error)
            yield GaugeMetricFamily("cto_store_up", "Whether the store answers.", 0)
            return
        yield GaugeMetricFamily("cto_store_up", "Whether the store answers.", 1)
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
